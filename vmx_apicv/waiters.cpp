// SPDX-License-Identifier: GPL-2.0-only
//
// Who sleeps on one CPU. The wakeup vector does not say whom it is for, so every descriptor
// has to be looked at, each in a cache line of its own; what can be saved is all the rest.
#include "state.hpp"

using namespace vapic;
using namespace vapic::vmx;
using namespace vapic::hw;

namespace {

// Fills the last group up.
constexpr std::uint64_t kNobody = 0;

// The compiler has no atomic load that it would make a part of another instruction.
//
// ORDERING on-scan
//   writers:  whoever posts sets ON; nobody clears it while the vCPU sleeps
//   order:    none: an ON that is set after it was looked at brings another interrupt
//   pairs:    posting: ON, then the wakeup vector, which the CPU takes afterwards
//   barrier:  the interrupt
//   if lost:  the vCPU sleeps on a posted interrupt
//   checked:  waiters_test; selftest ipi_blocked
void gather(std::uint64_t &seen, const std::uint64_t *word)
{
	asm("orq %1, %0" : "+r"(seen) : "m"(*word) : "cc");
}

bool any_on(const WaiterGroup &group)
{
	std::uint64_t seen = 0;

	gather(seen, group.controls[0]);
	gather(seen, group.controls[1]);
	gather(seen, group.controls[2]);
	gather(seen, group.controls[3]);
	gather(seen, group.controls[4]);
	gather(seen, group.controls[5]);
	gather(seen, group.controls[6]);
	gather(seen, group.controls[7]);
	return PiControl{seen}.get(PiControl::kOn);
}

bool is_on(const std::uint64_t *word)
{
	bool on; // NOLINT(cppcoreguidelines-init-variables)

	asm("testb %2, %1" : "=@ccnz"(on) : "m"(*word), "i"(PiControl::kOn.kMask));
	return on;
}

void put(vapic_pi_waiters &waiters, std::uint32_t place, vapic_pi_vcpu *vcpu, WaitersLocked)
{
	WaiterGroup &group = waiters.groups()[place / kGroup];

	group.controls[place % kGroup] = vcpu->control;
	group.owners[place % kGroup] = vcpu;
	vcpu->place = place;
}

// The last one takes the place that becomes free.
void remove(vapic_pi_waiters &waiters, std::uint32_t place, WaitersLocked locked)
{
	const std::uint32_t last = --waiters.count;
	WaiterGroup &group = waiters.groups()[last / kGroup];

	put(waiters, place, group.owners[last % kGroup], locked);
	group.controls[last % kGroup] = &kNobody;
	group.owners[last % kGroup] = nullptr;
}

[[gnu::always_inline]] inline void *take(vapic_pi_waiters &waiters, std::uint32_t from,
					 WaitersLocked locked)
{
	WaiterGroup *const end = waiters.groups() + (waiters.count + kGroup - 1) / kGroup;
	WaiterGroup *group = waiters.groups() + from / kGroup;
	std::uint32_t i = from % kGroup;

	for (; group < end; ++group, i = 0) {
		if (!i && !any_on(*group))
			continue;
		for (; i < kGroup; ++i) {
			if (!is_on(group->controls[i]))
				continue;

			vapic_pi_vcpu *vcpu = group->owners[i];
			const auto nth = static_cast<std::uint32_t>(group - waiters.groups());

			// Next time here again, since the place has somebody else now.
			waiters.cursor = nth * kGroup + i;
			remove(waiters, waiters.cursor, locked);
			return vcpu->host_vcpu;
		}
	}
	// Whoever is added from here on belongs to the next round.
	waiters.cursor = waiters.count;
	return nullptr;
}

} // namespace

u64 vapic_pi_waiters_size(u32 capacity)
{
	return sizeof(vapic_pi_waiters) + u64{capacity / kGroup} * sizeof(WaiterGroup);
}

void vapic_pi_waiters_init(vapic_pi_waiters *waiters, u32 capacity, const vapic_pi_waiters *from)
{
	waiters->capacity = capacity / kGroup * kGroup;
	for (std::uint32_t i = 0; i < waiters->capacity; ++i)
		waiters->groups()[i / kGroup].controls[i % kGroup] = &kNobody;
	if (!from)
		return;

	for (std::uint32_t i = 0; i < from->count; ++i)
		put(*waiters, i, from->owner(i), WaitersLocked{});
	waiters->count = from->count;
}

u32 vapic_pi_waiters_capacity(const vapic_pi_waiters *waiters)
{
	return waiters->capacity;
}

bool vapic_pi_waiters_add(vapic_pi_waiters *waiters, vapic_pi_vcpu *vcpu)
{
	if (waiters->count == waiters->capacity) {
		broken(Broken::kWaiterForeign);
		return false;
	}
	put(*waiters, waiters->count++, vcpu, WaitersLocked{});
	return true;
}

void vapic_pi_waiters_remove(vapic_pi_waiters *waiters, vapic_pi_vcpu *vcpu)
{
	if (vcpu->place >= waiters->count || waiters->owner(vcpu->place) != vcpu) {
		broken(Broken::kWaiterForeign);
		return;
	}
	remove(*waiters, vcpu->place, WaitersLocked{});
}

void *vapic_pi_waiters_first(vapic_pi_waiters *waiters)
{
	return take(*waiters, 0, WaitersLocked{});
}

void *vapic_pi_waiters_next(vapic_pi_waiters *waiters)
{
	return take(*waiters, waiters->cursor, WaitersLocked{});
}
