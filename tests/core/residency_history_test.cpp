// SPDX-License-Identifier: GPL-2.0-only
//
// What senders may see during a residency call: each step of (asleep, inactive, IsRunning) in
// order; the rest of the entry must not change at any time.
#define SEAM_NO_REDIRECTION
#include "history.hpp"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using testing::ElementsAre;

namespace {

// A state is a string with a letter for each of a(sleep), i(nactive), f(ar), r(unning), and a
// dash if the entry names no CPU. It is empty if none applies.
using Seen = std::vector<std::string>;

class ResidencyHistory : public testing::Test {
protected:
	static constexpr u32 kId = 6;

	Machine machine;
	Vcpu &vcpu = machine.add_active(kId);

	// Returns the distinct states that `call` shows, in order. Checks that the call changes
	// no other entry, and in this entry only IsRunning and the host CPU.
	Seen seen(const std::function<void(vapic_avic_vcpu *)> &call)
	{
		History history(machine);
		Seen states;

		call(vcpu.core());
		history.replay([&](const Visible &v) {
			const u64 entry = v.physical[kId];
			std::string state;

			EXPECT_EQ(entry & ~(kEntryRunning | 0xfff), kEntryValid | vcpu.regs_pa());
			for (u32 id = 0; id < 512; ++id)
				EXPECT_TRUE(id == kId || !v.physical[id]);
			if (entry & kEntryRunning)
				state += "r" + std::to_string(entry & 0xfff);
			if (v.attention[kId] & 1)
				state += 'a';
			if (v.attention[kId] & 2)
				state += 'i';
			if (v.attention[kId] & 4)
				state += 'f';
			EXPECT_EQ(v.attention[kId] & ~7, 0);
			// A software sender that sees guest mode finds no CPU to ring.
			if ((entry & 0xfff) == kNowhere)
				state += '-';
			if (states.empty() || states.back() != state)
				states.push_back(state);
		});
		last_locked = history.writes() && history.locked(history.writes() - 1);
		return states;
	}

	bool last_locked = false;
};

TEST_F(ResidencyHistory, LoadShowsTheCpuAtOnce)
{
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_load(v, 3); }), ElementsAre("-", "r3"));
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_load(v, 4); }), ElementsAre("r3", "r4"));
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_put(v); }), ElementsAre("r4", ""));
}

// Never "", which means not running without a reason.
TEST_F(ResidencyHistory, BlockSaysAsleepBeforeItStopsRunning)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_block(v); }), ElementsAre("r3", "r3a", "a"));
	EXPECT_TRUE(last_locked) << "the caller's look at the IRR could pass it";
}

// Never "r3a", which would make a sender ring a vCPU that sleeps.
TEST_F(ResidencyHistory, UnblockSaysAwakeBeforeItRuns)
{
	vapic_avic_vcpu_load(vcpu.core(), 4);
	vapic_avic_vcpu_block(vcpu.core());
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_unblock(v, 3); }), ElementsAre("a", "", "r3"));
}

TEST_F(ResidencyHistory, PreemptedSleeperNeverRuns)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_block(vcpu.core());
	EXPECT_THAT(seen([](auto *v) {
			    vapic_avic_vcpu_put(v);
			    vapic_avic_vcpu_load(v, 4);
			    vapic_avic_vcpu_put(v);
		    }),
		    ElementsAre("a"));
}

TEST_F(ResidencyHistory, DeactivationSaysSoBeforeItStopsRunning)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_deactivate(v); }),
		    ElementsAre("r3", "r3i", "i"));
	EXPECT_TRUE(last_locked) << "KVM's look at the IRR could pass it";
	EXPECT_THAT(seen([](auto *v) {
			    vapic_avic_vcpu_activate(v);
			    vapic_avic_vcpu_load(v, 3);
		    }),
		    ElementsAre("i", "", "r3"));
}

// "" is allowed only while the vCPU is not in guest mode, because then no sender needs to notify
// it. "f" without a dash is allowed only before the vCPU enters the guest on that CPU.
TEST_F(ResidencyHistory, LoadOnACpuThatNoEntryCanNameSaysSo)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_put(vcpu.core());
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_load(v, 0x1003); }),
		    ElementsAre("", "f", "f-"));
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_put(v); }), ElementsAre("f-"));
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_block(v); }), ElementsAre("f-", "af-"));
	EXPECT_TRUE(last_locked) << "the caller's look at the IRR could pass it";
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_unblock(v, 4); }),
		    ElementsAre("af-", "f-", "-", "r4"));
}

TEST_F(ResidencyHistory, HidingSaysSoBeforeTheEntryDoes)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	EXPECT_THAT(seen([](auto *v) {
			    vapic_avic_vcpu_show_running(v, false);
			    vapic_avic_vcpu_load(v, 3);
		    }),
		    ElementsAre("r3", "r3f", "f"));
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_block(v); }), ElementsAre("f", "af"));
	EXPECT_THAT(seen([](auto *v) { vapic_avic_vcpu_unblock(v, 4); }), ElementsAre("af", "f"));
	EXPECT_THAT(seen([](auto *v) {
			    vapic_avic_vcpu_show_running(v, true);
			    vapic_avic_vcpu_load(v, 4);
		    }),
		    ElementsAre("f", "", "r4"));
}

TEST_F(ResidencyHistory, RetirementLeavesTheTableInOneWrite)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);

	History history(machine);
	std::vector<u64> entries;

	vapic_avic_vcpu_retire(vcpu.core());
	history.replay([&](const Visible &v) { entries.push_back(v.physical[kId]); });
	entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
	EXPECT_THAT(entries, ElementsAre(running(vcpu, 3), 0));
}

TEST_F(ResidencyHistory, CreationShowsTheEntryLast)
{
	History history(machine);
	std::vector<std::pair<u64, unsigned>> states;
	Vcpu &next = machine.add(7);

	history.replay([&](const Visible &v) { states.emplace_back(v.physical[7], v.attention[7]); });
	// The entry becomes valid only after the attention byte says inactive.
	EXPECT_THAT(states, ElementsAre(std::pair(u64{0}, 0u), std::pair(u64{0}, 2u),
					std::pair(parked(next), 2u)));
}

} // namespace
