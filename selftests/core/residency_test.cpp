// SPDX-License-Identifier: GPL-2.0-only
//
// What each residency call leaves in the table and the attention byte. What senders may
// see in between is in residency_history_test.cpp and interleaving_test.cpp.
#include <vapic/core.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "machine.hpp"

namespace {

class Residency : public testing::TestWithParam<bool> {
protected:
	Machine machine{GetParam()};
	Vcpu &vcpu = machine.add(7);

	// What hardware should read of a vCPU that runs on `host_id`.
	u64 on(u32 host_id) const
	{
		return running(vcpu, host_id) & ~(GetParam() ? kEntryRunning : 0);
	}

	void expect(u64 entry, bool asleep, bool inactive)
	{
		EXPECT_EQ(machine.physical(7), entry);
		EXPECT_EQ(machine.attention()[7], asleep | inactive << 1);
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
	expect(parked(vcpu), false, false);
	vapic_avic_vcpu_load(vcpu.core(), 0xfff);
	expect(on(0xfff), false, false);
	vapic_avic_vcpu_load(vcpu.core(), 0);
	expect(on(0), false, false);
}

TEST_P(Residency, BlockedVcpuIsNotShownAsRunningByLoad)
{
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_block(vcpu.core());
	expect(parked(vcpu), true, false);
	vapic_avic_vcpu_put(vcpu.core());
	expect(parked(vcpu), true, false);
	vapic_avic_vcpu_load(vcpu.core(), 4);
	expect(parked(vcpu), true, false);
	vapic_avic_vcpu_unblock(vcpu.core(), 4);
	expect(on(4), false, false);
}

TEST_P(Residency, DeactivationTakesTheVcpuOffItsCpu)
{
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_deactivate(vcpu.core());
	expect(parked(vcpu), false, true);
	vapic_avic_vcpu_load(vcpu.core(), 3);
	expect(parked(vcpu), false, true);
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	expect(on(3), false, false);
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

TEST_P(Residency, HostIdBeyondTheFieldIsReportedAndDoesNotSpill)
{
	fake_host::ExpectBroken broken;

	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 0x1005);
	EXPECT_THAT(broken.take(), testing::ElementsAre(vapic::Broken::kFieldOverflow));
	expect(on(5), false, false);
}

} // namespace
