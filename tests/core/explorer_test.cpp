// SPDX-License-Identifier: GPL-2.0-only
//
// Compares the explorer with the outcomes that x86 is known to allow for the classic short
// programs: it must find all allowed outcomes and no others.
#define SEAM_NO_REDIRECTION
#include "explorer.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace explorer;
using testing::ElementsAre;

namespace {

constexpr Location kX = 0, kY = 1, kA = 2, kB = 3;

// All final pairs of (a, b).
std::set<std::pair<std::uint64_t, std::uint64_t>> outcomes(const std::vector<Script> &scripts)
{
	std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
	Explorer explorer;

	const Result result = explorer.run(scripts, {}, [&](const Memory &m, const std::vector<bool> &finished) {
		for (bool f : finished)
			EXPECT_TRUE(f);
		seen.emplace(m[kA], m[kB]);
		return std::string{};
	});
	EXPECT_GT(result.ends, 0u);
	return seen;
}

using Pair = std::pair<std::uint64_t, std::uint64_t>;

TEST(Explorer, StoreMayPassBehindALaterLoad)
{
	EXPECT_THAT(outcomes({[](Cpu &c) { c.store(kX, 1); c.store(kA, c.load(kY)); },
			      [](Cpu &c) { c.store(kY, 1); c.store(kB, c.load(kX)); }}),
		    ElementsAre(Pair(0, 0), Pair(0, 1), Pair(1, 0), Pair(1, 1)));
}

TEST(Explorer, FenceOrLockedOperationForbidsIt)
{
	EXPECT_THAT(outcomes({[](Cpu &c) { c.store(kX, 1); c.fence(); c.store(kA, c.load(kY)); },
			      [](Cpu &c) { c.exchange(kY, 1); c.store(kB, c.load(kX)); }}),
		    ElementsAre(Pair(0, 1), Pair(1, 0), Pair(1, 1)));
	// A fence on one of the two CPUs is not enough.
	EXPECT_THAT(outcomes({[](Cpu &c) { c.store(kX, 1); c.store(kA, c.load(kY)); },
			      [](Cpu &c) { c.fetch_or(kY, 1); c.store(kB, c.load(kX)); }}),
		    testing::Contains(Pair(0, 0)));
}

TEST(Explorer, StoresAndLoadsKeepTheirOrder)
{
	EXPECT_THAT(outcomes({[](Cpu &c) { c.store(kX, 1); c.store(kY, 1); },
			      [](Cpu &c) {
				      const std::uint64_t y = c.load(kY);

				      c.store(kA, y);
				      c.store(kB, c.load(kX));
			      }}),
		    ElementsAre(Pair(0, 0), Pair(0, 1), Pair(1, 1)));
}

TEST(Explorer, CpuSeesItsOwnStoresFirst)
{
	EXPECT_THAT(outcomes({[](Cpu &c) {
				      c.store(kX, 1);
				      c.store(kX, 2);
				      c.store(kA, c.load(kX));
			      },
			      [](Cpu &c) { c.store(kB, c.load(kX)); }}),
		    ElementsAre(Pair(2, 0), Pair(2, 1), Pair(2, 2)));
}

TEST(Explorer, LockedOperationsLoseNoUpdate)
{
	EXPECT_THAT(outcomes({[](Cpu &c) { c.fetch_or(kA, 1); }, [](Cpu &c) { c.fetch_or(kA, 2); }}),
		    ElementsAre(Pair(3, 0)));
}

TEST(Explorer, RefusedEndGivesItsTrace)
{
	Explorer explorer;
	const Result result = explorer.run(
		{[](Cpu &c) { c.await(kX); }, [](Cpu &c) { if (!c.load(kY)) c.store(kX, 1); },
		 [](Cpu &c) { c.store(kY, 1); }},
		{}, [](const Memory &, const std::vector<bool> &finished) {
			return finished[0] ? std::string{} : std::string{"waits"};
		});

	EXPECT_EQ(result.refused, "waits");
	EXPECT_THAT(result.trace, testing::HasSubstr("visible"));
}

TEST(Explorer, TooManyStatesAreARefusal)
{
	Explorer explorer;
	const Script script = [](Cpu &c) {
		for (int i = 0; i < 20; ++i)
			c.load(kX);
	};

	EXPECT_EQ(explorer.run({script, script}, {}, [](auto &&...) { return std::string{}; }, 100)
			  .refused,
		  kTooManyStates);
}

} // namespace
