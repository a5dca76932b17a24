// SPDX-License-Identifier: GPL-2.0-only
//
// AVIC's words of the VMCB, with acceleration on and off.
#include <vapic/avic.h>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace {

vapic_avic_vmcb words(const Vcpu &vcpu, u32 int_ctl, bool active, u32 max_id)
{
	vapic_avic_vmcb w = {0x5555, 0x5555, 0x5555, 0x5555, 0x5555};

	vapic_avic_vcpu_vmcb_words(vcpu.core(), int_ctl, active, max_id, &w);
	return w;
}

TEST(Vmcb, AddressesKeepTheEncryptionBit)
{
	Machine machine;
	Vcpu &vcpu = machine.add(5);

	for (bool active : {false, true}) {
		const vapic_avic_vmcb w = words(vcpu, 0, active, 10);

		EXPECT_EQ(w.apic_bar, 0xfee00000ull);
		EXPECT_EQ(w.backing_page, 0x00008fedcba05000ull);
		EXPECT_EQ(w.logical_table, 0x0000800112346000ull);
		EXPECT_EQ(w.physical_table & ~0xfffull, 0x0000800112345000ull);
	}
}

TEST(Vmcb, BackingPageIsNotTouchedByResidency)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(5);

	vapic_avic_vcpu_load(vcpu.core(), 0xfff);
	EXPECT_EQ(words(vcpu, 0, true, 10).backing_page, vcpu.regs_pa());
}

TEST(Vmcb, MaximumIndexIsClampedToWhatXapicModeAllows)
{
	Machine machine;
	Vcpu &vcpu = machine.add(0);
	const struct {
		u32 max_id;
		u64 index;
	} cases[] = {{0, 0},	 {1, 1},     {253, 253},	   {254, 254},
		     {255, 254}, {511, 254}, {0x7fffffff, 254}, {0xffffffff, 254}};

	for (const auto &c : cases) {
		EXPECT_EQ(words(vcpu, 0, true, c.max_id).physical_table,
			  Machine::kPhysicalPa | c.index)
			<< c.max_id;
		EXPECT_EQ(words(vcpu, 0, false, c.max_id).physical_table, Machine::kPhysicalPa)
			<< c.max_id;
	}
}

TEST(Vmcb, InterruptControlKeepsAllOtherBits)
{
	Machine machine;
	Vcpu &vcpu = machine.add(0);

	for (unsigned bit = 0; bit < 32; ++bit) {
		const u32 alone = 1u << bit;
		const u32 kept = bit < 30 ? alone : 0;

		EXPECT_EQ(words(vcpu, alone, false, 1).int_ctl, kept) << bit;
		EXPECT_EQ(words(vcpu, alone, true, 1).int_ctl, kept | 0x80000000u) << bit;
	}
	EXPECT_EQ(words(vcpu, 0xffffffff, true, 1).int_ctl, 0xbfffffffu);
	EXPECT_EQ(words(vcpu, 0xffffffff, false, 1).int_ctl, 0x3fffffffu);
}

} // namespace
