// SPDX-License-Identifier: GPL-2.0-only
//
// The content of the table and the attention byte after each residency call. What senders may
// see during a call is tested in residency_history_test.cpp and interleaving_test.cpp.
#include <vapic/avic.h>
#include <vapic/avic_hot.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "machine.hpp"

namespace {

class Residency : public testing::TestWithParam<bool> {
protected:
	Machine machine{GetParam()};
	Vcpu &vcpu = machine.add(7);

	// The entry that hardware should read for a vCPU that runs on `host_id`, or has run there.
	u64 on(u32 host_id) const
	{
		return running(vcpu, host_id) & ~(GetParam() ? kEntryRunning : 0);
	}

	u64 off(u32 host_id) const { return parked(vcpu, host_id); }

	void expect(u64 entry, bool asleep, bool inactive, bool far = false)
	{
		EXPECT_EQ(machine.physical(7), entry);
		EXPECT_EQ(vapic_avic_vcpu_host_id(vcpu.core()), entry & 0xfff);
		EXPECT_EQ(machine.attention()[7], asleep | inactive << 1 | far << 2);
		EXPECT_EQ(vapic_avic_vcpu_must_wake(vcpu.core()), asleep);
	}
};

INSTANTIATE_TEST_SUITE_P(ShownAndHidden, Residency, testing::Bool());

TEST_P(Residency, BeginsInactive)
{
	expect(parked(vcpu), false, true);
}

TEST_P(Residency, InactiveVcpuNeverRuns)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	expect(parked(vcpu), false, true);
	vapic_avic_vcpu_block(vcpu.core());
	expect(parked(vcpu), true, true);
	vapic_avic_vcpu_load(vcpu.core(), 3);
	expect(parked(vcpu), true, true);
	vapic_avic_vcpu_unblock(vcpu.core(), 3);
	expect(parked(vcpu), false, true);
	vapic_avic_vcpu_put(vcpu.core());
	expect(parked(vcpu), false, true);
}

TEST_P(Residency, LoadAndPutFollowTheCpu)
{
	vapic_avic_vcpu_activate(vcpu.core());
	expect(parked(vcpu), false, false);
	vapic_avic_vcpu_load(vcpu.core(), 3);
	expect(on(3), false, false);
	vapic_avic_vcpu_put(vcpu.core());
	expect(off(3), false, false);
	vapic_avic_vcpu_load(vcpu.core(), 0xffe);
	expect(on(0xffe), false, false);
	vapic_avic_vcpu_load(vcpu.core(), 0);
	expect(on(0), false, false);
}

TEST_P(Residency, BlockedVcpuIsNotShownAsRunningByLoad)
{
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_block(vcpu.core());
	expect(off(3), true, false);
	vapic_avic_vcpu_put(vcpu.core());
	expect(off(3), true, false);
	vapic_avic_vcpu_load(vcpu.core(), 4);
	expect(off(3), true, false);
	vapic_avic_vcpu_unblock(vcpu.core(), 4);
	expect(on(4), false, false);
}

TEST_P(Residency, DeactivationTakesTheVcpuOffItsCpu)
{
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_deactivate(vcpu.core());
	expect(off(3), false, true);
	vapic_avic_vcpu_load(vcpu.core(), 4);
	expect(off(3), false, true);
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 4);
	expect(on(4), false, false);
}

TEST_P(Residency, SleepAndInactivityAreIndependent)
{
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_block(vcpu.core());
	vapic_avic_vcpu_deactivate(vcpu.core());
	expect(parked(vcpu), true, true);
	vapic_avic_vcpu_activate(vcpu.core());
	expect(parked(vcpu), true, false);
	vapic_avic_vcpu_deactivate(vcpu.core());
	vapic_avic_vcpu_unblock(vcpu.core(), 3);
	expect(parked(vcpu), false, true);
}

