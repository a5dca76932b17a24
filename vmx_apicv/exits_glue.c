// SPDX-License-Identifier: GPL-2.0-only
/*
 * The three exits of APICv. APIC write and EOI-induced exits come after the instruction.
 */
#include "../kvm/hooks.h"
#include "glue.h"
#include "vmcs_glue.h"

void vapic_vmcs_failed(unsigned long field)
{
	WARN_ONCE(1, "vapic: VMREAD or VMWRITE of field %lx failed\n", field);
}

/* KVM or vapic, whichever needs it first, reads the field once per exit. */
static u64 exit_qualification(struct kvm_vcpu *kvm_vcpu)
{
	unsigned long *cached = &to_vmx(kvm_vcpu)->exit_qualification;

	if (!vapic_kvm_exit_info_cached(kvm_vcpu))
		*cached = vapic_vmcs_read(EXIT_QUALIFICATION);
	return *cached;
}

int vapic_hook_handle_apic_access(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));

	if (vcpu)
		vapic_count_add(&vcpu->apic_accesses, 1);

	/* fasteoi is a parameter of kvm_intel, to be off for guests that write EOI oddly. */
	if (vapic_data(fasteoi) && vapic_vmx_is_eoi_write(exit_qualification(kvm_vcpu))) {
		vapic_call(kvm_lapic_set_eoi)(kvm_vcpu);
		return vapic_call(kvm_skip_emulated_instruction)(kvm_vcpu);
	}
	return vapic_call(kvm_emulate_instruction)(kvm_vcpu, 0);
}

/* The register in the page already has its new value. */
int vapic_hook_handle_apic_write(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));

	vapic_count_add(&vcpu->apic_writes, 1);
	vapic_call(kvm_apic_write_nodecode)(kvm_vcpu,
					    vapic_vmx_written(exit_qualification(kvm_vcpu)));
	return 1;
}

/* Hardware has updated the ISR. Tell the I/O APIC, or whoever set the vector's exit bit. */
int vapic_hook_handle_apic_eoi_induced(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));

	vapic_count_add(&vcpu->eoi_exits_taken, 1);
	vapic_call(kvm_apic_set_eoi_accelerated)(kvm_vcpu,
						 vapic_vmx_ended(exit_qualification(kvm_vcpu)));
	return 1;
}
