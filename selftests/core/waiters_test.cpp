// SPDX-License-Identifier: GPL-2.0-only
//
// The list of those who sleep on a CPU: whoever has ON is found, and nobody else.
#include <vapic/vmx.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "posted_machine.hpp"

namespace {

using V = PostedVcpu;

struct List {
	explicit List(u32 capacity, const vapic_pi_waiters *from = nullptr)
		: memory(vapic_pi_waiters_size(capacity), VAPIC_PI_ALIGN)
	{
		vapic_pi_waiters_init(get(), capacity, from);
	}

	vapic_pi_waiters *get() { return static_cast<vapic_pi_waiters *>(memory.get()); }
	void add(V &v) { EXPECT_TRUE(vapic_pi_waiters_add(get(), v.core())); }
	void remove(V &v) { vapic_pi_waiters_remove(get(), v.core()); }

	// One round of the wakeup handler.
	std::vector<V *> round()
	{
		std::vector<V *> taken;

		for (void *host = vapic_pi_waiters_first(get()); host;
		     host = vapic_pi_waiters_next(get()))
			taken.push_back(static_cast<V *>(host));
		std::sort(taken.begin(), taken.end());
		return taken;
	}

	Block memory;
};

std::vector<std::unique_ptr<V>> vcpus(unsigned n)
{
	std::vector<std::unique_ptr<V>> all;

	for (unsigned i = 0; i < n; ++i)
		all.push_back(std::make_unique<V>());
	return all;
}

TEST(Waiters, AreNoneAtFirst)
{
	List list(64);

	EXPECT_EQ(vapic_pi_waiters_capacity(list.get()), 64u);
	EXPECT_TRUE(list.round().empty());
}

TEST(Waiters, AreTakenByOnAlone)
{
	List list(64);
	V v;

	list.add(v);
	v.control() = ~V::kOn;
	EXPECT_TRUE(list.round().empty());
	v.control() |= V::kOn;
	EXPECT_EQ(list.round(), std::vector{&v});
	// ON stays, the vCPU does not.
	EXPECT_TRUE(list.round().empty());
}

// One of many, in each place.
TEST(Waiters, AreFoundWhereverTheyAre)
{
	for (unsigned n : {1u, 7u, 8u, 9u, 63u, 64u}) {
		for (unsigned which = 0; which < n; ++which) {
			List list(64);
			auto all = vcpus(n);

			for (auto &v : all)
				list.add(*v);
			all[which]->control() = V::kOn;
			EXPECT_EQ(list.round(), std::vector{all[which].get()});

			// The others are still there.
			for (auto &v : all)
				v->control() = V::kOn;
			EXPECT_EQ(list.round().size(), n - 1) << which << " of " << n;
		}
	}
}

TEST(Waiters, AreRefusedByAFullList)
{
	fake_host::ExpectBroken broken;
	List list(8);
	auto all = vcpus(9);

	for (unsigned i = 0; i < 8; ++i)
		list.add(*all[i]);
	EXPECT_FALSE(vapic_pi_waiters_add(list.get(), all[8]->core()));
	EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kWaiterForeign});
}

TEST(Waiters, AreNotRemovedTwice)
{
	fake_host::ExpectBroken broken;
	List list(8);
	V v;
	V other;

	list.add(v);
	list.add(other);
	list.remove(v);
	list.remove(v);
	EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kWaiterForeign});
	other.control() = V::kOn;
	EXPECT_EQ(list.round(), std::vector{&other});
}

TEST(Waiters, MoveToALargerList)
{
	List small(8);
	auto all = vcpus(9);

	for (unsigned i = 0; i < 8; ++i)
		small.add(*all[i]);

	List large(16, small.get());

	large.add(*all[8]);
	large.remove(*all[0]);
	for (auto &v : all)
		v->control() = V::kOn;
	EXPECT_EQ(large.round().size(), 8u);
}

TEST(Waiters, ComeAndGoInAnyOrder)
{
	std::mt19937 random(1);
	List list(64);
	auto all = vcpus(64);
	std::set<V *> in;

	for (unsigned step = 0; step < 20000; ++step) {
		V *v = all[random() % all.size()].get();

		switch (random() % 4) {
		case 0:
		case 1:
			if (in.insert(v).second) {
				v->control() = 0;
				list.add(*v);
			}
			break;
		case 2:
			if (in.erase(v))
				list.remove(*v);
			break;
		case 3: {
			std::vector<V *> expected;

			for (V *w : in)
				if (w->control() & V::kOn)
					expected.push_back(w);
			EXPECT_EQ(list.round(), expected);
			for (V *w : expected)
				in.erase(w);
			break;
		}
		}
		all[random() % all.size()]->control() |= V::kOn;
	}
}

} // namespace
