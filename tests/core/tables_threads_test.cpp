// SPDX-License-Identifier: GPL-2.0-only
//
// Real threads that change the tables of one VM at the same time: vCPUs that move their logical
// IDs, and vCPUs that are made and retired while others send. ThreadSanitizer, as in
// threads_test.cpp, shows that core's memory is accessed either atomically or by one thread only.
#include <vapic/avic.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "machine.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);

// Every vCPU moves its logical ID over entries that other vCPUs use, too. Afterwards each entry
// is empty or names a vCPU that has that ID.
TEST(LogicalTable, IsWholeAfterAllMoveAtOnce)
{
	constexpr unsigned kVcpus = 4;
	Machine machine;
	std::vector<Vcpu *> vcpus;

	for (unsigned i = 0; i < kVcpus; ++i)
		vcpus.push_back(&machine.add_active(i));
	{
		std::vector<std::jthread> threads;

		for (unsigned i = 0; i < kVcpus; ++i)
			threads.emplace_back([&vcpus, i] {
				std::minstd_rand random(i + 1);

				for (unsigned n = 0; n < 20000; ++n) {
					vcpus[i]->set_ldr(1u << random() % 3);
					vapic_avic_vcpu_sync_logical(vcpus[i]->core(), false);
				}
			});
	}
	for (u32 index = 0; index < 1024; ++index) {
		const u32 entry = machine.logical(index);

		if (!entry)
			continue;
		ASSERT_LT(entry & 0xff, kVcpus);
		EXPECT_EQ(entry & ~0xffu, 0x80000000u);
		EXPECT_EQ(vcpus[entry & 0xff]->reg(0x0d0), 0x01000000u << index);
	}
}

// Two vCPUs with one ID are created at the same time: the one that stays has the entry.
TEST(Creation, OfOneIdAtATimeGivesTheEntryToTheOneThatStays)
{
	for (unsigned round = 0; round < 200; ++round) {
		Machine machine;
		Block objects[2] = {{vapic_avic_vcpu_size(), VAPIC_AVIC_ALIGN},
				    {vapic_avic_vcpu_size(), VAPIC_AVIC_ALIGN}};
		Block regs[2] = {{4096, 4096}, {4096, 4096}};
		// As vapic_host_vcpu_stays() of the fake host reads it.
		char host[2] = {round % 2 == 0, round % 2 == 1};

		{
			std::vector<std::jthread> threads;

			for (unsigned i = 0; i < 2; ++i)
				threads.emplace_back([&, i] {
					auto *vcpu = static_cast<vapic_avic_vcpu *>(objects[i].get());

					EXPECT_TRUE(vapic_avic_vcpu_init(vcpu, machine.core(), reinterpret_cast<vapic_vcpu *>(&host[i]), 7,
									 regs[i].get(), 0x100000 * (i + 1)));
					vapic_avic_vcpu_activate(vcpu);
					vapic_avic_vcpu_load(vcpu, i);
					vapic_avic_vcpu_put(vcpu);
					if (host[i]) {
						EXPECT_FALSE(vapic_avic_vcpu_retire(vcpu));
					}
				});
		}
		EXPECT_EQ(machine.physical(7), kEntryValid | (host[0] ? 0x200001u : 0x100000u));
	}
}

// A vCPU with an ID that was in use before is created and retired while another vCPU broadcasts:
// core reports it to the host only after its creation. Each round waits until a broadcast has
// found the vCPU, so that ThreadSanitizer sees both sides.
TEST(Creation, IsNotSeenHalfDoneByASender)
{
	constexpr unsigned kRounds = 300;
	Machine machine(true);
	Vcpu &sender = machine.add_active(9);
	std::vector<std::unique_ptr<Vcpu>> made;
	std::atomic<bool> stop = false;
	std::atomic<unsigned> nobody = 0;
	std::atomic<void *> found = nullptr;

	fake_host::handle_targets([&](const fake_host::Target &t) {
		nobody += !t.glue;
		if (t.glue != sender.host())
			found.store(t.glue, std::memory_order_relaxed);
	});
	{
		std::jthread broadcasts([&] {
			while (!stop.load(std::memory_order_relaxed))
				static_cast<void>(incomplete_ipi(sender.core(), 0xff00000000000041ull,
								      0x100000000ull, false));
		});
		const Clock::time_point end = Clock::now() + kPatience;

		for (unsigned i = 0; i < kRounds && Clock::now() < end; ++i) {
			made.push_back(std::make_unique<Vcpu>(machine, 3));
			EXPECT_TRUE(made.back()->made());
			while (found.load(std::memory_order_relaxed) != made.back()->host() &&
			       Clock::now() < end)
				std::this_thread::yield();
			vapic_avic_vcpu_retire(made.back()->core());
		}
		stop = true;
	}
	fake_host::handle_targets({});
	EXPECT_EQ(made.size(), kRounds) << "a broadcast did not find a vCPU in time";
	EXPECT_EQ(nobody.load(), 0u);
}

} // namespace
