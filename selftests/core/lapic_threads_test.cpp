// SPDX-License-Identifier: GPL-2.0-only
//
// Taking posted interrupts while others post: none is lost, none comes twice.
#include <vapic/lapic.h>

#include <array>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace {

TEST(PostedByAnotherThread, EachInterruptIsTakenOnce)
{
	constexpr unsigned kRounds = 300;

	alignas(64) std::array<u64, 4> pir = {};
	std::atomic<bool> done = false;
	std::array<unsigned, 256> taken = {};
	Block page(4096, 4096);
	auto *words = static_cast<u32 *>(page.get());

	std::thread sender([&] {
		for (unsigned round = 0; round < kRounds; ++round) {
			for (unsigned vector = 0; vector < 256; ++vector) {
				const u64 bit = u64{1} << vector % 64;

				// Again when it has been taken.
				while (__atomic_fetch_or(&pir[vector / 64], bit, __ATOMIC_SEQ_CST) &
				       bit)
					std::this_thread::yield();
			}
		}
		done = true;
	});

	for (bool last = false; !last;) {
		last = done;
		static_cast<void>(vapic_lapic_take_posted(pir.data(), page.get()));
		for (unsigned vector = 0; vector < 256; ++vector) {
			u32 &word = words[(0x200 + vector / 32 * 16) / 4];
			const u32 bit = 1u << vector % 32;

			taken[vector] +=
				(__atomic_fetch_and(&word, ~bit, __ATOMIC_SEQ_CST) & bit) != 0;
		}
	}
	sender.join();
	for (unsigned vector = 0; vector < 256; ++vector)
		EXPECT_EQ(taken[vector], kRounds) << vector;
}

} // namespace
