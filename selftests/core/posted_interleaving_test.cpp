// SPDX-License-Identifier: GPL-2.0-only
//
// No posted interrupt is lost, in any interleaving that x86 allows, of senders with a target
// that runs, is preempted, sleeps, and has acceleration turned off and on. And each mistake
// of posted_mutants.hpp loses one, so the search would have noticed.
#define SEAM_NO_REDIRECTION
#include "posted_model.hpp"

#include <cstdio>

#include <gtest/gtest.h>

using posted::explore;
using posted::Scenario;
using posted::strings;

namespace {

const std::string kActs = "vhHupt";

std::string describe(const Scenario &s)
{
	return "acts '" + s.acts + "' senders '" + s.senders + "' begins " +
	       (s.begins_active ? "active" : "inactive");
}

void expect_nothing_lost(const std::vector<std::string> &senders,
			 const std::vector<std::string> &acts,
			 const std::vector<bool> &beginnings = {true, false})
{
	std::size_t scenarios = 0;
	std::size_t states = 0;
	std::size_t ends = 0;

	for (const std::string &to : senders) {
		for (const std::string &a : acts) {
			for (bool active : beginnings) {
				const Scenario s{.acts = a, .senders = to, .begins_active = active};
				const explorer::Result result = explore(s);

				ASSERT_EQ(result.refused, "") << describe(s) << '\n'
							      << result.trace;
				ASSERT_GT(result.ends, 0u) << describe(s);
				++scenarios;
				states += result.states;
				ends += result.ends;
			}
		}
	}
	std::printf("%zu scenarios, %zu states, %zu ends\n", scenarios, states, ends);
}

TEST(PostedInterleaving, OneIpiIsNeverLost)
{
	expect_nothing_lost({"i"}, strings(kActs, 2));
}

TEST(PostedInterleaving, OneSoftwareInterruptIsNeverLost)
{
	expect_nothing_lost({"s"}, strings(kActs, 2));
}

TEST(PostedInterleaving, TwoSendersAtATimeLoseNothing)
{
	expect_nothing_lost({"ii", "is"}, {"h"}, {true});
	expect_nothing_lost({"ss"}, {"", "t"}, {true});
}

// --- Mistakes ---

// True if some scripts lose an interrupt.
bool loses(Scenario s, const std::string &senders, unsigned acts = 2)
{
	for (const std::string &a : strings(kActs, acts)) {
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

TEST(PostedMistake, NoneIsFoundInCoreWithTheSameSearch)
{
	EXPECT_FALSE(loses({}, "i"));
	EXPECT_FALSE(loses({}, "s"));
}

TEST(PostedMistake, LoadThatLooksAtPirFirst)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::load_reads_pir_first}}, "i"));
}

TEST(PostedMistake, LoadThatDoesNotLookAtPir)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::load_ignores_pir}}, "i"));
}

TEST(PostedMistake, LoadByAPlainStore)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::load_by_store}}, "i"));
	EXPECT_TRUE(loses({.core = {.load = mutant::load_by_store}}, "s"));
}

TEST(PostedMistake, LoadThatLeavesTheWakeupVector)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::load_keeps_vector}}, "ii"));
}

TEST(PostedMistake, LoadThatKeepsTheOldCpu)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::load_keeps_cpu}}, "i"));
}

TEST(PostedMistake, LoadThatLeavesNotificationsSuppressed)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::load_suppressed}}, "i"));
}

TEST(PostedMistake, ResumeThatLooksAtPirFirst)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::resume_reads_pir_first}}, "i"));
}

TEST(PostedMistake, ResumeThatDoesNotLookAtPir)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::resume_ignores_pir}}, "i"));
}

TEST(PostedMistake, ResumeByAPlainStore)
{
	EXPECT_TRUE(loses({.core = {.load = mutant::resume_by_store}}, "s"));
}

TEST(PostedMistake, ArmThatTheNextLoadTakesForNone)
{
	EXPECT_TRUE(loses({.core = {.arm = mutant::arm_keeps_home}}, "ii"));
}

