// SPDX-License-Identifier: GPL-2.0-only
//
// Real threads on the same tables: senders, devices that come and go, and a target that runs,
// is preempted, sleeps and has acceleration turned off (threads_host.hpp). If an interrupt is
// lost, a sender waits for it until its time is up. With ThreadSanitizer this also shows that
// core's memory is accessed either atomically or by one thread only.
#include "threads_host.hpp"

#include <chrono>
#include <cstdio>
#include <tuple>

#include <gtest/gtest.h>

namespace {

using namespace threads;

class Threads : public testing::TestWithParam<std::tuple<bool, unsigned>> {};

TEST_P(Threads, LoseNoInterrupt)
{
	const auto [hidden, senders] = GetParam();
	Host host(hidden, senders);

	host.run();
	EXPECT_FALSE(host.lost());
	// Otherwise the interesting half was not tested.
	EXPECT_GT(host.sleeps(), kInterrupts / 100);
	EXPECT_GT(host.logged(), 0u);
	std::printf("%lu sleeps, %u interrupts logged, %u told to nobody\n", host.sleeps(),
		    host.logged(), host.untold());
}

INSTANTIATE_TEST_SUITE_P(HiddenAndSenders, Threads,
			 testing::Combine(testing::Bool(), testing::Values(1u, 2u)));

// --- Mistakes, each of which loses an interrupt soon: mostly in the first round, on a busy machine later ---

bool loses(Glue glue)
{
	for (unsigned round = 0; round < 200; ++round) {
		Host host(false, 1, glue, std::chrono::seconds(2));

		host.run();
		if (host.lost())
			return true;
	}
	return false;
}

TEST(ThreadsMistake, LogThatWakesNobody)
{
	EXPECT_TRUE(loses({.log_wakes = false}));
}

TEST(ThreadsMistake, NoRequestAfterTheGuess)
{
	EXPECT_TRUE(loses({.requests_look = false}));
}

TEST(ThreadsMistake, NoRequestAfterTheDeviceHasGone)
{
	EXPECT_TRUE(loses({.requests_last_look = false}));
}

} // namespace
