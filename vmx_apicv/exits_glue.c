// SPDX-License-Identifier: GPL-2.0-only
/*
 * The three exits of APICv. The instruction is over when two of them come.
 */
#include <vapic/hw/broken.h>

#include "../kvm/vmx_hooks.h"
#include "glue.h"
#include "vmcs_glue.h"

void vapic_vmcs_failed(unsigned long field)
{
	WARN_ONCE(1, "vapic: VMREAD or VMWRITE of field %lx failed\n", field);
}

/* KVM reads it once per exit, and so do we, whoever comes first. */
static u64 exit_qualification(struct kvm_vcpu *vcpu)
{
	unsigned long *cached = &to_vmx(vcpu)->exit_qualification;

	if (!__test_and_set_bit(VCPU_EXREG_EXIT_INFO_1, (unsigned long *)&vcpu->arch.regs_avail))
		*cached = vapic_vmcs_read(EXIT_QUALIFICATION);
	return *cached;
}

int vapic_hook_handle_apic_access(struct kvm_vcpu *vcpu)
{
	struct vapic_vcpu *ours = vapic_vcpu_of(to_vmx(vcpu));

	if (ours)
		WRITE_ONCE(ours->apic_accesses, ours->apic_accesses + 1);

	/* Parameter of kvm_intel, for guests that write EOI in strange ways. */
	if (vapic_data(fasteoi) && vapic_apicv_is_eoi_write(exit_qualification(vcpu))) {
		vapic_call(kvm_lapic_set_eoi)(vcpu);
		return vapic_call(kvm_skip_emulated_instruction)(vcpu);
	}
	return vapic_call(kvm_emulate_instruction)(vcpu, 0);
}

/* The register in the page has its new value. */
int vapic_hook_handle_apic_write(struct kvm_vcpu *vcpu)
{
	struct vapic_vcpu *ours = vapic_vcpu_of(to_vmx(vcpu));

	WRITE_ONCE(ours->apic_writes, ours->apic_writes + 1);
	vapic_call(kvm_apic_write_nodecode)(vcpu, vapic_apicv_written(exit_qualification(vcpu)));
	return 1;
}

/* The ISR is updated; the I/O APIC, or whoever set the vector's bit, wants to know. */
int vapic_hook_handle_apic_eoi_induced(struct kvm_vcpu *vcpu)
{
	struct vapic_vcpu *ours = vapic_vcpu_of(to_vmx(vcpu));

	WRITE_ONCE(ours->eoi_exits_taken, ours->eoi_exits_taken + 1);
	vapic_call(kvm_apic_set_eoi_accelerated)(vcpu, vapic_apicv_ended(exit_qualification(vcpu)));
	return 1;
}
