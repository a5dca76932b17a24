// SPDX-License-Identifier: GPL-2.0-only
//
// Who may be accelerated: facts in any combination. The oracle says for each decision when it may
// be given; that every state has a decision follows from there being one.
#include <vapic/eligibility.h>

#include <cstring>

#include "fuzz.hpp"

namespace {

void amd(fuzz::Input &in)
{
	const u8 flags = in.byte();
	const u8 choice = in.byte();
	const vapic_avic_host host = {
		.family = choice & 0x80 ? in.word() : 0x15u + choice % 8,
		.avic = (flags & 1) != 0,
		.x2avic = (flags & 2) != 0,
		.x2avic_ext = (flags & 4) != 0,
		.zen4 = (flags & 8) != 0,
		.nested_paging = (flags & 16) != 0,
		.snp = (flags & 32) != 0,
		.in_use_writes = (flags & 64) != 0,
	};
	const bool faults = host.snp && !host.in_use_writes;

	switch (vapic_avic_host_decision(&host)) {
	case VAPIC_ACCELERATED:
		HOLDS(host.avic && host.nested_paging && !faults);
		break;
	case VAPIC_NO_AVIC:
		HOLDS(!host.avic);
		break;
	case VAPIC_SNP_HOST:
		HOLDS(host.avic && faults);
		break;
	case VAPIC_NO_NESTED_PAGING:
		HOLDS(host.avic && !faults && !host.nested_paging);
		break;
	default:
		NEVER("a decision about an AMD host");
	}
	// Erratum 1235 is of these two families.
	HOLDS(vapic_avic_hides_running(&host) == (host.family == 0x17 || host.family == 0x18));
	// FFh is xAPIC's broadcast; x2AVIC's table is a page, or eight.
	HOLDS(vapic_avic_ids(&host) == (!host.x2avic ? 255u : host.x2avic_ext ? 4096u : 512u));
	HOLDS(vapic_avic_by_default(&host) == (host.x2avic && (host.zen4 || host.family > 0x19)));
}

void vcpu(fuzz::Input &in)
{
	const u8 flags = in.byte();
	const vapic_avic_candidate candidate = {
		.encryption = static_cast<vapic_encryption>(flags & 3),
		.apic_in_kernel = (flags & 4) != 0,
		.inhibited = (flags & 8) != 0,
		.id = flags & 16 ? in.word() : in.below(600),
		.ids = flags & 32 ? 512u : 255u,
	};
	static constexpr vapic_decision kByEncryption[] = {VAPIC_ACCELERATED, VAPIC_SEV,
							   VAPIC_SEV_ES, VAPIC_SEV_SNP};
	const vapic_decision vm = vapic_avic_vm_decision(candidate.encryption);
	const vapic_decision found = vapic_avic_vcpu_decision(&candidate);

	HOLDS(vm == kByEncryption[candidate.encryption]);
	HOLDS((found == VAPIC_ACCELERATED) ==
	      (candidate.apic_in_kernel && candidate.encryption == VAPIC_UNENCRYPTED &&
	       !candidate.inhibited && candidate.id < candidate.ids));
	if (found == VAPIC_NO_APIC || vapic_vmx_vcpu_decision(candidate.apic_in_kernel))
		HOLDS(found == vapic_vmx_vcpu_decision(candidate.apic_in_kernel));
	else if (vm != VAPIC_ACCELERATED)
		HOLDS(found == vm);
	else if (found != VAPIC_ACCELERATED)
		HOLDS(found == VAPIC_INHIBITED ?
			      candidate.inhibited :
			      found == VAPIC_ID_BEYOND_TABLE && candidate.id >= candidate.ids);
	HOLDS(vapic_vmx_vcpu_decision(candidate.apic_in_kernel) ==
	      (candidate.apic_in_kernel ? VAPIC_ACCELERATED : VAPIC_NO_APIC));
}

void intel(fuzz::Input &in)
{
	const u8 flags = in.byte();
	const vapic_vmx_host host = {
		.apicv = (flags & 1) != 0,
		.ipiv = (flags & 2) != 0,
		.ipiv_demanded = (flags & 4) != 0,
		.tpr_shadow = (flags & 8) != 0,
		.used = (flags & 16) != 0,
	};
	const bool lacks = host.ipiv_demanded && !host.ipiv;

	switch (vapic_vmx_host_decision(&host)) {
	case VAPIC_ACCELERATED:
		HOLDS(host.apicv && !lacks && host.tpr_shadow && host.used);
		break;
	case VAPIC_NO_APICV:
		HOLDS(!host.apicv);
		break;
	case VAPIC_NO_IPIV:
		HOLDS(lacks);
		break;
	case VAPIC_NO_TPR_SHADOW:
		HOLDS(!host.tpr_shadow);
		break;
	case VAPIC_APICV_UNUSED:
		HOLDS(!host.used && host.tpr_shadow);
		break;
	default:
		NEVER("a decision about an Intel host");
	}
}

// Each decision has a name, one word of its own, and a reason.
void words(fuzz::Input &in)
{
	const auto one = static_cast<vapic_decision>(in.below(VAPIC_DECISIONS));
	const auto other = static_cast<vapic_decision>(in.below(VAPIC_DECISIONS));
	const char *name = vapic_decision_name(one);

	HOLDS(name[0] && !std::strpbrk(name, " \n"));
	HOLDS((one == other) == !std::strcmp(name, vapic_decision_name(other)));
	HOLDS(std::strlen(vapic_decision_reason(one)) > 10);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	fuzz::Input in(bytes, size);

	amd(in);
	vcpu(in);
	intel(in);
	words(in);
	return 0;
}
