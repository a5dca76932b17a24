// SPDX-License-Identifier: GPL-2.0-only
//
// The list of vCPUs that sleep on a CPU: the handler wakes those with ON set, and no others.
#include <vapic/vmx.h>

#include <vapic/vmx_hot.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "posted_machine.hpp"

namespace {

using V = PostedVcpu;

struct List {
	explicit List(u32 capacity) { grow(capacity); }

	void grow(u32 capacity)
	{
		Block larger(vapic_pi_waiters_size(capacity), alignof(vapic_pi_place));
		void *before = memory ? memory->get() : nullptr;

		EXPECT_EQ(vapic_pi_waiters_move(&waiters, larger.get(), capacity), before);
		memory = std::make_unique<Block>(std::move(larger));
	}

	void add(V &v) { EXPECT_TRUE(vapic_pi_waiters_add(&waiters, v.core())); }
	void remove(V &v) { vapic_pi_waiters_remove(&waiters, v.core()); }

	vapic_pi_waiters waiters = {};
	std::unique_ptr<Block> memory;
};

// The vCPUs that the wakeup handler has woken. Each may be freed as soon as it is woken.
std::vector<V *> woken;

void wake(vapic_vcpu *glue)
{
	woken.push_back(V::of(glue));
}

// One run of the wakeup handler.
std::vector<V *> round(List &list)
{
	vapic_pi_waiters_wake_due(&list.waiters, wake);
	std::sort(woken.begin(), woken.end());
	return std::exchange(woken, {});
}

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

	EXPECT_TRUE(round(list).empty());
}

// A list without room: before it has got memory, and after it has given the memory back.
TEST(Waiters, AreNoneWithoutRoom)
{
	fake_host::ExpectBroken broken;
	List list(16);
	vapic_pi_waiters none = {};
	V v;

	EXPECT_EQ(vapic_pi_waiters_move(&list.waiters, nullptr, 0), list.memory->get());
	for (vapic_pi_waiters *waiters : {&none, &list.waiters}) {
		vapic_pi_waiters_wake_due(waiters, wake);
		EXPECT_TRUE(woken.empty());
		EXPECT_FALSE(vapic_pi_waiters_add(waiters, v.core()));
		EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kWaiterForeign});
	}
}

TEST(Waiters, AreWokenByOnAlone)
{
	List list(64);
	V v;

	list.add(v);
	v.control() = ~V::kOn;
	EXPECT_TRUE(round(list).empty());
	v.control() |= V::kOn;
	EXPECT_EQ(round(list), std::vector{&v});
	// ON stays set, but the vCPU is no longer in the list.
	EXPECT_TRUE(round(list).empty());
}

// For any number of vCPUs: the handler finds one in each place, and then all others.
TEST(Waiters, AreFoundWhereverTheyAre)
{
	for (unsigned n = 1; n <= 64; ++n) {
		for (unsigned which = 0; which < n; ++which) {
			List list(64);
			auto all = vcpus(n);

			for (auto &v : all)
				list.add(*v);
			all[which]->control() = V::kOn;
			EXPECT_EQ(round(list), std::vector{all[which].get()});

			for (auto &v : all)
				v->control() = V::kOn;
			EXPECT_EQ(round(list).size(), n - 1) << which << " of " << n;
			EXPECT_TRUE(round(list).empty());
		}
	}
}

// Interrupts for several vCPUs may arrive as one wakeup vector.
TEST(Waiters, AreAllFoundInOneRound)
{
	constexpr unsigned kVcpus = 13;
	auto all = vcpus(kVcpus);

	for (unsigned due = 0; due < 1u << kVcpus; ++due) {
		List list(16);
		std::vector<V *> expected;

		for (unsigned i = 0; i < kVcpus; ++i) {
			list.add(*all[i]);
			all[i]->control() = due >> i & 1 ? V::kOn : 0;
			if (due >> i & 1)
				expected.push_back(all[i].get());
		}
		std::sort(expected.begin(), expected.end());
		ASSERT_EQ(round(list), expected) << due;
		for (unsigned i = 0; i < kVcpus; ++i)
			if (!(due >> i & 1))
				list.remove(*all[i]);
		ASSERT_EQ(list.waiters.begin, list.waiters.end);
	}
}

