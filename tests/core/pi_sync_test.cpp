// SPDX-License-Identifier: GPL-2.0-only
//
// Posting interrupts, and moving posted interrupts to the IRR.
#include <vapic/vmx_hot.h>

#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "posted_machine.hpp"

namespace {

using V = PostedVcpu;

vapic_pi_irr sync(V &v, bool to_rvi = true)
{
	return vapic_pi_vcpu_sync(v.core(), to_rvi);
}

TEST(PiPost, SetsTheVectorAndOn)
{
	for (unsigned vector = 16; vector < 256; ++vector) {
		V v;

		EXPECT_TRUE(vapic_pi_post(v.descriptor(), static_cast<u8>(vector)));
		EXPECT_EQ(v.control(), V::kOn);
		for (unsigned i = 0; i < 4; ++i)
			EXPECT_EQ(v.pir(i), i == vector / 64 ? u64{1} << vector % 64 : 0) << vector;
	}
}

TEST(PiPost, TellsNobodyTwice)
{
	V v;

	EXPECT_TRUE(vapic_pi_post(v.descriptor(), 0x31));
	EXPECT_FALSE(vapic_pi_post(v.descriptor(), 0x31));
	EXPECT_FALSE(vapic_pi_post(v.descriptor(), 0x32));
	EXPECT_EQ(v.pir(0), 0x0006000000000000ull);
}

TEST(PiSync, MovesEveryVectorToItsRegister)
{
	for (unsigned vector = 16; vector < 256; ++vector) {
		V v;

		vapic_pi_post(v.descriptor(), static_cast<u8>(vector));

		const vapic_pi_irr irr = sync(v);

		EXPECT_EQ(irr.highest, vector);
		EXPECT_TRUE(irr.fresh);
		EXPECT_EQ(v.control(), 0u);
		for (unsigned i = 0; i < 8; ++i)
			EXPECT_EQ(v.irr(i), i == vector / 32 ? 1u << vector % 32 : 0) << vector;
		for (unsigned i = 0; i < 4; ++i)
			EXPECT_EQ(v.pir(i), 0u);
	}
}

TEST(PiSync, FindsNothingWhereNothingIs)
{
	V v;

	const vapic_pi_irr irr = sync(v);

	EXPECT_EQ(irr.highest, VAPIC_NO_VECTOR);
	EXPECT_FALSE(irr.fresh);
}

TEST(PiSync, KeepsWhatTheIrrHas)
{
	V v;

	v.irr(7) = 0x10;
	vapic_pi_post(v.descriptor(), 0x31);

	const vapic_pi_irr irr = sync(v);

	EXPECT_EQ(irr.highest, 228u);
	EXPECT_FALSE(irr.fresh);
	EXPECT_EQ(v.irr(7), 0x10u);
	EXPECT_EQ(v.irr(1), 0x20000u);
}

TEST(PiSync, DoesNotCallFreshWhatWasThere)
{
	V v;

	v.irr(1) = 0x20000;
	vapic_pi_post(v.descriptor(), 0x31);
	EXPECT_FALSE(sync(v).fresh);
}

// With ON clear, the sender of a vector in PIR has yet to set ON.
TEST(PiSync, LeavesPirWithoutOn)
{
	V v;

	v.pir(0) = 0x10000;
	EXPECT_EQ(sync(v).highest, VAPIC_NO_VECTOR);
	EXPECT_EQ(v.pir(0), 0x10000u);
}

// A notification with an empty PIR is legal.
TEST(PiSync, ClearsOnOverAnEmptyPir)
{
	V v;

	v.control() = V::kOn | V::kSn;
	EXPECT_EQ(sync(v).highest, VAPIC_NO_VECTOR);
	EXPECT_EQ(v.control(), V::kSn);
}

TEST(PiSettled, IsNotBeforeTheFirstSync)
{
	V v;

	EXPECT_FALSE(vapic_pi_vcpu_settled(v.core()));
	sync(v);
	EXPECT_TRUE(vapic_pi_vcpu_settled(v.core()));
}

TEST(PiSettled, EndsWithAPost)
{
	V v;

	sync(v);
	vapic_pi_post(v.descriptor(), 0x31);
	EXPECT_FALSE(vapic_pi_vcpu_settled(v.core()));
	sync(v);
	EXPECT_TRUE(vapic_pi_vcpu_settled(v.core()));
}

TEST(PiSettled, EndsWithASyncThatDoesNotStoreRvi)
{
	V v;

	sync(v);
	sync(v, false);
	EXPECT_FALSE(vapic_pi_vcpu_settled(v.core()));
}

TEST(PiSettled, EndsWithUnsettle)
{
	V v;

	sync(v);
	vapic_pi_vcpu_unsettle(v.core());
	EXPECT_FALSE(vapic_pi_vcpu_settled(v.core()));
}

TEST(PiDiscard, ForgetsWhatWasPosted)
{
	V v;

	sync(v);
	for (const u8 vector : {u8{0x20}, u8{0x61}, u8{0xa2}, u8{0xe3}})
		vapic_pi_post(v.descriptor(), vector);
	vapic_pi_vcpu_discard(v.core());
	for (unsigned i = 0; i < 4; ++i)
		EXPECT_EQ(v.pir(i), 0u);
	EXPECT_EQ(v.control(), 0u);
	EXPECT_FALSE(vapic_pi_vcpu_settled(v.core()));
}

TEST(PiDiscard, ForgetsWhatWasPostedWhileSuppressed)
{
	for (unsigned word = 0; word < 4; ++word) {
		V v;

		sync(v);
		v.control() = V::kSn;
		v.pir(word) = 0x8000000000000001ull;
		vapic_pi_vcpu_discard(v.core());
		EXPECT_EQ(v.pir(word), 0u);
		EXPECT_EQ(v.control(), u64{V::kSn});
		EXPECT_FALSE(vapic_pi_vcpu_settled(v.core()));
	}
}

TEST(PiInit, RefusesADescriptorThatIsNotAligned)
{
	fake_host::ExpectBroken broken;

	V{0x1020};
	EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kMisalignedDescriptor});
}

} // namespace
