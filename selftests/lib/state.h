/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of a VM that a live migration transfers: all vCPU state that concerns interrupts,
 * and the IOAPIC.  Memory stays where it is, so that a second VM of the same process can
 * continue where the first was stopped.
 */
#ifndef SELFTESTS_LIB_STATE_H
#define SELFTESTS_LIB_STATE_H

#include "vm.h"

#define STATE_MAX_VCPUS	16

struct vcpu_state {
	struct kvm_mp_state mp;
	struct kvm_vcpu_events events;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	uint64_t tsc_deadline;
};

struct vm_state {
	struct vcpu_state vcpus[STATE_MAX_VCPUS];
	struct kvm_irqchip ioapic;
};

/* The vCPU must be outside KVM_RUN. */
void vcpu_save(struct vcpu *vcpu, struct vcpu_state *state);
void vcpu_restore(struct vcpu *vcpu, const struct vcpu_state *state);

/* All vCPUs, and the IOAPIC if KVM has it. */
void vm_save(struct vm *vm, struct vm_state *state);
void vm_restore(struct vm *vm, const struct vm_state *state);

#endif
