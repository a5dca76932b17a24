// SPDX-License-Identifier: GPL-2.0-only
//
// Which vCPU has which entry of the PID-pointer table.
#include <vapic/vmx.h>

#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "posted_machine.hpp"

namespace {

using V = PostedVcpu;

constexpr u32 kEntries = 16;

struct PidTable : testing::Test {
	u64 table[kEntries + 1] = {};
};

TEST_F(PidTable, NamesTheDescriptorByGuestApicId)
{
	V v;

	EXPECT_TRUE(vapic_pi_vcpu_enter_table(v.core(), table, kEntries, 5));
	for (u32 i = 0; i <= kEntries; ++i)
		EXPECT_EQ(table[i], i == 5 ? V::kDescriptorPa | 1 : 0) << i;
	vapic_pi_vcpu_leave_table(v.core());
	EXPECT_EQ(table[5], 0u);
}

TEST_F(PidTable, HasNoEntryBeyondItsEnd)
{
	V v;

	EXPECT_FALSE(vapic_pi_vcpu_enter_table(v.core(), table, kEntries, kEntries));
	EXPECT_EQ(table[kEntries], 0u);
	vapic_pi_vcpu_leave_table(v.core());
}

TEST_F(PidTable, KeepsTheFirstOfTwoWithOneId)
{
	V first;
	V second(0x4000);

	EXPECT_TRUE(vapic_pi_vcpu_enter_table(first.core(), table, kEntries, 3));
	EXPECT_FALSE(vapic_pi_vcpu_enter_table(second.core(), table, kEntries, 3));
	vapic_pi_vcpu_leave_table(second.core());
	EXPECT_EQ(table[3], V::kDescriptorPa | 1);
}

TEST_F(PidTable, MayBeLeftTwice)
{
	V first;
	V second(0x4000);

	vapic_pi_vcpu_enter_table(first.core(), table, kEntries, 3);
	vapic_pi_vcpu_leave_table(first.core());
	vapic_pi_vcpu_enter_table(second.core(), table, kEntries, 3);
	vapic_pi_vcpu_leave_table(first.core());
	EXPECT_EQ(table[3], 0x4001u);
}

TEST_F(PidTable, ReportsAnEntryThatSomebodyElseWrote)
{
	fake_host::ExpectBroken broken;
	V v;

	vapic_pi_vcpu_enter_table(v.core(), table, kEntries, 3);
	table[3] = 0x9001;
	vapic_pi_vcpu_leave_table(v.core());
	EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kEntryForeign});
}

} // namespace
