// SPDX-License-Identifier: GPL-2.0-only
//
// No posted interrupt is lost in any interleaving that x86 allows of senders with a target that
// runs, is preempted, sleeps, and has acceleration turned off and on. Each mutant of
// posted_mutants.hpp loses an interrupt, so the search notices such mistakes.
#define SEAM_NO_REDIRECTION
#include "posted_hardware.hpp"
#include "posted_machine.hpp"
#include "posted_model.hpp"

#include <gtest/gtest.h>

#include "search.hpp"

using posted::Scenario;
using search::expect_nothing_lost;

namespace {

const std::string kActs = "vhHumPpt";

// All scenarios with up to `acts` acts.
std::vector<Scenario> scenarios(const std::string &senders, unsigned acts, Scenario s = {})
{
	return search::scripts(kActs, acts, senders, s);
}

TEST(PostedInterleaving, OneIpiIsNeverLost)
{
	expect_nothing_lost(scenarios("i", 2));
}

TEST(PostedInterleaving, OneSoftwareInterruptIsNeverLost)
{
	expect_nothing_lost(scenarios("s", 2));
}

TEST(PostedInterleaving, TwoSendersAtATimeLoseNothing)
{
	expect_nothing_lost<Scenario>({{.acts = "h", .senders = "ii"},
				       {.acts = "h", .senders = "is"},
				       {.acts = "", .senders = "ss"},
				       {.acts = "t", .senders = "ss"}});
}

// --- Mistakes ---

bool loses(const Scenario &s, const std::string &senders)
{
	return search::any_loses(scenarios(senders, 2, s));
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

// A plain store is no mistake here, because load() looks at PIR even if the store took ON back.
// suppress() uses a locked operation so that there is one rule for the word.
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

// True if a post amid a discard can leave its vector in PIR without ON.
bool strands(void (*discard)(vapic_pi_vcpu *))
{
	PostedVcpu vcpu;
	explorer::Explorer all;
	explorer::Memory before{};
	constexpr std::uint64_t kOn = 1;

	before[posted::kControl] = kOn;
	before[posted::kPir] = 1;
	all.map(&vcpu.control(), 8, posted::kControl, "control");
	all.map(&vcpu.pir(0), 8, posted::kPir, "PIR");

	const explorer::Result result = all.run(
		{[&](explorer::Cpu &) { discard(vcpu.core()); },
		 [&](explorer::Cpu &) { posted::post(vcpu.descriptor(), 0x11); }},
		before, [](const explorer::Memory &end, const std::vector<bool> &) -> std::string {
			return end[posted::kPir] && !(end[posted::kControl] & kOn) ? "no ON" : "";
		});

	EXPECT_GT(result.ends, 0u);
	return !result.refused.empty();
}

TEST(PostedDiscard, LeavesNoVectorWithoutOn)
{
	EXPECT_FALSE(strands(vapic_pi_vcpu_discard));
	EXPECT_TRUE(strands(mutant::discard_clears_on_last));
}

} // namespace