// A CPU dies.
TEST(Waiters, AreAllWokenWithoutOn)
{
	for (unsigned n = 0; n <= 33; ++n) {
		List list(64);
		auto all = vcpus(n);
		std::vector<V *> expected;

		for (auto &v : all) {
			list.add(*v);
			v->control() = n % 2 ? V::kOn : 0;
			expected.push_back(v.get());
		}
		std::sort(expected.begin(), expected.end());
		vapic_pi_waiters_wake_all(&list.waiters, wake);
		std::sort(woken.begin(), woken.end());
		EXPECT_EQ(std::exchange(woken, {}), expected);
		EXPECT_EQ(list.waiters.begin, list.waiters.end);

		// The CPU comes back.
		V later;

		list.add(later);
		later.control() = V::kOn;
		EXPECT_EQ(round(list), std::vector{&later});
	}
}

// A vCPU may be freed as soon as the host has woken it: the list does not access it afterwards.
TEST(Waiters, AreNotTouchedOnceTheyKnow)
{
	static std::set<V *> alive;
	List list(16);

	for (unsigned i = 0; i < 11; ++i) {
		V *v = *alive.insert(new V).first;

		v->control() = V::kOn;
		list.add(*v);
	}
	vapic_pi_waiters_wake_due(&list.waiters, [](vapic_vcpu *glue) {
		alive.erase(V::of(glue));
		delete V::of(glue);
	});
	EXPECT_TRUE(alive.empty());
}

// The list uses its room in multiples of the padding; the remainder is not used.
TEST(Waiters, AreRefusedByAFullList)
{
	fake_host::ExpectBroken broken;
	List list(31);
	auto all = vcpus(17);

	for (unsigned i = 0; i < 16; ++i)
		list.add(*all[i]);
	EXPECT_FALSE(vapic_pi_waiters_add(&list.waiters, all[16]->core()));
	EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kWaiterForeign});
}

TEST(Waiters, AreNotRemovedTwice)
{
	fake_host::ExpectBroken broken;
	List list(16);
	V v;
	V other;

	list.add(v);
	list.add(other);
	list.remove(v);
	list.remove(v);
	EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kWaiterForeign});
	other.control() = V::kOn;
	EXPECT_EQ(round(list), std::vector{&other});
	list.remove(other);
	EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kWaiterForeign});
}

TEST(Waiters, AreNotRemovedFromAnotherList)
{
	fake_host::ExpectBroken broken;
	List here(16);
	List there(16);
	V v;

	here.add(v);
	there.remove(v);
	EXPECT_EQ(broken.take(), std::vector{vapic::Broken::kWaiterForeign});
	v.control() = V::kOn;
	EXPECT_EQ(round(here), std::vector{&v});
}

TEST(Waiters, MoveToLargerMemory)
{
	List list(16);
	auto all = vcpus(17);

	for (unsigned i = 0; i < 16; ++i)
		list.add(*all[i]);
	list.grow(32);
	list.add(*all[16]);
	list.remove(*all[0]);
	for (auto &v : all)
		v->control() = V::kOn;
	EXPECT_EQ(round(list).size(), 16u);
}

// Compares two lists, as of two CPUs, with plain sets.
TEST(Waiters, ComeAndGoInAnyOrder)
{
	std::mt19937 random(1);
	List lists[] = {List(16), List(16)};
	u32 room[] = {16, 16};
	std::set<V *> in[2];
	auto all = vcpus(300);

	for (unsigned step = 0; step < 100000; ++step) {
		// Sometimes few vCPUs take part, sometimes many.
		const unsigned some = 1 + static_cast<unsigned>(all.size() - 1) * (step / 1000 % 5) / 4;
		const unsigned cpu = random() % 2;
		V *v = all[random() % some].get();

		switch (random() % 8) {
		case 0:
		case 1:
		case 2:
			if (in[0].count(v) || in[1].count(v))
				break;
			if (in[cpu].size() == room[cpu])
				lists[cpu].grow(room[cpu] *= 2);
			v->control() = random() & ~V::kOn;
			lists[cpu].add(*v);
			in[cpu].insert(v);
			break;
		case 3:
		case 4:
			if (in[cpu].erase(v))
				lists[cpu].remove(*v);
			break;
		case 5:
		case 6:
			v->control() |= V::kOn;
			break;
		case 7: {
			std::vector<V *> expected;

			for (V *w : in[cpu])
				if (w->control() & V::kOn)
					expected.push_back(w);
			ASSERT_EQ(round(lists[cpu]), expected);
			for (V *w : expected)
				in[cpu].erase(w);
			break;
		}
		}
	}
	EXPECT_GT(room[0] + room[1], 128u);
}

} // namespace
