// SPDX-License-Identifier: GPL-2.0-only
//
// No interrupt is lost in any interleaving that x86 allows of senders with a target that
// runs, is preempted, sleeps, and has acceleration turned off and on. Each mutant of
// residency_mutants.hpp loses an interrupt, so the search notices such mistakes.
#define SEAM_NO_REDIRECTION
#include "residency_model.hpp"

#include <gtest/gtest.h>

#include "residency_mutants.hpp"
#include "search.hpp"

using model::Scenario;
using search::expect_nothing_lost;

namespace {

const std::string kActs = "vhHpt";

// All scenarios with up to `acts` acts, on each kind of host.
std::vector<Scenario> scenarios(const std::vector<std::string> &senders, unsigned acts, Scenario s = {})
{
	std::vector<Scenario> all;

	for (const std::string &to : senders) {
		for (bool hidden : {false, true}) {
			s.hide_running = hidden;
			for (const Scenario &one : search::scripts(kActs, acts, to, s))
				all.push_back(one);
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

	// With IsRunning hidden, hardware senders behave like software senders.
	std::erase_if(all, [](const Scenario &s) { return s.hide_running; });
	expect_nothing_lost(all);
}

// The same with the barriers and the wake-up of real KVM.
TEST(Interleaving, KvmsOwnSleepLosesNothing)
{
	expect_nothing_lost(scenarios({"i", "s"}, 2, {.kvm_sleep = true}));
}

// Erratum 1235, with IPI hardware whose write of IRR may come after its read of IsRunning.
TEST(Interleaving, HiddenIsRunningMakesUpForTheErratum)
{
	expect_nothing_lost(search::scripts(
		kActs, 2, "i", Scenario{.hide_running = true, .ipi_barrier = false}));
}

// An entry can name one of the CPUs, but not the other.
TEST(Interleaving, CpuThatNoEntryCanNameLosesNothing)
{
	expect_nothing_lost(scenarios({"i", "s"}, 2, {.far_second = true}));
	expect_nothing_lost(
		search::scripts("pht", 3, "i", Scenario{.far_second = true, .kvm_sleep = true}));
}

// --- Mistakes ---

bool loses(const Scenario &s, const std::string &senders)
{
	return search::any_loses(search::scripts(kActs, 2, senders, s));
}

TEST(Mistake, NoneIsFoundInCoreWithTheSameSearch)
{
	EXPECT_FALSE(loses({}, "i"));
	EXPECT_FALSE(loses({}, "s"));
	EXPECT_FALSE(loses({.far_second = true}, "i"));
	EXPECT_FALSE(loses({.far_second = true}, "s"));
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

TEST(Mistake, LoadThatTruncatesTheIdOfACpu)
{
	const Scenario s{.far_second = true, .residency = {.load = mutant::load_far_truncated}};

	EXPECT_TRUE(loses(s, "i"));
	EXPECT_TRUE(loses(s, "s"));
}

TEST(Mistake, LoadThatDoesNotSayThatItsCpuIsFar)
{
	EXPECT_TRUE(loses({.far_second = true, .residency = {.load = mutant::load_far_silently}}, "i"));
}

TEST(Mistake, LoadThatNamesTheLastCpuOnOneThatIsFar)
{
	EXPECT_TRUE(loses({.far_second = true, .residency = {.load = mutant::load_far_keeps_cpu}}, "s"));
}

TEST(Mistake, GlueThatDoesNotKickWhoIsFar)
{
	EXPECT_TRUE(loses({.far_second = true, .glue_kicks = false}, "i"));
	EXPECT_TRUE(loses({.far_second = true, .glue_kicks = false}, "s"));
}

TEST(Mistake, UnblockThatLoadsBeforeItSaysAwake)
{
	// The first IPI wakes the vCPU, the second one is lost.
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
