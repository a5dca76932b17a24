// SPDX-License-Identifier: GPL-2.0-only
//
// No interrupt of an assigned device is lost in any interleaving that x86 allows, with a target that
// runs, is preempted, sleeps, and has acceleration turned off and on, while the device comes and goes.
// Mistakes in core, in the glue and of the IOMMU lose one, so the search notices them.
#define SEAM_NO_REDIRECTION
#include "residency_model.hpp"

#include <gtest/gtest.h>

#include "residency_mutants.hpp"
#include "search.hpp"

using model::Scenario;
using search::expect_nothing_lost;

namespace {

const std::string kActs = "vhHpt";

std::vector<Scenario> scenarios(const std::string &senders, unsigned acts, Scenario s = {})
{
	return search::scripts(kActs, acts, senders, s);
}

// There are so many interleavings that each act is tried once.
std::vector<Scenario> once(const std::string &senders, const std::vector<std::string> &acts,
			   Scenario s = {})
{
	std::vector<Scenario> all;

	s.senders = senders;
	for (const std::string &act : acts) {
		s.acts = act;
		all.push_back(s);
	}
	return all;
}

// An interrupt while the device comes.
std::vector<Scenario> coming(const std::vector<std::string> &acts, Scenario s = {})
{
	return once("ad", acts, s);
}

constexpr Scenario kAssigned{.begins_assigned = 1};
constexpr Scenario kTwo{.begins_assigned = 2};

TEST(DeviceInterleaving, OneInterruptIsNeverLost)
{
	expect_nothing_lost(scenarios("d", 2, kAssigned));
	expect_nothing_lost(search::scripts("hpt", 3, "d", kAssigned));
}

TEST(DeviceInterleaving, InterruptBesideAnIpiOrAnotherIsNeverLost)
{
	for (const char *senders : {"dd", "di", "ds"})
		expect_nothing_lost<Scenario>(
			{{.acts = "h", .senders = senders, .begins_assigned = 1},
			 {.acts = "t", .senders = senders, .begins_assigned = 1}});
}

TEST(DeviceInterleaving, NothingIsLostWhileTheDeviceComes)
{
	expect_nothing_lost(coming({"h", "p", "t"}));
	expect_nothing_lost(coming({"t"}, {.begins_active = false}));
}

TEST(DeviceInterleaving, NothingIsLostWhileTheDeviceGoes)
{
	expect_nothing_lost(scenarios("xd", 1, kAssigned));
}

TEST(DeviceInterleaving, TwoInterruptsOfOneVcpuLoseNothing)
{
	expect_nothing_lost(scenarios("D", 2, kTwo));
	expect_nothing_lost(once("dD", {"h", "p", "t"}, kTwo));
}

// The first one is there already, so who adds the second guesses nothing.
TEST(DeviceInterleaving, NothingIsLostWhileASecondInterruptComes)
{
	for (const char *senders : {"Ad", "AD"})
		expect_nothing_lost(once(senders, {"h", "p", "t"}, kAssigned));
	expect_nothing_lost(once("AD", {"t"}, {.begins_active = false, .begins_assigned = 1}));
}

TEST(DeviceInterleaving, NothingIsLostWhileOneGoesAndTheOtherStays)
{
	for (const char *senders : {"xd", "xD"})
		expect_nothing_lost(once(senders, {"h", "p", "t"}, kTwo));
}

// One look is enough for both changes. With a second interrupt, the posting word is never 0.
TEST(DeviceInterleaving, NothingIsLostWhileTheRouteChanges)
{
	expect_nothing_lost(once("rd", {"h"}, kAssigned));
	for (const char *senders : {"rd", "rD"})
		expect_nothing_lost(once(senders, {"h", "t"}, kTwo));
}

TEST(DeviceInterleaving, HiddenIsRunningIsNotHiddenFromTheIommu)
{
	expect_nothing_lost(scenarios("d", 2, {.hide_running = true, .begins_assigned = 1}));
}

// The IOMMU's entry holds any APIC ID, though that of the VM's table does not.
TEST(DeviceInterleaving, CpuThatNoTableEntryCanNameLosesNothing)
{
	expect_nothing_lost(scenarios("d", 2, {.begins_assigned = 1, .far_second = true}));
}

TEST(DeviceInterleaving, KvmsOwnSleepLosesNothing)
{
	expect_nothing_lost(scenarios("d", 2, {.begins_assigned = 1, .kvm_sleep = true}));
}

// --- Mistakes ---

bool loses(const Scenario &s, const std::string &senders, unsigned acts = 2)
{
	return search::any_loses(scenarios(senders, acts, s));
}

Scenario assigned(const model::Residency &residency)
{
	return {.begins_assigned = 1, .residency = residency};
}

TEST(DeviceMistake, LoadThatDoesNotTellTheIommu)
{
	EXPECT_TRUE(loses(assigned({.load = mutant::load_untold}), "d"));
}

TEST(DeviceMistake, BlockThatDoesNotTellTheIommu)
{
	EXPECT_TRUE(loses(assigned({.block = mutant::block_untold}), "d"));
}

TEST(DeviceMistake, DeactivationThatDoesNotTellTheIommu)
{
	EXPECT_TRUE(loses(assigned({.deactivate = mutant::deactivate_untold}), "d"));
}

bool loses_coming(const model::Residency &residency, const std::string &acts)
{
	return search::any_loses(coming({acts}, {.residency = residency}));
}

TEST(DeviceMistake, BlockThatLooksForADeviceBeforeItsBarrier)
{
	EXPECT_TRUE(loses_coming({.block = mutant::block_tells_first}, "h"));
}

TEST(DeviceMistake, BeginByAPlainStore)
{
	EXPECT_TRUE(loses_coming({.posting_add = mutant::posting_add_without_barrier}, "h"));
}

TEST(DeviceMistake, GuessBeforeTheBegin)
{
	EXPECT_TRUE(loses_coming({.posting_add = mutant::posting_add_guess_first}, "h"));
}

TEST(DeviceMistake, GuessThatASleeperRuns)
{
	EXPECT_TRUE(loses_coming({.posting_add = mutant::posting_add_as_running}, "h"));
}

TEST(DeviceMistake, WordThatIsRightBeforeItIsTrue)
{
	EXPECT_TRUE(loses_coming({.posting_add = mutant::posting_add_as_remapped}, "t"));
}

TEST(DeviceMistake, NoRequestAfterTheGuess)
{
	EXPECT_TRUE(search::any_loses(coming({"h", "p"}, {.requests_look = false})));
}

// The IOMMU had cached the entry, and read from the new one whom to tell.
TEST(DeviceMistake, NoRequestAfterTheDeviceHasGone)
{
	for (const char *act : {"", "h", "p"})
		EXPECT_TRUE(search::any_loses(
			once("xd", {act}, {.begins_assigned = 1, .requests_last_look = false})))
			<< act;
	EXPECT_TRUE(search::any_loses(
		once("xd", {"h"}, {.begins_assigned = 2, .requests_last_look = false})));
}

// What is written in the end is right already.
TEST(DeviceMistake, NoRequestAfterAChangeOfRouteBesideASecondInterrupt)
{
	EXPECT_TRUE(search::any_loses(
		once("rd", {"", "h"}, {.begins_assigned = 2, .requests_look = false})));
}

TEST(DeviceMistake, GuessForASecondInterrupt)
{
	EXPECT_TRUE(search::any_loses(
		once("Ad", {"h"}, assigned({.posting_add = mutant::posting_add_guess_again}))));
}

TEST(DeviceMistake, OnlyTheFirstOfTwoInterruptsIsTreated)
{
	EXPECT_TRUE(
		search::any_loses(once("D", {"h"}, {.begins_assigned = 2, .treats_all = false})));
}

TEST(DeviceMistake, EndWithTheFirstOfTwoInterrupts)
{
	EXPECT_TRUE(search::any_loses(
		once("xD", {"h"}, {.begins_assigned = 2, .ends_with_last = false})));
}

TEST(DeviceMistake, NoLock)
{
	EXPECT_TRUE(search::any_loses(coming({"h", "t"}, {.posting_locked = false})));
}

TEST(DeviceMistake, LogThatWakesNobody)
{
	EXPECT_TRUE(loses({.begins_assigned = 1, .log_wakes = false}, "d"));
}

TEST(DeviceMistake, IommuThatReadsWhetherToRingTooEarly)
{
	EXPECT_TRUE(loses({.begins_assigned = 1, .iommu_barrier = false}, "d"));
}

TEST(DeviceMistake, FlushThatDoesNotWait)
{
	EXPECT_TRUE(loses({.begins_assigned = 1, .flush_waits = false}, "d"));
}

} // namespace