TEST(PostedMistake, ArmThatDoesNotSayWhatWasPosted)
{
	EXPECT_TRUE(loses({.core = {.arm = mutant::arm_silently}}, "i"));
}

TEST(PostedMistake, ArmByAPlainStore)
{
	EXPECT_TRUE(loses({.core = {.arm = mutant::arm_by_store}}, "i"));
}

TEST(PostedMistake, ArmThatLooksBeforeItWrites)
{
	EXPECT_TRUE(loses({.core = {.arm = mutant::arm_looks_first}}, "i"));
}

TEST(PostedMistake, ArmThatSuppresses)
{
	EXPECT_TRUE(loses({.core = {.arm = mutant::arm_suppressed}}, "i"));
}

TEST(PostedMistake, ArmBeforeTheCpuKnows)
{
	EXPECT_TRUE(loses({.add_before_arm = false}, "i"));
}

// No mistake: load() looks at PIR, whoever took ON back. The locked operation is there to
// have one rule for the word.
TEST(PostedMistake, SuppressByAPlainStoreIsNone)
{
	EXPECT_FALSE(loses({.core = {.suppress = mutant::suppress_by_store}}, "s"));
	EXPECT_FALSE(loses({.core = {.suppress = mutant::suppress_by_store}}, "i"));
}

TEST(PostedMistake, SyncThatClearsOnAfterItTookPir)
{
	EXPECT_TRUE(loses({.core = {.sync = mutant::sync_clears_on_last}}, "ii"));
	EXPECT_TRUE(loses({.core = {.sync = mutant::sync_clears_on_last}}, "ss"));
}

TEST(PostedMistake, SyncThatClearsOnByAPlainStore)
{
	EXPECT_TRUE(loses({.core = {.sync = mutant::sync_clears_on_by_store}}, "ii"));
	EXPECT_TRUE(loses({.core = {.sync = mutant::sync_clears_on_by_store}}, "ss"));
}

TEST(PostedMistake, SyncThatForgetsUnsettleByAPlainStore)
{
	EXPECT_TRUE(loses({.core = {.sync = mutant::sync_settles_by_store}}, "s"));
}

TEST(PostedMistake, SyncThatForgetsUnsettleLast)
{
	EXPECT_TRUE(loses({.core = {.sync = mutant::sync_settles_last}}, "s"));
}

TEST(PostedMistake, DeliveryWithoutUnsettle)
{
	EXPECT_TRUE(loses({.core = {.unsettle = mutant::unsettle_not}}, "s"));
}

TEST(PostedMistake, EntryThatLooksAtOnAlone)
{
	EXPECT_TRUE(loses({.core = {.settled = mutant::settled_by_on}}, "s"));
}

TEST(PostedMistake, EntryThatDoesNotLookAtOn)
{
	EXPECT_TRUE(loses({.core = {.settled = mutant::settled_by_flag}}, "i"));
	EXPECT_TRUE(loses({.core = {.settled = mutant::settled_by_flag}}, "s"));
}

TEST(PostedMistake, PostThatSetsOnFirst)
{
	EXPECT_TRUE(loses({.core = {.post = mutant::post_on_first}}, "s"));
}

TEST(PostedMistake, PostByPlainStores)
{
	EXPECT_TRUE(loses({.core = {.post = mutant::post_by_store}}, "s"));
}

TEST(PostedMistake, GlueThatSendsNoNotification)
{
	EXPECT_TRUE(loses({.glue_notifies = false}, "s"));
}

TEST(PostedMistake, GlueThatDoesNotWakeASleeper)
{
	EXPECT_TRUE(loses({.glue_wakes = false}, "s"));
}

TEST(PostedMistake, GlueThatDoesNotKickTheInactive)
{
	EXPECT_TRUE(loses({.glue_kicks = false}, "s"));
}

TEST(PostedMistake, KvmWithoutItsBarrierBeforeItLooks)
{
	EXPECT_TRUE(loses({.enter_barrier = false}, "s"));
}

} // namespace
