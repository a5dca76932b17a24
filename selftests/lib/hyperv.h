/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hyper-V's AutoEOI: interrupts that end as soon as they are delivered.  It inhibits acceleration
 * on both vendors while a vCPU has such an interrupt configured.
 */
#ifndef SELFTESTS_LIB_HYPERV_H
#define SELFTESTS_LIB_HYPERV_H

#include "vm.h"

/* Gives the vCPU Hyper-V's registers; returns false if this KVM has none. */
bool hyperv_add(struct vcpu *vcpu);

/* The same, but ends the test if this KVM has none. */
void hyperv_require(struct vcpu *vcpu);

/* The vCPU must be outside KVM_RUN.  This does not cause an interrupt. */
void hyperv_set_auto_eoi(struct vcpu *vcpu, bool on);

#endif
