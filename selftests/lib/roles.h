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

/* Set by roles_finish(); guests return when they see it. */
extern volatile bool roles_finished;

/* Registers the stop vector; call it before the vCPUs are added. */
void roles_begin(void);

/* Guest functions for vm_add_vcpu(); arg is the LDR to set, if not zero. */
void role_spinner(uint64_t ldr);
void role_sleeper(uint64_t ldr);

/* True once the vCPU in one of these roles is spinning or asleep for good. */
bool role_is_ready(struct vcpu *vcpu);
void roles_wait_ready(struct vm *vm, unsigned int first);

/* For guest functions of another kind: say that the vCPU is ready; wait for the end. */
void role_set_ready(void);
void role_wait_finished(void);

/* End the guests, whether they spin or sleep, and free the VM. */
void roles_finish(struct vm *vm);

#endif
