// SPDX-License-Identifier: GPL-2.0-only
//
// Which hosts and vCPUs may be accelerated, including processors and guests that no emulator has.
#include <vapic/eligibility.h>

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace {

constexpr vapic_avic_host kAmd = {
	.family = 0x19, .avic = true, .x2avic = false, .x2avic_ext = false, .zen4 = false,
	.nested_paging = true, .snp = false, .in_use_writes = false};

constexpr vapic_vmx_host kIntel = {
	.apicv = true, .ipiv = true, .ipiv_demanded = false, .tpr_shadow = true, .used = true};

constexpr vapic_avic_candidate kVcpu = {
	.encryption = VAPIC_UNENCRYPTED, .apic_in_kernel = true, .inhibited = false, .id = 0, .ids = 255};

TEST(Decision, HasANameAndAReasonOfItsOwn)
{
	std::set<std::string> names;
	std::set<std::string> reasons;

	for (int i = 0; i < VAPIC_DECISIONS; ++i) {
		const std::string name = vapic_decision_name(static_cast<vapic_decision>(i));

		// A value in a line of key=value.
		EXPECT_EQ(name.find_first_of(" =,\n"), std::string::npos) << name;
		EXPECT_FALSE(name.empty());
		names.insert(name);
		reasons.insert(vapic_decision_reason(static_cast<vapic_decision>(i)));
	}
	EXPECT_EQ(names.size(), std::size_t{VAPIC_DECISIONS});
	EXPECT_EQ(reasons.size(), std::size_t{VAPIC_DECISIONS});
	EXPECT_STREQ(vapic_decision_name(VAPIC_ACCELERATED), "accelerated");
	EXPECT_STREQ(vapic_decision_name(VAPIC_ID_BEYOND_TABLE), "id-beyond-table");
}

// All 16 machines: only three of them may be accelerated.
TEST(AvicHost, NeedsAvicAndNestedPagingAndWritesUnderSnp)
{
	unsigned allowed = 0;

	for (unsigned bits = 0; bits < 16; ++bits) {
		vapic_avic_host host = kAmd;

		host.avic = bits & 1;
		host.nested_paging = bits & 2;
		host.snp = bits & 4;
		host.in_use_writes = bits & 8;

		const vapic_decision decision = vapic_avic_host_decision(&host);

		EXPECT_EQ(decision, !host.avic				? VAPIC_NO_AVIC
				    : host.snp && !host.in_use_writes	? VAPIC_SNP_HOST
				    : !host.nested_paging		? VAPIC_NO_NESTED_PAGING
									: VAPIC_ACCELERATED);
		allowed += decision == VAPIC_ACCELERATED;
	}
	EXPECT_EQ(allowed, 3u);
}

TEST(AvicHost, HidesIsRunningOnTheFamiliesOfErratum1235)
{
	for (u32 family = 0; family < 0x40; ++family) {
		vapic_avic_host host = kAmd;

		host.family = family;
		EXPECT_EQ(vapic_avic_hides_running(&host), family == 23 || family == 24) << family;
		EXPECT_EQ(vapic_avic_host_decision(&host), VAPIC_ACCELERATED);
	}
}

TEST(AvicHost, IsUsedByDefaultFromZen4OnWithX2avic)
{
	for (u32 family : {0x17u, 0x18u, 0x19u, 0x1au, 0x1bu}) {
		for (bool zen4 : {false, true}) {
			vapic_avic_host host = kAmd;

			host.family = family;
			host.zen4 = zen4;
			EXPECT_FALSE(vapic_avic_by_default(&host)) << family;
			host.x2avic = true;
			EXPECT_EQ(vapic_avic_by_default(&host), zen4 || family >= 0x1a) << family;
		}
	}
}

TEST(AvicHost, NamesAsManyIdsAsItsModeAllows)
{
	vapic_avic_host host = kAmd;

	EXPECT_EQ(vapic_avic_ids(&host), 255u);
	host.x2avic = true;
	EXPECT_EQ(vapic_avic_ids(&host), 512u);
	host.x2avic_ext = true;
	EXPECT_EQ(vapic_avic_ids(&host), 4096u);
}

TEST(AvicVm, IsAcceleratedUnlessEncrypted)
{
	EXPECT_EQ(vapic_avic_vm_decision(VAPIC_UNENCRYPTED), VAPIC_ACCELERATED);
	EXPECT_EQ(vapic_avic_vm_decision(VAPIC_ENCRYPTED), VAPIC_SEV);
	EXPECT_EQ(vapic_avic_vm_decision(VAPIC_ENCRYPTED_STATE), VAPIC_SEV_ES);
	EXPECT_EQ(vapic_avic_vm_decision(VAPIC_ENCRYPTED_NESTED), VAPIC_SEV_SNP);
}

TEST(AvicVcpu, IsAcceleratedUpToTheTablesEnd)
{
	for (u32 ids : {1u, 255u, 512u, 4096u}) {
		for (u32 id : {0u, 1u, 254u, 255u, 511u, 512u, 4095u, 4096u, 0xffffffffu}) {
			vapic_avic_candidate vcpu = kVcpu;

			vcpu.id = id;
			vcpu.ids = ids;
			EXPECT_EQ(vapic_avic_vcpu_decision(&vcpu),
				  id < ids ? VAPIC_ACCELERATED : VAPIC_ID_BEYOND_TABLE)
				<< id;
		}
	}
}

TEST(AvicVcpu, IsNeverAcceleratedInAnEncryptedVm)
{
	for (vapic_encryption encryption :
	     {VAPIC_ENCRYPTED, VAPIC_ENCRYPTED_STATE, VAPIC_ENCRYPTED_NESTED}) {
		for (u32 id : {0u, 300u}) {
			for (bool inhibited : {false, true}) {
				vapic_avic_candidate vcpu = kVcpu;

				vcpu.encryption = encryption;
				vcpu.inhibited = inhibited;
				vcpu.id = id;
				// The VM's answer takes precedence over all others.
				EXPECT_EQ(vapic_avic_vcpu_decision(&vcpu),
					  vapic_avic_vm_decision(encryption));
			}
		}
	}
}

TEST(AvicVcpu, IsNeverAcceleratedInAVmThatIsInhibitedForGood)
{
	vapic_avic_candidate vcpu = kVcpu;

	vcpu.inhibited = true;
	EXPECT_EQ(vapic_avic_vcpu_decision(&vcpu), VAPIC_INHIBITED);
	// A vCPU beyond the table causes the inhibit itself, so its ID is the reason given.
	vcpu.id = 255;
	EXPECT_EQ(vapic_avic_vcpu_decision(&vcpu), VAPIC_ID_BEYOND_TABLE);
}

TEST(AvicVcpu, WithoutAnApicInTheKernelIsNobodysBusiness)
{
	vapic_avic_candidate vcpu = kVcpu;

	vcpu.apic_in_kernel = false;
	EXPECT_EQ(vapic_avic_vcpu_decision(&vcpu), VAPIC_NO_APIC);
	vcpu.encryption = VAPIC_ENCRYPTED;
	vcpu.id = 300;
	EXPECT_EQ(vapic_avic_vcpu_decision(&vcpu), VAPIC_NO_APIC);
}

TEST(ApicvHost, NeedsWhatIsAskedForAndWhatKvmIntelFound)
{
	vapic_vmx_host host = kIntel;

	EXPECT_EQ(vapic_vmx_host_decision(&host), VAPIC_ACCELERATED);
	host.used = false;
	EXPECT_EQ(vapic_vmx_host_decision(&host), VAPIC_APICV_UNUSED);
	host.tpr_shadow = false;
	EXPECT_EQ(vapic_vmx_host_decision(&host), VAPIC_NO_TPR_SHADOW);
	host.ipiv = false;
	EXPECT_EQ(vapic_vmx_host_decision(&host), VAPIC_NO_TPR_SHADOW);
	host.ipiv_demanded = true;
	EXPECT_EQ(vapic_vmx_host_decision(&host), VAPIC_NO_IPIV);
	host.apicv = false;
	EXPECT_EQ(vapic_vmx_host_decision(&host), VAPIC_NO_APICV);
}

TEST(ApicvHost, TakesIpiVirtualizationOnlyIfItIsThere)
{
	for (bool demanded : {false, true}) {
		for (bool ipiv : {false, true}) {
			vapic_vmx_host host = kIntel;

			host.ipiv = ipiv;
			host.ipiv_demanded = demanded;
			EXPECT_EQ(vapic_vmx_host_decision(&host),
				  demanded && !ipiv ? VAPIC_NO_IPIV : VAPIC_ACCELERATED);
		}
	}
}

TEST(ApicvVcpu, NeedsAnApicInTheKernel)
{
	EXPECT_EQ(vapic_vmx_vcpu_decision(true), VAPIC_ACCELERATED);
	EXPECT_EQ(vapic_vmx_vcpu_decision(false), VAPIC_NO_APIC);
}

} // namespace
