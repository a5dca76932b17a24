/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest functions that most tests need: a vCPU that spins with interrupts on,
 * one that halts between interrupts, and the end of both.
 */
#ifndef SELFTESTS_LIB_ROLES_H
#define SELFTESTS_LIB_ROLES_H

#include "guest_apic.h"
#include "run.h"

#define ROLES_STOP_VECTOR	0xee

/* Guests return when they see it; set by roles_finish(). */
extern volatile bool roles_finished;

/* Before the vCPUs are added; registers the stop vector. */
void roles_begin(void);

/* Guest functions for vm_add_vcpu(); arg is the LDR to set, if not zero. */
void role_spinner(uint64_t ldr);
void role_sleeper(uint64_t ldr);

/* True once the vCPU in one of these roles is spinning or asleep for good. */
bool role_is_ready(struct vcpu *vcpu);
void roles_wait_ready(struct vm *vm, unsigned int first);

/* What a guest function of another kind does to be ready, or at its end. */
void role_set_ready(void);
void role_wait_finished(void);

/* End the guests, whatever they wait for, and free the VM. */
void roles_finish(struct vm *vm);

#endif
