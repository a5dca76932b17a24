// SPDX-License-Identifier: GPL-2.0-only
//
// The lists of vCPUs that sleep on a CPU. The oracle keeps a set for each list.
#include <vapic/vmx_hot.h>

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "fuzz.hpp"
#include "host.hpp"
#include "posted_machine.hpp"

namespace {

constexpr u32 kVcpus = 40;
constexpr u32 kLists = 2;

std::vector<PostedVcpu *> woken;

void wake(vapic_vcpu *glue)
{
	woken.push_back(PostedVcpu::of(glue));
}

class List {
public:
	List() = default;
	List(const List &) = delete;
	List &operator=(const List &) = delete;

	vapic_pi_waiters *core() { return &waiters; }
	bool full() const { return members.size() == capacity; }

	// To other memory, with room for `wanted` or for those in it, whichever is more.
	void move(u32 wanted)
	{
		u32 room = std::max(wanted, static_cast<u32>(members.size()));

		room = (room + 15) / 16 * 16;

		auto to =
			std::make_unique<Block>(std::max<u64>(vapic_pi_waiters_size(room), 16), 64);
		void *old = vapic_pi_waiters_move(&waiters, to->get(), room);

		HOLDS(vapic_pi_waiters_size(room) == u64{room} * 16);
		HOLDS(old == (memory ? memory->get() : nullptr));
		memory = std::move(to);
		capacity = room;
	}

	// What is woken are these, each once; they are not members any more.
	void took(const std::set<PostedVcpu *> &due)
	{
		HOLDS(woken.size() == due.size());
		for (PostedVcpu *vcpu : woken) {
			HOLDS(due.contains(vcpu));
			HOLDS(members.erase(vcpu) == 1);
		}
		woken.clear();
	}

	void check()
	{
		std::set<PostedVcpu *> found;

		for (vapic_pi_place *place = waiters.begin; place != waiters.end; ++place) {
			PostedVcpu *vcpu = PostedVcpu::of(place->waiter->glue);

			HOLDS(place->waiter->place == place);
			HOLDS(place->control == &vcpu->descriptor()->control);
			HOLDS(found.insert(vcpu).second);
		}
		HOLDS(found == members);
		// What is free looks as if nothing were posted.
		for (vapic_pi_place *place = waiters.end; place != waiters.limit; ++place)
			HOLDS(!vapic_pi_control_load(place->control));
		HOLDS(waiters.limit - waiters.begin == static_cast<std::ptrdiff_t>(capacity));
	}

	std::set<PostedVcpu *> members;

private:
	vapic_pi_waiters waiters{};
	std::unique_ptr<Block> memory;
	u32 capacity = 0;
};

class Lists {
public:
	explicit Lists(fuzz::Input &input) : in(input) {}

	void step()
	{
		const u32 what = in.below(12);
		const u32 n = in.below(kVcpus);
		PostedVcpu &vcpu = vcpus[n];
		List &list = lists[in.below(kLists)];
		host::ExpectBroken broken;
		bool expected = false;

		switch (what) {
		case 0:
		case 1:
		case 2:
		case 3:
			// It may be in one list only.
			if (std::any_of(lists, lists + kLists,
					[&](List &l) { return l.members.contains(&vcpu); }))
				break;
			expected = list.full();
			HOLDS(vapic_pi_waiters_add(list.core(), vcpu.core()) == !expected);
			if (!expected)
				list.members.insert(&vcpu);
			break;
		case 4:
			expected = !list.members.contains(&vcpu);
			vapic_pi_waiters_remove(list.core(), vcpu.core());
			list.members.erase(&vcpu);
			break;
		case 5:
			list.move(in.below(4) * 16);
			break;
		case 6:
		case 7:
		case 8:
			vcpu.control() = in.flag() ? PostedVcpu::kOn : 0;
			break;
		case 9:
			vapic_pi_waiters_wake_all(list.core(), wake);
			list.took(std::set(list.members));
			break;
		default:
			due(list);
		}
		HOLDS((broken.take() == std::vector{vapic::Broken::kWaiterForeign}) == expected);
		for (List &each : lists)
			each.check();
	}

private:
	void due(List &list)
	{
		std::set<PostedVcpu *> wanted;

		for (PostedVcpu *vcpu : list.members)
			if (vcpu->control() & PostedVcpu::kOn)
				wanted.insert(vcpu);
		vapic_pi_waiters_wake_due(list.core(), wake);
		list.took(wanted);
	}

	fuzz::Input &in;
	PostedVcpu vcpus[kVcpus];
	List lists[kLists];
};

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	fuzz::Input in(bytes, size);
	Lists lists(in);

	while (in.more())
		lists.step();
	return 0;
}
