// SPDX-License-Identifier: GPL-2.0-only
//
// The handler of the wakeup vector, which looks at the descriptors of all that sleep on its CPU,
// against posts to two of them: in every order, each is woken.
#define SEAM_NO_REDIRECTION
#include <vapic/vmx_hot.h>

#include <gtest/gtest.h>

#include "explorer.hpp"
#include "posted_machine.hpp"
#include "posted_mutants.hpp"

using namespace explorer;

namespace {

enum : Location { kFirstControl, kSecondControl, kFirstPir, kSecondPir, kPending, kWokenFirst,
		  kWokenSecond };

constexpr u8 kVector = 0x31;

using WakeDue = void (*)(vapic_pi_waiters *, void (*)(vapic_vcpu *));

// The handler finds its CPU and the sleepers here: core hands it a name and nothing else.
Cpu *handlers_cpu;
vapic_vcpu *first_name;

void wake(vapic_vcpu *glue)
{
	handlers_cpu->store(glue == first_name ? kWokenFirst : kWokenSecond, 1);
}

void post(Cpu &cpu, PostedVcpu &target)
{
	if (posted::post(target.descriptor(), kVector))
		cpu.hardware("wakeup vector", [](Memory &memory, std::uint64_t) {
			return memory[kPending] = 1;
		});
}

// To whom of the two somebody posts.
struct Posts {
	bool first, second;
};

// Two sleepers with `between` others in the list between them, to whom nobody posts.
std::string lost(WakeDue wake_due, unsigned between, Posts posts)
{
	PostedVcpu first, second;
	std::vector<PostedVcpu> others(between);
	Block memory(vapic_pi_waiters_size(VAPIC_PI_WAITERS_PADDING), alignof(vapic_pi_place));
	Explorer all;

	first_name = first.glue();
	all.map(&first.control(), 8, kFirstControl, "control of the first");
	all.map(&second.control(), 8, kSecondControl, "control of the second");
	all.map(&first.pir(kVector / 64), 8, kFirstPir, "PIR of the first");
	all.map(&second.pir(kVector / 64), 8, kSecondPir, "PIR of the second");
	all.name(kPending, "wakeup vector");
	all.name(kWokenFirst, "the first is woken");
	all.name(kWokenSecond, "the second is woken");

	const auto handler = [&](Cpu &cpu) {
		vapic_pi_waiters waiters = {};

		handlers_cpu = &cpu;
		vapic_pi_waiters_move(&waiters, memory.get(), VAPIC_PI_WAITERS_PADDING);
		vapic_pi_waiters_add(&waiters, first.core());
		for (PostedVcpu &other : others)
			vapic_pi_waiters_add(&waiters, other.core());
		vapic_pi_waiters_add(&waiters, second.core());
		// A vector that comes while it is pending is one with it.
		for (unsigned i = 0; i < 2; ++i) {
			cpu.await(kPending);
			wake_due(&waiters, wake);
		}
	};
	std::vector<Script> scripts = {handler};

	if (posts.first)
		scripts.push_back([&](Cpu &cpu) { post(cpu, first); });
	if (posts.second)
		scripts.push_back([&](Cpu &cpu) { post(cpu, second); });

	const Result result = all.run(
		scripts, {}, [&](const Memory &end, const std::vector<bool> &) -> std::string {
			if (end[kWokenFirst] != posts.first || end[kWokenSecond] != posts.second)
				return "woken are not those to whom somebody posted";
			return "";
		});

	EXPECT_GT(result.ends, 0u);
	return result.refused;
}

TEST(Wakeup, EachSleeperWithAPostIsWoken)
{
	for (unsigned between : {0u, 6u, 7u, 13u})
		for (Posts posts : {Posts{true, true}, Posts{true, false}, Posts{false, true}})
			EXPECT_EQ(lost(posted::wake_due, between, posts), "") << between;
}

TEST(WakeupMistake, FirstOfAGroupForAll)
{
	EXPECT_NE(lost(mutant::wake_due_first_of_group, 0, {false, true}), "");
}

} // namespace
