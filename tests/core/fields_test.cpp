// SPDX-License-Identifier: GPL-2.0-only
//
// Compares every hardware word, bit by bit, with literals from the manual: a single field sets
// its bits and no others, and reads back correctly from a word in which all other bits are set.
#include <vapic/hw/apic.hpp>
#include <vapic/hw/avic.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_host.hpp"

using namespace vapic::hw;

namespace {

// `mask` is the field's place, `max` its largest value.
template <typename Word, typename Field, typename Value>
void expect_field(Field field, Value value, typename Word::Raw encoded, typename Word::Raw mask)
{
	using Raw = typename Word::Raw;

	constexpr Raw kOnes = static_cast<Raw>(~Raw{0});
	const Word zeros{};
	const Word ones{kOnes};

	EXPECT_EQ(zeros.with(field, value).raw(), encoded);
	EXPECT_EQ(ones.with(field, value).raw(), static_cast<Raw>((kOnes & ~mask) | encoded));
	EXPECT_EQ(zeros.with(field, value).get(field), value);
	EXPECT_EQ(ones.with(field, value).get(field), value);
	EXPECT_EQ(field.kMask, mask);
	// In a word in which all other fields are set, this field reads as zero.
	EXPECT_EQ(Word{static_cast<Raw>(~mask)}.get(field), zeros.get(field));
}

// What must not compile: another unit, a plain integer, a field of another word.
template <typename W, typename F, typename V>
concept Takes = requires(W word, F field, V value) { word.with(field, value); };

using HostField = decltype(PhysicalIdEntry::kHostApicId);
static_assert(Takes<PhysicalIdEntry, HostField, HostApicId>);
static_assert(!Takes<PhysicalIdEntry, HostField, GuestApicId>);
static_assert(!Takes<PhysicalIdEntry, HostField, std::uint32_t>);
static_assert(!Takes<LogicalIdEntry, decltype(PhysicalIdEntry::kValid), bool>);

TEST(PhysicalIdEntry, HasItsFieldsWhereTheManualSays)
{
	using E = PhysicalIdEntry;

	expect_field<E>(E::kHostApicId, HostApicId{0xabc}, 0xabcull, 0xfffull);
	expect_field<E>(E::kBackingPage, PageFrame{0xfedcba9876ull}, 0x000fedcba9876000ull,
			0x000ffffffffff000ull);
	expect_field<E>(E::kIsRunning, true, 0x4000000000000000ull, 0x4000000000000000ull);
	expect_field<E>(E::kValid, true, 0x8000000000000000ull, 0x8000000000000000ull);
}

TEST(LogicalIdEntry, HasItsFieldsWhereTheManualSays)
{
	using E = LogicalIdEntry;

	expect_field<E>(E::kGuestApicId, GuestApicId{0xc3}, 0xc3u, 0xffu);
	expect_field<E>(E::kValid, true, 0x80000000u, 0x80000000u);
}

TEST(PhysicalTablePointer, HasItsFieldsWhereTheManualSays)
{
	using P = PhysicalTablePointer;

	expect_field<P>(P::kMaxIndex, 0xba5u, 0xba5ull, 0xfffull);
	expect_field<P>(P::kTable, PageFrame{0x8123456789ull}, 0x0008123456789000ull,
			0x000ffffffffff000ull);
}

TEST(InterruptControl, HasItsFieldsWhereTheManualSays)
{
	using C = InterruptControl;

	expect_field<C>(C::kX2apicMode, true, 0x40000000u, 0x40000000u);
	expect_field<C>(C::kAvicEnable, true, 0x80000000u, 0x80000000u);
}

TEST(IncompleteIpiInfo, HasItsFieldsWhereTheManualSays)
{
	using I = IncompleteIpiInfo;

	expect_field<I>(I::kIndex, 0xa55u, 0xa55ull, 0xfffull);
	expect_field<I>(I::kFailure, IpiFailure::kInvalidVector, 0x400000000ull,
			0xffffffff00000000ull);
	EXPECT_EQ(static_cast<u32>(IpiFailure::kInvalidType), 0u);
	EXPECT_EQ(static_cast<u32>(IpiFailure::kTargetNotRunning), 1u);
	EXPECT_EQ(static_cast<u32>(IpiFailure::kInvalidTarget), 2u);
	EXPECT_EQ(static_cast<u32>(IpiFailure::kInvalidBackingPage), 3u);
}

TEST(UnacceleratedInfo, HasItsFieldsWhereTheManualSays)
{
	using I = UnacceleratedInfo;

	expect_field<I>(I::kRegister, 0xa5u, 0xa50ull, 0xff0ull);
	expect_field<I>(I::kWrite, true, 0x100000000ull, 0x100000000ull);
}

TEST(Icr, HasItsFieldsWhereTheManualSays)
{
	expect_field<Icr>(Icr::kVector, Vector{0xd2}, 0xd2ull, 0xffull);
	expect_field<Icr>(Icr::kDeliveryMode, 5u, 0x500ull, 0x700ull);
	expect_field<Icr>(Icr::kDestinationMode, DestinationMode::kLogical, 0x800ull, 0x800ull);
	expect_field<Icr>(Icr::kBusy, true, 0x1000ull, 0x1000ull);
	expect_field<Icr>(Icr::kLevelTriggered, true, 0x8000ull, 0x8000ull);
	expect_field<Icr>(Icr::kShorthand, Shorthand::kSelf, 0x40000ull, 0xc0000ull);
	expect_field<Icr>(Icr::kShorthand, Shorthand::kAll, 0x80000ull, 0xc0000ull);
	expect_field<Icr>(Icr::kShorthand, Shorthand::kAllButSelf, 0xc0000ull, 0xc0000ull);
	expect_field<Icr>(Icr::kLow, 0x89abcdefu, 0x89abcdefull, 0xffffffffull);
	expect_field<Icr>(Icr::kX2apicDestination, 0x89abcdefu, 0x89abcdef00000000ull, 0xffffffff00000000ull);
	expect_field<Icr>(Icr::kXapicDestination, 0x9eu, 0x9e00000000000000ull,
			  0xff00000000000000ull);
}

TEST(LdrAndDfr, HaveTheirFieldsWhereTheManualSays)
{
	expect_field<Ldr>(Ldr::kLogicalId, 0x81u, 0x81000000u, 0xff000000u);
	expect_field<Dfr>(Dfr::kModel, 0x9u, 0x90000000u, 0xf0000000u);
	for (u32 model = 0; model < 16; ++model)
		EXPECT_EQ(Dfr{model << 28 | 0x0fffffff}.flat(), model == 15) << model;
}

TEST(Field, ValueTooLargeIsReportedAndDoesNotSpill)
{
	fake_host::ExpectBroken expect;
	const auto overflow = testing::ElementsAre(vapic::Broken::kFieldOverflow);

	EXPECT_EQ(PhysicalIdEntry{}.with(PhysicalIdEntry::kHostApicId, HostApicId{0x1234}).raw(),
		  0x234u);
	EXPECT_THAT(expect.take(), overflow);
	EXPECT_EQ(LogicalIdEntry{}.with(LogicalIdEntry::kGuestApicId, GuestApicId{0x100}).raw(), 0u);
	EXPECT_THAT(expect.take(), overflow);
	EXPECT_EQ(PhysicalIdEntry{}
			  .with(PhysicalIdEntry::kBackingPage, PageFrame{0x1ffffffffffull})
			  .raw(),
		  0x000ffffffffff000ull);
	EXPECT_THAT(expect.take(), overflow);
	EXPECT_EQ(PhysicalTablePointer{}.with(PhysicalTablePointer::kMaxIndex, 0x1000u).raw(), 0u);
	EXPECT_THAT(expect.take(), overflow);
}

TEST(Field, LargestValueFits)
{
	EXPECT_EQ(PhysicalIdEntry{}.with(PhysicalIdEntry::kHostApicId, HostApicId{0xfff}).raw(),
		  0xfffu);
	EXPECT_EQ(PhysicalTablePointer{}.with(PhysicalTablePointer::kMaxIndex, 0xfffu).raw(), 0xfffu);
	EXPECT_EQ(Icr{}.with(Icr::kX2apicDestination, ~u32{0}).raw(), 0xffffffff00000000ull);
}

TEST(Tables, HaveTheManualsSizesAndIndices)
{
	EXPECT_EQ(sizeof(Slot<PhysicalIdEntry>), 8u);
	EXPECT_EQ(sizeof(LogicalIdTable), 4096u);
	EXPECT_EQ(sizeof(LogicalIdTable::entries[0]), 4u);
	EXPECT_EQ(kXapicIds, 255u);
	EXPECT_EQ(kX2apicIds, 512u);
	EXPECT_EQ(kX2apicIdsExtended, 4096u);
}

} // namespace
