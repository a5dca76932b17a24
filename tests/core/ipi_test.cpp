// SPDX-License-Identifier: GPL-2.0-only
//
// Exit 401h: what remains to be done for each failure, and which destinations core reports to
// the host, by the shape of the destination and the state of the vCPU.
#include <vapic/avic.h>

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "machine.hpp"

namespace {

constexpr u64 kNotRunning = 0x100000000ull;
constexpr u32 kLogicalMode = 0x800;
constexpr u32 kBusy = 0x1000;

u64 icr(u32 destination, u32 low)
{
	return u64{destination} << 56 | low;
}

TEST(Ipi, FailureDecidesWhatIsLeftToDo)
{
	struct {
		u32 failure;
		vapic_avic_ipi_action idle;
		vapic_avic_ipi_action busy;
	} const cases[] = {
		{0, VAPIC_AVIC_IPI_EMULATE, VAPIC_AVIC_IPI_REWRITE},
		{1, VAPIC_AVIC_IPI_DONE, VAPIC_AVIC_IPI_DONE},
		{2, VAPIC_AVIC_IPI_EMULATE, VAPIC_AVIC_IPI_REWRITE},
		{4, VAPIC_AVIC_IPI_DONE, VAPIC_AVIC_IPI_DONE},
	};
	Machine machine;
	Vcpu &vcpu = machine.add_active(0);
	vapic_avic_counts expected = {};

	for (const auto &c : cases) {
		for (u64 index : {0ull, 0xffull, 0x1ffull}) {
			const u64 info2 = u64{c.failure} << 32 | index;

			EXPECT_EQ(incomplete_ipi(vcpu.core(), icr(9, 0x41), info2, false), c.idle);
			EXPECT_EQ(incomplete_ipi(vcpu.core(), icr(9, 0x41 | kBusy), info2, false),
				  c.busy);
			expected.ipi_exits[c.failure] += 2;
		}
	}
	for (unsigned i = 0; i < 5; ++i)
		EXPECT_EQ(vcpu.counts().ipi_exits[i], expected.ipi_exits[i]) << i;
	EXPECT_TRUE(fake_host::take_targets().empty());
}

TEST(Ipi, InvalidBackingPageIsABrokenInvariant)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(0);
	fake_host::ExpectBroken broken;

	EXPECT_EQ(incomplete_ipi(vcpu.core(), icr(0, 0x41), 0x300000000ull, false),
		  VAPIC_AVIC_IPI_DONE);
	EXPECT_THAT(broken.take(), testing::ElementsAre(vapic::Broken::kBackingPageInvalid));
	EXPECT_EQ(vcpu.counts().ipi_exits[3], 1u);
}

TEST(Ipi, UnknownFailureIsSaidAndTouchesNothing)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(0);

	vapic_avic_vcpu_block(vcpu.core());
	for (u64 failure : {5ull, 6ull, 0x100ull, 0x80000000ull, 0xffffffffull})
		EXPECT_EQ(incomplete_ipi(vcpu.core(), icr(0xff, 0x41), failure << 32, true),
			  VAPIC_AVIC_IPI_UNKNOWN);
	EXPECT_TRUE(fake_host::take_targets().empty());
	for (u64 count : vcpu.counts().ipi_exits)
		EXPECT_EQ(count, 0u);
}

// --- Destinations ---

enum class State { kAwake, kAsleep, kInactive, kAsleepInactive };

constexpr State kStates[] = {State::kAwake, State::kAsleep, State::kInactive,
			     State::kAsleepInactive};

// Eight vCPUs, IDs far apart, states and logical IDs mixed; the fifth sends.
class Destinations : public testing::TestWithParam<std::tuple<bool, bool>> {
protected:
	static constexpr u32 kIds[] = {0, 1, 2, 30, 31, 100, 253, 254};
	static constexpr unsigned kSender = 4;

	Destinations()
	{
		for (unsigned i = 0; i < 8; ++i) {
			vcpus[i] = &machine.add(kIds[i]);
			states[i] = kStates[i % 4];
			if (states[i] == State::kAwake || states[i] == State::kAsleep)
				vapic_avic_vcpu_activate(vcpus[i]->core());
			if (states[i] == State::kAsleep || states[i] == State::kAsleepInactive)
				vapic_avic_vcpu_block(vcpus[i]->core());
			else
				vapic_avic_vcpu_load(vcpus[i]->core(), i);
		}
	}

	bool hidden() const { return std::get<0>(GetParam()); }
	bool visit_all() const { return std::get<1>(GetParam()); }

	bool active(unsigned i) const
	{
		return states[i] == State::kAwake || states[i] == State::kAsleep;
	}

	// What core must report about vCPU `i` if it is a destination; empty for no report.
	std::optional<vapic_avic_ipi_target> told(unsigned i) const
	{
		switch (states[i]) {
		case State::kAsleep:
			return VAPIC_AVIC_TARGET_ASLEEP;
		case State::kInactive:
		case State::kAsleepInactive:
			return VAPIC_AVIC_TARGET_INACTIVE;
		case State::kAwake:
			break;
		}
		if (hidden())
			return VAPIC_AVIC_TARGET_UNSEEN;
		if (visit_all())
			return VAPIC_AVIC_TARGET_AWAKE;
		return {};
	}

