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

// An interrupt while the device comes. There are so many interleavings that each act is tried once.
std::vector<Scenario> coming(const std::vector<std::string> &acts, Scenario s = {})
{
	std::vector<Scenario> all;

	s.senders = "ad";
	for (const std::string &act : acts) {
		s.acts = act;
		all.push_back(s);
	}
	return all;
}

constexpr Scenario kAssigned{.begins_assigned = true};

TEST(DeviceInterleaving, OneInterruptIsNeverLost)
{
	expect_nothing_lost(scenarios("d", 2, kAssigned));
	expect_nothing_lost(search::scripts("hpt", 3, "d", kAssigned));
}

TEST(DeviceInterleaving, InterruptBesideAnIpiOrAnotherIsNeverLost)
{
	for (const char *senders : {"dd", "di", "ds"})
		expect_nothing_lost<Scenario>(
			{{.acts = "h", .senders = senders, .begins_assigned = true},
			 {.acts = "t", .senders = senders, .begins_assigned = true}});
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

TEST(DeviceInterleaving, HiddenIsRunningIsNotHiddenFromTheIommu)
{
	expect_nothing_lost(
		scenarios("d", 2, {.hide_running = true, .begins_assigned = true}));
}

// The IOMMU's entry holds any APIC ID, though that of the VM's table does not.
TEST(DeviceInterleaving, CpuThatNoTableEntryCanNameLosesNothing)
{
	expect_nothing_lost(scenarios("d", 2, {.begins_assigned = true, .far_second = true}));
}

TEST(DeviceInterleaving, KvmsOwnSleepLosesNothing)
{
	expect_nothing_lost(scenarios("d", 2, {.begins_assigned = true, .kvm_sleep = true}));
}

// --- Mistakes ---

bool loses(const Scenario &s, const std::string &senders, unsigned acts = 2)
{
	return search::any_loses(scenarios(senders, acts, s));
}

Scenario assigned(const model::Residency &residency)
{
	return {.begins_assigned = true, .residency = residency};
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
		EXPECT_TRUE(search::any_loses<Scenario>({{.acts = act,
							  .senders = "xd",
							  .begins_assigned = true,
							  .requests_last_look = false}}))
			<< act;
}

TEST(DeviceMistake, NoLock)
{
	EXPECT_TRUE(search::any_loses(coming({"h", "t"}, {.posting_locked = false})));
}

TEST(DeviceMistake, LogThatWakesNobody)
{
	EXPECT_TRUE(loses({.begins_assigned = true, .log_wakes = false}, "d"));
}

TEST(DeviceMistake, IommuThatReadsWhetherToRingTooEarly)
{
	EXPECT_TRUE(loses({.begins_assigned = true, .iommu_barrier = false}, "d"));
}

TEST(DeviceMistake, FlushThatDoesNotWait)
{
	EXPECT_TRUE(loses({.begins_assigned = true, .flush_waits = false}, "d"));
}

} // namespace
