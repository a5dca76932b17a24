// SPDX-License-Identifier: GPL-2.0-only
//
// No interrupt is lost, in any interleaving that x86 allows, of senders with a target
// that runs, is preempted, sleeps, and has acceleration turned off and on. And each
// mistake of residency_mutants.hpp loses one, so the search would have noticed.
#define SEAM_NO_REDIRECTION
#include "residency_model.hpp"

#include <cstdio>

#include <gtest/gtest.h>

#include "residency_mutants.hpp"

using model::Scenario;
using model::explore;
using model::strings;

namespace {

const std::string kActs = "vhHpt";

std::string describe(const Scenario &s)
{
	return "acts '" + s.acts + "' senders '" + s.senders + "' begins " +
	       (s.begins_active ? "active" : "inactive") +
	       (s.hide_running ? ", IsRunning hidden" : "") + (s.kvm_sleep ? ", KVM's sleep" : "");
}

void expect_nothing_lost(const std::vector<Scenario> &scenarios)
{
	std::size_t states = 0;
	std::size_t ends = 0;

	for (const Scenario &s : scenarios) {
		const explorer::Result result = explore(s);

		ASSERT_EQ(result.refused, "") << describe(s) << '\n' << result.trace;
		ASSERT_GT(result.ends, 0u) << describe(s);
		states += result.states;
		ends += result.ends;
	}
	std::printf("%zu scenarios, %zu states, %zu ends\n", scenarios.size(), states, ends);
}

// All scripts of up to `acts` acts, on each kind of host, from each beginning.
std::vector<Scenario> scenarios(const std::vector<std::string> &senders, unsigned acts, Scenario s = {})
{
	std::vector<Scenario> all;

	for (const std::string &to : senders) {
		for (const std::string &a : strings(kActs, acts)) {
			for (bool active : {true, false}) {
				for (bool hidden : {false, true}) {
					s.senders = to;
					s.acts = a;
					s.begins_active = active;
					s.hide_running = hidden;
					all.push_back(s);
				}
			}
		}
	}
	return all;
}

TEST(Interleaving, OneIpiIsNeverLost)
{
	expect_nothing_lost(scenarios({"i"}, 3));
}

TEST(Interleaving, OneSoftwareInterruptIsNeverLost)
{
	expect_nothing_lost(scenarios({"s"}, 3));
}

TEST(Interleaving, TwoSendersAtATimeLoseNothing)
{
	std::vector<Scenario> all = scenarios({"ii", "is", "ss"}, 1);

	// With IsRunning hidden, hardware's senders only take the way of software's.
	std::erase_if(all, [](const Scenario &s) { return s.hide_running; });
	expect_nothing_lost(all);
}

// The same with the barriers and the wake-up that KVM really has.
TEST(Interleaving, KvmsOwnSleepLosesNothing)
{
	expect_nothing_lost(scenarios({"i", "s"}, 2, {.kvm_sleep = true}));
}

// Erratum 1235, with IPI hardware whose write of IRR may come after its read of IsRunning.
TEST(Interleaving, HiddenIsRunningMakesUpForTheErratum)
{
	std::vector<Scenario> all;

	for (const std::string &a : strings(kActs, 2)) {
		Scenario s{.acts = a, .senders = "i", .hide_running = true, .ipi_barrier = false};

		all.push_back(s);
		s.begins_active = false;
		all.push_back(s);
	}
	expect_nothing_lost(all);
}

// --- Mistakes ---

// True if some scripts lose an interrupt.
bool loses(Scenario s, const std::string &senders)
{
	for (const std::string &a : strings(kActs, 2)) {
		for (bool active : {true, false}) {
			s.acts = a;
			s.senders = senders;
			s.begins_active = active;
			if (!explore(s).refused.empty())
				return true;
		}
	}
	return false;
}

TEST(Mistake, NoneIsFoundInCoreWithTheSameSearch)
{
	EXPECT_FALSE(loses({}, "i"));
	EXPECT_FALSE(loses({}, "s"));
}

TEST(Mistake, BlockThatClearsIsRunningBeforeItSaysAsleep)
{
	EXPECT_TRUE(loses({.residency = {.block = mutant::block_running_first}}, "i"));
}

TEST(Mistake, BlockThatClearsIsRunningByAPlainStore)
{
	EXPECT_TRUE(loses({.residency = {.block = mutant::block_without_barrier}}, "i"));
	EXPECT_TRUE(loses({.residency = {.block = mutant::block_without_barrier}}, "s"));
}

TEST(Mistake, BlockThatDoesNotSayAsleep)
{
	EXPECT_TRUE(loses({.residency = {.block = mutant::block_silently}}, "i"));
	EXPECT_TRUE(loses({.residency = {.block = mutant::block_silently}}, "s"));
}

TEST(Mistake, BlockThatLeavesIsRunningSet)
{
	EXPECT_TRUE(loses({.residency = {.block = mutant::block_running}}, "i"));
}

TEST(Mistake, LoadThatSetsIsRunningOfASleeper)
{
	EXPECT_TRUE(loses({.residency = {.load = mutant::load_asleep}}, "i"));
}

TEST(Mistake, LoadThatKeepsTheOldCpu)
{
	EXPECT_TRUE(loses({.residency = {.load = mutant::load_first_cpu}}, "i"));
}

TEST(Mistake, UnblockThatLoadsBeforeItSaysAwake)
{
	// The first one wakes it, the second one is lost.
	EXPECT_TRUE(loses({.residency = {.unblock = mutant::unblock_load_first}}, "ii"));
}

TEST(Mistake, DeactivationThatClearsIsRunningBeforeItSaysInactive)
{
	EXPECT_TRUE(loses({.residency = {.deactivate = mutant::deactivate_running_first}}, "i"));
}

TEST(Mistake, DeactivationThatClearsIsRunningByAPlainStore)
{
	EXPECT_TRUE(loses({.residency = {.deactivate = mutant::deactivate_without_barrier}}, "i"));
}

TEST(Mistake, DeactivationThatDoesNotSayInactive)
{
	EXPECT_TRUE(loses({.residency = {.deactivate = mutant::deactivate_silently}}, "i"));
}

TEST(Mistake, ActivationWithoutLoad)
{
	EXPECT_TRUE(loses({.load_after_activate = false}, "i"));
}

TEST(Mistake, SenderThatIgnoresMustWake)
{
	EXPECT_TRUE(loses({.residency = {.must_wake = mutant::must_wake_nobody}}, "s"));
}

TEST(Mistake, SenderWithoutBarrierBehindItsIrr)
{
	EXPECT_TRUE(loses({.residency = {.set_irr = mutant::set_irr_without_barrier}}, "s"));
}

TEST(Mistake, GlueThatDoesNotWakeASleeper)
{
	EXPECT_TRUE(loses({.glue_wakes = false}, "i"));
}

TEST(Mistake, GlueThatDoesNotKickTheInactive)
{
	EXPECT_TRUE(loses({.glue_kicks = false}, "i"));
	EXPECT_TRUE(loses({.glue_kicks = false}, "s"));
}

TEST(Mistake, KvmWithoutItsBarrierBeforeVmrun)
{
	EXPECT_TRUE(loses({.enter_barrier = false}, "i"));
	EXPECT_TRUE(loses({.enter_barrier = false}, "s"));
}

TEST(Mistake, IsRunningShownOnHardwareWithTheErratum)
{
	EXPECT_TRUE(loses({.ipi_barrier = false}, "i"));
}

} // namespace
