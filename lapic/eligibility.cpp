// SPDX-License-Identifier: GPL-2.0-only
//
// Decides which vCPUs may be accelerated. No other file decides any part of that.
#include <vapic/eligibility.h>

#include <vapic/hw/avic.hpp>

namespace {

struct Words {
	const char *name;
	const char *reason;
};

// By vapic_decision.
constexpr Words kWords[] = {
	{"accelerated", "nothing speaks against acceleration"},
	{"no-avic", "this processor has no AVIC, or the firmware hides it"},
	{"no-nested-paging", "nested paging is off, which AVIC needs: load kvm_amd with npt=1"},
	{"snp-host", "SEV-SNP is on and this processor lacks HvInUseWrAllowed, without which AVIC "
		     "cannot be used then: boot with sev=nosnp to do without SNP"},
	{"no-apicv",
	 "this processor has no APICv with posted interrupts, or the firmware hides it"},
	{"no-tpr-shadow",
	 "the TPR shadow is off, which APICv needs: load kvm_intel with flexpriority=1"},
	{"apicv-unused", "kvm_intel found no APICv with posted interrupts on this processor"},
	{"no-ipiv", "this processor has no IPI virtualization: load with enable_ipiv=0"},
	{"no-apic", "the local APIC is not KVM's"},
	{"sev", "the guest's memory is encrypted (SEV)"},
	{"sev-es", "the guest's state is encrypted (SEV-ES)"},
	{"sev-snp", "the guest is protected from the host (SEV-SNP)"},
	{"inhibited", "KVM has inhibited the VM for good"},
	{"id-beyond-table", "the vCPU's ID is beyond the AVIC table"},
};

static_assert(sizeof(kWords) / sizeof(*kWords) == VAPIC_DECISIONS);

} // namespace

const char *vapic_decision_name(vapic_decision decision)
{
	return kWords[decision].name;
}

const char *vapic_decision_reason(vapic_decision decision)
{
	return kWords[decision].reason;
}

vapic_decision vapic_avic_host_decision(const vapic_avic_host *host)
{
	if (!host->avic)
		return VAPIC_NO_AVIC;
	// VMRUN marks the register page as in use, and a write by KVM to a page in use faults
	// in the host.
	if (host->snp && !host->in_use_writes)
		return VAPIC_SNP_HOST;
	if (!host->nested_paging)
		return VAPIC_NO_NESTED_PAGING;
	return VAPIC_ACCELERATED;
}

bool vapic_avic_by_default(const vapic_avic_host *host)
{
	constexpr u32 kZen5Family = 0x1a;

	return host->x2avic && (host->family >= kZen5Family || host->zen4);
}

u32 vapic_avic_ids(const vapic_avic_host *host)
{
	if (!host->x2avic)
		return vapic::hw::kXapicIds;
	return host->x2avic_ext ? vapic::hw::kX2apicIdsExtended : vapic::hw::kX2apicIds;
}

bool vapic_avic_hides_running(const vapic_avic_host *host)
{
	return host->family == 0x17 || host->family == 0x18;
}

vapic_decision vapic_avic_vm_decision(vapic_encryption encryption)
{
	switch (encryption) {
	case VAPIC_UNENCRYPTED:
		return VAPIC_ACCELERATED;
	case VAPIC_ENCRYPTED:
		return VAPIC_SEV;
	case VAPIC_ENCRYPTED_STATE:
		return VAPIC_SEV_ES;
	case VAPIC_ENCRYPTED_NESTED:
		break;
	}
	return VAPIC_SEV_SNP;
}

vapic_decision vapic_avic_vcpu_decision(const vapic_avic_candidate *vcpu)
{
	if (!vcpu->apic_in_kernel)
		return VAPIC_NO_APIC;

	// Ask before the inhibit, which KVM sets for an encrypted guest: this gives the reason.
	const vapic_decision vm = vapic_avic_vm_decision(vcpu->encryption);

	if (vm != VAPIC_ACCELERATED)
		return vm;
	if (vcpu->id >= vcpu->ids)
		return VAPIC_ID_BEYOND_TABLE;
	if (vcpu->inhibited)
		return VAPIC_INHIBITED;
	return VAPIC_ACCELERATED;
}

vapic_decision vapic_vmx_host_decision(const vapic_vmx_host *host)
{
	if (!host->apicv)
		return VAPIC_NO_APICV;
	if (host->ipiv_demanded && !host->ipiv)
		return VAPIC_NO_IPIV;
	if (!host->tpr_shadow)
		return VAPIC_NO_TPR_SHADOW;
	if (!host->used)
		return VAPIC_APICV_UNUSED;
	return VAPIC_ACCELERATED;
}

vapic_decision vapic_vmx_vcpu_decision(bool apic_in_kernel)
{
	return apic_in_kernel ? VAPIC_ACCELERATED : VAPIC_NO_APIC;
}
