// SPDX-License-Identifier: GPL-2.0-only
//
// AVIC's words of the VMCB, with acceleration on and off.
#include <vapic/avic.h>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace {

constexpr vapic_avic_mode kModes[] = {VAPIC_AVIC_OFF, VAPIC_AVIC_XAPIC, VAPIC_AVIC_X2APIC};

vapic_avic_vmcb words(const Vcpu &vcpu, u32 int_ctl, vapic_avic_mode mode)
{
	vapic_avic_vmcb w = {0x5555, 0x5555, 0x5555, 0x5555, 0x5555};

	vapic_avic_vcpu_vmcb_words(vcpu.core(), int_ctl, mode, &w);
	return w;
}

TEST(Vmcb, AddressesKeepTheEncryptionBit)
{
	Machine machine;
	Vcpu &vcpu = machine.add(5);

	for (vapic_avic_mode mode : kModes) {
		const vapic_avic_vmcb w = words(vcpu, 0, mode);

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
	EXPECT_EQ(words(vcpu, 0, VAPIC_AVIC_XAPIC).backing_page, vcpu.regs_pa());
}

TEST(Vmcb, MaximumIndexIsWhatTheTableHasAndTheModeAllows)
{
	const struct {
		u32 ids;
		u64 xapic, x2apic;
	} cases[] = {{1, 0, 0},	      {2, 1, 1},       {254, 253, 253}, {255, 254, 254},
		     {256, 254, 255}, {512, 254, 511}, {4096, 254, 4095}};

	for (const auto &c : cases) {
		Machine machine(false, c.ids);
		Vcpu &vcpu = machine.add(0);

		EXPECT_EQ(words(vcpu, 0, VAPIC_AVIC_OFF).physical_table, Machine::kPhysicalPa);
		EXPECT_EQ(words(vcpu, 0, VAPIC_AVIC_XAPIC).physical_table,
			  Machine::kPhysicalPa | c.xapic);
		EXPECT_EQ(words(vcpu, 0, VAPIC_AVIC_X2APIC).physical_table,
			  Machine::kPhysicalPa | c.x2apic);
	}
}

TEST(Vmcb, InterruptControlKeepsAllOtherBits)
{
	Machine machine;
	Vcpu &vcpu = machine.add(0);
	const u32 set[] = {0, 0x80000000u, 0xc0000000u};

	for (vapic_avic_mode mode : kModes) {
		for (unsigned bit = 0; bit < 32; ++bit) {
			const u32 alone = 1u << bit;
			const u32 kept = bit < 30 ? alone : 0;

			EXPECT_EQ(words(vcpu, alone, mode).int_ctl, kept | set[mode]) << bit;
		}
		EXPECT_EQ(words(vcpu, 0xffffffff, mode).int_ctl, 0x3fffffffu | set[mode]);
	}
}

} // namespace
