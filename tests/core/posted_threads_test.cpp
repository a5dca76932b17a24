// SPDX-License-Identifier: GPL-2.0-only
//
// Posted interrupts with real threads: senders post, and the vCPU's task takes interrupts, is
// suppressed, sleeps and moves. No interrupt is lost, and TSan sees no data race.
#include <vapic/vmx_hot.h>

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "posted_machine.hpp"

namespace {

using V = PostedVcpu;

constexpr unsigned kSenders = 3;
constexpr unsigned kRounds = 4'000;

// Takes a vector from the IRR, as the vCPU's handler does.
bool take(V &v, u8 vector)
{
	const u32 bit = 1u << vector % 32;

	return __atomic_fetch_and(&v.irr(vector / 32), ~bit, __ATOMIC_SEQ_CST) & bit;
}

// Each sender waits until its vector was taken before it posts it again, so a lost vector stops
// the sender for good, and the test times out.
TEST(PostedThreads, NothingIsLostWhileTheVcpuComesAndGoes)
{
	V v;
	std::atomic<unsigned> taken[kSenders] = {};
	std::vector<std::thread> senders;
	unsigned done = 0;

	vapic_pi_vcpu_load(v.core(), 1);
	for (unsigned n = 0; n < kSenders; ++n)
		senders.emplace_back([&, n] {
			const auto vector = static_cast<u8>(0x31 + 0x40 * n);

			for (unsigned i = 0; i < kRounds; ++i) {
				vapic_pi_post(v.descriptor(), vector);
				while (taken[n].load() == i)
					std::this_thread::yield();
			}
		});

	for (unsigned turn = 0; done < kSenders * kRounds; ++turn) {
		switch (turn % 3) {
		case 0:
			vapic_pi_vcpu_suppress(v.core());
			vapic_pi_vcpu_load(v.core(), turn);
			break;
		case 1:
			static_cast<void>(vapic_pi_vcpu_arm(v.core()));
			vapic_pi_vcpu_load(v.core(), turn);
			break;
		case 2:
			break;
		}
		if (vapic_pi_vcpu_settled(v.core()))
			continue;
		vapic_pi_vcpu_sync(v.core(), true);
		for (unsigned n = 0; n < kSenders; ++n) {
			if (!take(v, static_cast<u8>(0x31 + 0x40 * n)))
				continue;
			taken[n].fetch_add(1);
			++done;
		}
	}
	for (std::thread &sender : senders)
		sender.join();
	EXPECT_EQ(done, kSenders * kRounds);
}

// KVM delivers to a vCPU that it considers inactive, but that has become active meanwhile.
TEST(PostedThreads, WhatComesByTheIrrIsNoticed)
{
	V v;
	std::atomic<unsigned> taken = 0;
	std::thread sender([&] {
		for (unsigned i = 0; i < kRounds; ++i) {
			__atomic_fetch_or(&v.irr(1), 0x20000u, __ATOMIC_SEQ_CST);
			vapic_pi_vcpu_unsettle(v.core());
			while (taken.load() == i)
				std::this_thread::yield();
		}
	});

	while (taken.load() < kRounds) {
		if (vapic_pi_vcpu_settled(v.core()))
			continue;
		if (vapic_pi_vcpu_sync(v.core(), true).highest == VAPIC_NO_VECTOR)
			continue;
		EXPECT_TRUE(take(v, 0x31));
		taken.fetch_add(1);
	}
	sender.join();
}

} // namespace
