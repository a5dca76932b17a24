// SPDX-License-Identifier: GPL-2.0-only
//
// Which bits of the VMCS controls and of the MSR bitmap belong to APICv, and how exits are decoded.
#include <vapic/vmx.h>

#include <gtest/gtest.h>

namespace {

constexpr u32 kPosted = 0x80;
constexpr u32 kAccesses = 0x1;
constexpr u32 kX2apic = 0x10;
constexpr u32 kRegisters = 0x100;
constexpr u32 kDelivery = 0x200;
constexpr u64 kIpi = 0x10;

void expect(const vapic_vmx_controls &c, u32 pin, u32 secondary, u64 tertiary)
{
	EXPECT_EQ(c.pin, pin);
	EXPECT_EQ(c.secondary, secondary);
	EXPECT_EQ(c.tertiary, tertiary);
}

TEST(Activate, SetsItsBitsAndNoOthers)
{
	vapic_vmx_controls c{};

	vapic_vmx_activate(&c, true, true);
	expect(c, kPosted, kRegisters | kDelivery, kIpi);
	vapic_vmx_activate(&c, false, true);
	expect(c, 0, 0, 0);
}

TEST(Activate, ClearsItsBitsAndNoOthers)
{
	vapic_vmx_controls c{~0u, ~0u, ~u64{0}};

	vapic_vmx_activate(&c, false, true);
	expect(c, ~kPosted, ~(kRegisters | kDelivery), ~kIpi);
	vapic_vmx_activate(&c, true, true);
	expect(c, ~0u, ~0u, ~u64{0});
}

TEST(Activate, LeavesIpiVirtualizationOffWithoutATable)
{
	vapic_vmx_controls c{};

	vapic_vmx_activate(&c, true, false);
	expect(c, kPosted, kRegisters | kDelivery, 0);
}

TEST(SetMode, VirtualizesWhatTheModeHas)
{
	const u32 may = kAccesses | kX2apic;
	vapic_vmx_controls c{};

	vapic_vmx_set_mode(&c, VAPIC_APIC_XAPIC, may);
	EXPECT_EQ(c.secondary, kAccesses);
	vapic_vmx_set_mode(&c, VAPIC_APIC_X2APIC, may);
	EXPECT_EQ(c.secondary, kX2apic);
	vapic_vmx_set_mode(&c, VAPIC_APIC_DISABLED, may);
	EXPECT_EQ(c.secondary, 0u);
	vapic_vmx_set_mode(&c, VAPIC_APIC_INVALID, may);
	EXPECT_EQ(c.secondary, 0u);
}

TEST(SetMode, SetsNothingThatMayNotBeSet)
{
	vapic_vmx_controls c{0, kRegisters, 0};

	vapic_vmx_set_mode(&c, VAPIC_APIC_XAPIC, kX2apic);
	EXPECT_EQ(c.secondary, kRegisters);
	vapic_vmx_set_mode(&c, VAPIC_APIC_X2APIC, kAccesses);
	EXPECT_EQ(c.secondary, kRegisters);
}

// Bit n is the MSR 800h + n.
constexpr u64 kTpr = u64{1} << 0x08;
constexpr u64 kEoi = u64{1} << 0x0b;
constexpr u64 kIcr = u64{1} << 0x30;
constexpr u64 kCount = u64{1} << 0x39;
constexpr u64 kSelf = u64{1} << 0x3f;

TEST(X2apicMsrs, AllExitOutsideX2apicMode)
{
	const vapic_vmx_controls c{kPosted, kAccesses | kRegisters | kDelivery, kIpi};
	const vapic_vmx_msrs msrs = vapic_vmx_x2apic_msrs(&c, 0xffff);

	EXPECT_EQ(msrs.read, ~u64{0});
	EXPECT_EQ(msrs.write, ~u64{0});
}

TEST(X2apicMsrs, NeedNoApicvForTpr)
{
	const vapic_vmx_controls c{0, kX2apic, 0};
	const vapic_vmx_msrs msrs = vapic_vmx_x2apic_msrs(&c, 0xffff);

	EXPECT_EQ(msrs.read, ~kTpr);
	EXPECT_EQ(msrs.write, ~kTpr);
}

TEST(X2apicMsrs, AreReadWithoutExitButTheTimersCount)
{
	const u64 readable = kTpr | kCount | 0x000f000f0000000cull;
	const vapic_vmx_controls c{kPosted, kX2apic | kRegisters | kDelivery, 0};
	const vapic_vmx_msrs msrs = vapic_vmx_x2apic_msrs(&c, readable);

	EXPECT_EQ(msrs.read, ~readable | kCount);
	EXPECT_EQ(msrs.write, ~(kTpr | kEoi | kSelf));
}

TEST(X2apicMsrs, LetIcrThroughWithIpiVirtualization)
{
	const vapic_vmx_controls c{kPosted, kX2apic | kRegisters | kDelivery, kIpi};
	const vapic_vmx_msrs msrs = vapic_vmx_x2apic_msrs(&c, 0);

	EXPECT_EQ(msrs.read, ~(kTpr | kIcr));
	EXPECT_EQ(msrs.write, ~(kTpr | kEoi | kSelf | kIcr));
}

TEST(Exits, SayWhatWasDone)
{
	EXPECT_TRUE(vapic_vmx_is_eoi_write(0x10b0));
	EXPECT_FALSE(vapic_vmx_is_eoi_write(0x00b0)); // a read
	EXPECT_FALSE(vapic_vmx_is_eoi_write(0x1080)); // TPR
	EXPECT_FALSE(vapic_vmx_is_eoi_write(0xf0b0)); // by physical address
	EXPECT_EQ(vapic_vmx_written(0x30c), 0x300u);
	EXPECT_EQ(vapic_vmx_written(0xffff), 0xff0u);
	EXPECT_EQ(vapic_vmx_ended(0xfa5), 0xa5);
}

} // namespace