	void expect(u64 info1, const std::set<unsigned> &destinations)
	{
		std::vector<fake_host::Target> expected;
		const vapic_avic_counts before = vcpus[kSender]->counts();
		u64 asleep = 0;
		u64 inactive = 0;

		for (unsigned i : destinations) {
			const std::optional<vapic_avic_ipi_target> how = told(i);

			if (!how)
				continue;
			expected.push_back({vcpus[i]->host(), static_cast<u32>(info1), *how});
			asleep += *how == VAPIC_AVIC_TARGET_ASLEEP;
			inactive += *how == VAPIC_AVIC_TARGET_INACTIVE;
		}
		ASSERT_EQ(incomplete_ipi(vcpus[kSender]->core(), info1, kNotRunning, visit_all()),
			  VAPIC_AVIC_IPI_DONE);
		ASSERT_THAT(fake_host::take_targets(), testing::UnorderedElementsAreArray(expected))
			<< std::hex << info1;

		const vapic_avic_counts after = vcpus[kSender]->counts();

		ASSERT_EQ(after.ipi_woken - before.ipi_woken, asleep);
		ASSERT_EQ(after.ipi_inactive - before.ipi_inactive, inactive);
	}

	// The first logical IPI after a change of the table may have addressed any vCPU; later ones
	// have not.
	void table_settles() { expect(icr(0x01, 0x41 | kLogicalMode), everybody()); }

	static std::set<unsigned> everybody() { return {0, 1, 2, 3, 4, 5, 6, 7}; }

	Machine machine{std::get<0>(GetParam())};
	Vcpu *vcpus[8];
	State states[8];
};

INSTANTIATE_TEST_SUITE_P(HiddenAndVisitAll, Destinations,
			 testing::Combine(testing::Bool(), testing::Bool()));

TEST_P(Destinations, PhysicalIdReachesThatVcpuOrNobody)
{
	for (u32 dest = 0; dest < 255; ++dest) {
		std::set<unsigned> to;

		for (unsigned i = 0; i < 8; ++i)
			if (kIds[i] == dest)
				to.insert(i);
		expect(icr(dest, 0x41), to);
	}
}

TEST_P(Destinations, BroadcastReachesEverybody)
{
	expect(icr(0xff, 0x41), everybody());
	expect(icr(0xff, 0x41 | kLogicalMode), everybody());
	expect(icr(0x12, 0x41 | 2u << 18), everybody());
	vcpus[kSender]->set_dfr(Machine::kCluster);
	expect(icr(0xff, 0x41 | kLogicalMode), everybody());
}

TEST_P(Destinations, AllButSelfLeavesOutTheSender)
{
	std::set<unsigned> others = everybody();

	others.erase(kSender);
	expect(icr(0x12, 0x41 | 3u << 18), others);
}

TEST_P(Destinations, SelfIsTheSender)
{
	expect(icr(0x12, 0x41 | 1u << 18), {kSender});
}

TEST_P(Destinations, FlatLogicalReachesWhoHasABitInCommon)
{
	for (unsigned i = 0; i < 8; ++i) {
		vcpus[i]->set_ldr(1u << i);
		vapic_avic_vcpu_sync_logical(vcpus[i]->core(), false);
	}
	table_settles();
	for (u32 dest = 0; dest < 255; ++dest) {
		std::set<unsigned> to;

		for (unsigned i = 0; i < 8; ++i)
			if (dest >> i & 1 && active(i))
				to.insert(i);
		expect(icr(dest, 0x41 | kLogicalMode), to);
	}
}

TEST_P(Destinations, ClusterLogicalReachesItsClusterAlone)
{
	const u32 ldrs[] = {0x01, 0x02, 0x04, 0x08, 0x51, 0x52, 0xe1, 0xe8};

	for (unsigned i = 0; i < 8; ++i) {
		vcpus[i]->set_dfr(Machine::kCluster);
		vcpus[i]->set_ldr(ldrs[i]);
		vapic_avic_vcpu_sync_logical(vcpus[i]->core(), false);
	}
	table_settles();
	for (u32 dest = 0; dest < 0xf0; ++dest) {
		std::set<unsigned> to;

		for (unsigned i = 0; i < 8; ++i)
			if (ldrs[i] / 16 == dest / 16 && (ldrs[i] & dest & 15) && active(i))
				to.insert(i);
		expect(icr(dest, 0x41 | kLogicalMode), to);
	}
	// A destination in every cluster: core visits every vCPU and at worst wakes too many.
	for (u32 dest = 0xf0; dest <= 0xff; ++dest)
		expect(icr(dest, 0x41 | kLogicalMode), everybody());
}

