// SPDX-License-Identifier: GPL-2.0-only
//
// The content of the descriptor after load, suppress and arm, and when a vCPU counts as having
// an interrupt pending.
#include <vapic/vmx_hot.h>
#include <vapic/vmx.h>

#include <gtest/gtest.h>

#include "posted_machine.hpp"

namespace {

using V = PostedVcpu;

constexpr u64 loaded(u32 destination)
{
	return u64{destination} << 32 | 0xf20000;
}

TEST(PiDestination, IsTheApicIdInX2apicMode)
{
	EXPECT_EQ(vapic_pi_destination(0x12345678, true), 0x12345678u);
}

TEST(PiDestination, IsInBits15To8InXapicMode)
{
	EXPECT_EQ(vapic_pi_destination(0xab, false), 0xab00u);
}

TEST(PiLoad, NamesTheCpuAndTheNotificationVector)
{
	V v;

	v.control() = V::kSn;
	vapic_pi_vcpu_load(v.core(), 0x300);
	EXPECT_EQ(v.control(), loaded(0x300));
}

TEST(PiLoad, KeepsOn)
{
	V v;

	v.control() = V::kSn | V::kOn;
	vapic_pi_vcpu_load(v.core(), 5);
	EXPECT_EQ(v.control(), loaded(5) | V::kOn);
}

// Even if nobody called vapic_pi_vcpu_resume() before.
TEST(PiLoad, OnTheSameCpuEndsSuppressionAlone)
{
	for (const bool posted : {false, true}) {
		V v;

		vapic_pi_vcpu_load(v.core(), 5);
		vapic_pi_vcpu_load(v.core(), 5);
		EXPECT_EQ(v.control(), loaded(5));
		vapic_pi_vcpu_suppress(v.core());
		v.pir(1) = posted;
		vapic_pi_vcpu_load(v.core(), 5);
		EXPECT_EQ(v.control(), loaded(5) | (posted ? V::kOn : 0));
	}
}

// It does not come home, and all that a load writes is there already.
TEST(PiLoad, MayFindNothingToWrite)
{
	V v;

	vapic_pi_vcpu_load(v.core(), 5);
	vapic_pi_vcpu_leave_home(v.core());
	vapic_pi_vcpu_load(v.core(), 5);
	EXPECT_EQ(v.control(), loaded(5));
	EXPECT_TRUE(vapic_pi_vcpu_resume(v.core(), 5));
}

TEST(PiLoad, SetsOnForWhatCameWhileSuppressed)
{
	for (unsigned word = 0; word < 4; ++word) {
		V v;

		v.control() = V::kSn;
		v.pir(word) = 0x8000000000000000ull;
		vapic_pi_vcpu_load(v.core(), 5);
		EXPECT_EQ(v.control(), loaded(5) | V::kOn) << word;
	}
}

TEST(PiLoad, KeepsReservedBits)
{
	V v;

	v.control() = 0x00000000ff00fffcull;
	vapic_pi_vcpu_load(v.core(), 1);
	EXPECT_EQ(v.control(), 0x00000001fff2fffcull);
}

TEST(PiLoad, EndsAWait)
{
	V v;

	vapic_pi_vcpu_load(v.core(), 7);
	EXPECT_FALSE(vapic_pi_vcpu_arm(v.core()));
	vapic_pi_vcpu_load(v.core(), 8);
	EXPECT_EQ(v.control(), loaded(8));
}

TEST(PiResume, LeavesAloneWhoWasNotSuppressed)
{
	V v;

	vapic_pi_vcpu_load(v.core(), 7);
	// The sender that posted this is about to set ON.
	v.pir(1) = 1;
	EXPECT_TRUE(vapic_pi_vcpu_resume(v.core(), 7));
	EXPECT_EQ(v.control(), loaded(7));
}

TEST(PiResume, SetsOnForWhatCameWhileSuppressed)
{
	V v;

	vapic_pi_vcpu_load(v.core(), 7);
	vapic_pi_vcpu_suppress(v.core());
	v.pir(1) = 1;
	EXPECT_TRUE(vapic_pi_vcpu_resume(v.core(), 7));
	EXPECT_EQ(v.control(), loaded(7) | V::kOn);
}

TEST(PiSuppress, SetsSnAlone)
{
	V v;

	vapic_pi_vcpu_load(v.core(), 7);
	vapic_pi_vcpu_suppress(v.core());
	EXPECT_EQ(v.control(), loaded(7) | V::kSn);
}

TEST(PiArm, NamesTheWakeupVectorWhereTheVcpuWas)
{
	V v;

	vapic_pi_vcpu_load(v.core(), 7);
	EXPECT_FALSE(vapic_pi_vcpu_arm(v.core()));
	EXPECT_EQ(v.control(), u64{7} << 32 | 0xf10000);
}

TEST(PiArm, TellsOfWhatWasPosted)
{
	V v;

	vapic_pi_vcpu_load(v.core(), 7);
	v.control() |= V::kOn;
	EXPECT_TRUE(vapic_pi_vcpu_arm(v.core()));
	EXPECT_EQ(v.control(), u64{7} << 32 | 0xf10000 | V::kOn);
}

} // namespace
