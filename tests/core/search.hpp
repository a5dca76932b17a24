// SPDX-License-Identifier: GPL-2.0-only
//
// What the searches through interleavings of all models have in common. A scenario has `acts`
// (a string of what the target does), `senders` and `begins_active`. Its type selects explore(),
// which explores all its interleavings, and describe(), which describes it.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "explorer.hpp"

namespace search {

// All strings made of `letters`, up to `length` letters long.
inline std::vector<std::string> strings(const std::string &letters, unsigned length)
{
	std::vector<std::string> all = {""};
	std::size_t begin = 0;

	for (unsigned n = 0; n < length; ++n) {
		const std::size_t end = all.size();

		for (; begin < end; ++begin)
			for (char letter : letters)
				all.push_back(all[begin] + letter);
	}
	return all;
}

// All scenarios with up to `acts` of `letters`, beginning active and inactive.
template <typename Scenario>
std::vector<Scenario> scripts(const std::string &letters, unsigned acts,
			      const std::string &senders, Scenario s)
{
	std::vector<Scenario> all;

	s.senders = senders;
	for (const std::string &a : strings(letters, acts)) {
		for (bool active : {true, false}) {
			s.acts = a;
			s.begins_active = active;
			all.push_back(s);
		}
	}
	return all;
}

template <typename Scenario>
void expect_nothing_lost(const std::vector<Scenario> &scenarios)
{
	std::size_t states = 0;
	std::size_t ends = 0;

	for (const Scenario &s : scenarios) {
		const explorer::Result result = explore(s);

		ASSERT_EQ(result.refused, "") << describe(s) << '\n' << result.trace;
		ASSERT_GT(result.ends, 0u) << describe(s);
		states += result.states;
		ends += result.ends;
	}
	std::printf("%zu scenarios, %zu states, %zu ends\n", scenarios.size(), states, ends);
}

// True if one of the scenarios loses an interrupt.
template <typename Scenario>
bool any_loses(const std::vector<Scenario> &scenarios)
{
	for (const Scenario &s : scenarios) {
		const std::string refused = explore(s).refused;

		EXPECT_NE(refused, explorer::kTooManyStates) << describe(s);
		if (!refused.empty())
			return true;
	}
	return false;
}

} // namespace search