// Hardware set the IRR of a vCPU that left the table before the sender's exit was handled.
TEST_P(Destinations, VcpuThatLeftTheLogicalTableMeanwhileIsNotMissed)
{
	const u32 bit = 0x10;
	const u64 sent = icr(bit, 0x41 | kLogicalMode);
	Vcpu &leaves = *vcpus[4], &comes = *vcpus[5];

	ASSERT_TRUE(active(4) && active(5));
	leaves.set_ldr(bit);
	vapic_avic_vcpu_sync_logical(leaves.core(), false);
	table_settles();
	expect(sent, {4});

	// It has got a new ID.
	leaves.set_ldr(0);
	vapic_avic_vcpu_sync_logical(leaves.core(), false);
	expect(sent, everybody());
	expect(sent, {});

	// Another vCPU has its ID now.
	leaves.set_ldr(bit);
	vapic_avic_vcpu_sync_logical(leaves.core(), false);
	table_settles();
	comes.set_ldr(bit);
	vapic_avic_vcpu_sync_logical(comes.core(), false);
	expect(sent, everybody());
	expect(sent, {5});

	// It is inactive.
	vapic_avic_vcpu_deactivate(comes.core());
	vapic_avic_vcpu_sync_logical(comes.core(), false);
	states[5] = State::kAsleepInactive;
	expect(sent, everybody());
	expect(sent, {});
}

TEST_P(Destinations, RetiredVcpuIsNotNamed)
{
	std::set<unsigned> rest = everybody();

	for (unsigned i : {1u, 2u, 7u, 0u}) {
		vapic_avic_vcpu_retire(vcpus[i]->core());
		rest.erase(i);
		expect(icr(0xff, 0x41), rest);
		expect(icr(kIds[i], 0x41), {});
	}
}

TEST_P(Destinations, LowHalfOfIcrReachesTheHostUnchanged)
{
	const u32 low = 0x0003f7e5 & ~(3u << 18) & ~kLogicalMode;

	expect(icr(kIds[2], low), {2});
}

// --- Destinations in x2APIC mode ---

// vCPUs on both sides of ID 255 and of a cluster's border, all asleep but the first, which sends.
class X2apicDestinations : public testing::Test {
protected:
	static constexpr u32 kIds[] = {0, 14, 15, 16, 17, 254, 255, 256, 271, 272, 511};

	X2apicDestinations()
	{
		for (u32 id : kIds) {
			Vcpu &vcpu = machine.add_active(id);

			vcpus[id] = &vcpu;
			if (id)
				vapic_avic_vcpu_block(vcpu.core());
		}
	}

	void expect(u32 dest, u32 low, const std::set<u32> &ids)
	{
		std::vector<fake_host::Target> expected;

		for (u32 id : ids)
			if (id)
				expected.push_back({vcpus[id]->host(), low, VAPIC_AVIC_TARGET_ASLEEP});
		ASSERT_EQ(incomplete_ipi(vcpus[0]->core(), u64{dest} << 32 | low, kNotRunning, false, true),
			  VAPIC_AVIC_IPI_DONE);
		ASSERT_THAT(fake_host::take_targets(), testing::UnorderedElementsAreArray(expected))
			<< std::hex << dest << " " << low;
	}

	Machine machine{false, 512};
	std::map<u32, Vcpu *> vcpus;
};

TEST_F(X2apicDestinations, PhysicalIdReachesThatVcpuOrNobody)
{
	for (u32 dest = 0; dest < 0x1200; ++dest) {
		const std::set<u32> to = vcpus.count(dest) ? std::set<u32>{dest} : std::set<u32>{};

		expect(dest, 0x41, to);
	}
	// These would be in the table if an upper half were dropped.
	for (u32 dest : {0x10000u, 0x1000fu, 0xff000000u, 0xfffffffeu})
		expect(dest, 0x41, {});
}

TEST_F(X2apicDestinations, BroadcastAndShorthandsReachEverybody)
{
	const std::set<u32> all(std::begin(kIds), std::end(kIds));

	expect(0xffffffff, 0x41, all);
	expect(0xffffffff, 0x41 | kLogicalMode, all);
	expect(3, 0x41 | 2u << 18, all);
	expect(3, 0x41 | 3u << 18, all);
	expect(3, 0x41 | 1u << 18, {});
}

TEST_F(X2apicDestinations, LogicalReachesTheNamedMembersOfOneCluster)
{
	for (u32 cluster = 0; cluster < 40; ++cluster) {
		for (u32 mask : {0x0000u, 0x0001u, 0x4000u, 0x8000u, 0x8003u, 0xffffu}) {
			std::set<u32> to;

			for (u32 id : kIds)
				if (id / 16 == cluster && (mask >> id % 16 & 1))
					to.insert(id);
			expect(cluster << 16 | mask, 0x41 | kLogicalMode, to);
		}
	}
	// Of clusters beyond the table, whatever their number is when multiplied by 16.
	for (u32 cluster : {0x1000u, 0x1010u, 0xfffeu})
		expect(cluster << 16 | 0xffff, 0x41 | kLogicalMode, {});
}

} // namespace