TEST_P(Residency, CpuThatNoEntryCanNameIsNeverShown)
{
	vapic_avic_vcpu_activate(vcpu.core());
	for (u32 far : {0xfffu, 0x1000u, 0x1003u, 0xffffffffu}) {
		vapic_avic_vcpu_load(vcpu.core(), 3);
		expect(on(3), false, false);
		vapic_avic_vcpu_put(vcpu.core());
		vapic_avic_vcpu_load(vcpu.core(), far);
		expect(parked(vcpu), false, false, true);
		vapic_avic_vcpu_put(vcpu.core());
		expect(parked(vcpu), false, false, true);
		// Asleep on such a CPU, and awake again on a CPU that can be named.
		vapic_avic_vcpu_load(vcpu.core(), far);
		vapic_avic_vcpu_block(vcpu.core());
		expect(parked(vcpu), true, false, true);
		vapic_avic_vcpu_unblock(vcpu.core(), 4);
		expect(on(4), false, false);
		// And the other way round.
		vapic_avic_vcpu_block(vcpu.core());
		vapic_avic_vcpu_unblock(vcpu.core(), far);
		expect(parked(vcpu), false, false, true);
		vapic_avic_vcpu_deactivate(vcpu.core());
		expect(parked(vcpu), false, true, true);
		vapic_avic_vcpu_activate(vcpu.core());
	}
}

// With IsRunning clear the sender exits. Its handler must not take a vCPU that is far for one
// that is about to look at its IRR by itself.
TEST_P(Residency, SenderIsToldOfAVcpuOnACpuThatNoEntryCanName)
{
	Vcpu &sender = machine.add_active(8);

	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 0x1003);
	EXPECT_EQ(incomplete_ipi(sender.core(), 0x0700000000000041ull, 0x100000000ull, false),
		  VAPIC_AVIC_IPI_DONE);
	EXPECT_THAT(fake_host::take_targets(),
		    testing::ElementsAre(
			    fake_host::Target{vcpu.host(), 0x41, VAPIC_AVIC_TARGET_UNSEEN}));
}

// Root has switched IPI virtualization off for its VM. Where all are hidden there is nothing to hide.
TEST_P(Residency, HiddenVcpuKeepsItsCpuAndSendersKnow)
{
	const bool hides = !GetParam();

	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_show_running(vcpu.core(), false);
	// Senders know before the table says so.
	expect(on(3), false, false, hides);
	vapic_avic_vcpu_load(vcpu.core(), 3);
	expect(off(3), false, false, hides);
	vapic_avic_vcpu_put(vcpu.core());
	expect(off(3), false, false, hides);
	vapic_avic_vcpu_load(vcpu.core(), 4);
	expect(off(4), false, false, hides);
	vapic_avic_vcpu_block(vcpu.core());
	expect(off(4), true, false, hides);
	vapic_avic_vcpu_unblock(vcpu.core(), 5);
	expect(off(5), false, false, hides);
	vapic_avic_vcpu_deactivate(vcpu.core());
	expect(off(5), false, true, hides);
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 0x1003);
	expect(parked(vcpu), false, false, true);
	vapic_avic_vcpu_load(vcpu.core(), 6);
	expect(off(6), false, false, hides);

	vapic_avic_vcpu_show_running(vcpu.core(), true);
	expect(off(6), false, false, hides);
	vapic_avic_vcpu_load(vcpu.core(), 6);
	expect(on(6), false, false);
}

TEST_P(Residency, VcpuMayBeHiddenWhileItIsNotAccelerated)
{
	vapic_avic_vcpu_show_running(vcpu.core(), false);
	vapic_avic_vcpu_load(vcpu.core(), 3);
	expect(parked(vcpu), false, true, !GetParam());
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	expect(off(3), false, false, !GetParam());
}

TEST_P(Residency, SenderIsToldOfAHiddenVcpu)
{
	Vcpu &sender = machine.add_active(8);

	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_show_running(vcpu.core(), false);
	vapic_avic_vcpu_load(vcpu.core(), 3);
	EXPECT_EQ(incomplete_ipi(sender.core(), 0x0700000000000041ull, 0x100000000ull, false),
		  VAPIC_AVIC_IPI_DONE);
	EXPECT_THAT(fake_host::take_targets(),
		    testing::ElementsAre(
			    fake_host::Target{vcpu.host(), 0x41, VAPIC_AVIC_TARGET_UNSEEN}));
}

TEST_P(Residency, OneVcpuDoesNotDisturbAnother)
{
	Vcpu &other = machine.add_active(8);

	vapic_avic_vcpu_load(other.core(), 1);
	const u64 before = machine.physical(8);

	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_block(vcpu.core());
	vapic_avic_vcpu_unblock(vcpu.core(), 3);
	vapic_avic_vcpu_deactivate(vcpu.core());
	EXPECT_EQ(machine.physical(8), before);
	EXPECT_EQ(machine.attention()[8], 0);
}

} // namespace
