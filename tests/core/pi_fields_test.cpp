// SPDX-License-Identifier: GPL-2.0-only
//
// Compares Intel's words, bit by bit, with literals from the manual.
#include <vapic/hw/pi.hpp>
#include <vapic/hw/vmx.hpp>

#include <gtest/gtest.h>

using namespace vapic::hw;

namespace {

// `mask` is the field's place.
template <typename Word, typename Field, typename Value>
void expect_field(Field field, Value value, typename Word::Raw encoded, typename Word::Raw mask)
{
	using Raw = typename Word::Raw;

	constexpr Raw kOnes = static_cast<Raw>(~Raw{0});

	EXPECT_EQ(Word{}.with(field, value).raw(), encoded);
	EXPECT_EQ(Word{kOnes}.with(field, value).raw(), static_cast<Raw>((kOnes & ~mask) | encoded));
	EXPECT_EQ(Word{static_cast<Raw>(encoded | (kOnes & ~mask))}.get(field), value);
	EXPECT_EQ(field.kMask, mask);
}

TEST(PiControl, HasItsFieldsWhereTheManualSays)
{
	using C = PiControl;

	// Bits 256, 257, 279:272 and 319:288 of the descriptor.
	expect_field<C>(C::kOn, true, 0x1ull, 0x1ull);
	expect_field<C>(C::kSn, true, 0x2ull, 0x2ull);
	expect_field<C>(C::kNv, Vector{0xf2}, 0xf20000ull, 0xff0000ull);
	expect_field<C>(C::kNdst, NotificationDestination{0x89abcdefu}, 0x89abcdef00000000ull,
			0xffffffff00000000ull);
}

TEST(PidTableEntry, HasItsFieldsWhereTheManualSays)
{
	using E = PidTableEntry;

	expect_field<E>(E::kValid, true, 0x1ull, 0x1ull);
	expect_field<E>(E::kDescriptor, DescriptorNumber{0x123456789abull << 2}, 0x123456789ab00ull,
			0xfffffffffffc0ull);
}

TEST(GuestInterruptStatus, HasItsFieldsWhereTheManualSays)
{
	using S = GuestInterruptStatus;

	expect_field<S>(S::kRvi, Vector{0xa5}, 0x00a5, 0x00ff);
	expect_field<S>(S::kSvi, Vector{0xa5}, 0xa500, 0xff00);
}

TEST(Controls, AreTheBitsThatTheManualSays)
{
	expect_field<PinControls>(PinControls::kPostedInterrupts, true, 1u << 7, 1u << 7);
	expect_field<SecondaryControls>(SecondaryControls::kVirtualizeApicAccesses, true, 1u << 0,
					1u << 0);
	expect_field<SecondaryControls>(SecondaryControls::kVirtualizeX2apicMode, true, 1u << 4,
					1u << 4);
	expect_field<SecondaryControls>(SecondaryControls::kApicRegisterVirtualization, true,
					1u << 8, 1u << 8);
	expect_field<SecondaryControls>(SecondaryControls::kVirtualInterruptDelivery, true, 1u << 9,
					1u << 9);
	expect_field<TertiaryControls>(TertiaryControls::kIpiVirtualization, true, 1ull << 4,
				       1ull << 4);
}

} // namespace
