// SPDX-License-Identifier: GPL-2.0-only
/* Saves and restores the parts of the state in the order of their dependencies. */
#include "state.h"

#include "apic.h"

struct one_msr {
	struct kvm_msrs header;
	struct kvm_msr_entry entry;
};

static struct one_msr deadline_msr(uint64_t value)
{
	return (struct one_msr){
		.header = { .nmsrs = 1 },
		.entry = { .index = MSR_TSC_DEADLINE, .data = value },
	};
}

void vcpu_save(struct vcpu *vcpu, struct vcpu_state *state)
{
	struct one_msr deadline = deadline_msr(0);

	/* First, because it carries out a pending INIT or SIPI, which changes all other state. */
	vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &state->mp);
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &state->events);
	vcpu_ioctl(vcpu, KVM_GET_REGS, &state->regs);
	vcpu_ioctl(vcpu, KVM_GET_SREGS, &state->sregs);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &state->lapic);
	if (vcpu_ioctl(vcpu, KVM_GET_MSRS, &deadline.header) != 1)
		vm_fail(vcpu->vm, "KVM has no TSC deadline");
	state->tsc_deadline = deadline.entry.data;
}

void vcpu_restore(struct vcpu *vcpu, const struct vcpu_state *state)
{
	struct one_msr deadline = deadline_msr(state->tsc_deadline);

	/* First the special registers: their APIC mode decides how KVM reads the page. */
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &state->sregs);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &state->regs);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &state->lapic);
	/* Ignored unless the timer is in this mode. */
	if (vcpu_ioctl(vcpu, KVM_SET_MSRS, &deadline.header) != 1)
		vm_fail(vcpu->vm, "KVM refuses a TSC deadline");
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &state->events);
	vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &state->mp);
}

static bool has_ioapic(const struct vm *vm)
{
	return !(vm->options & VM_SPLIT);
}

void vm_save(struct vm *vm, struct vm_state *state)
{
	if (vm->vcpu_count > STATE_MAX_VCPUS)
		vm_fail(vm, "more than %u vCPUs to save", STATE_MAX_VCPUS);
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_save(&vm->vcpus[i], &state->vcpus[i]);
	state->ioapic = (struct kvm_irqchip){ .chip_id = KVM_IRQCHIP_IOAPIC };
	if (has_ioapic(vm))
		vm_ioctl(vm, KVM_GET_IRQCHIP, &state->ioapic);
}

void vm_restore(struct vm *vm, const struct vm_state *state)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_restore(&vm->vcpus[i], &state->vcpus[i]);
	/* After the local APICs, because restoring these discards what the IOAPIC sends to them. */
	if (has_ioapic(vm))
		vm_ioctl(vm, KVM_SET_IRQCHIP, &state->ioapic);
}
