// SPDX-License-Identifier: GPL-2.0-only
//
// The vCPUs that sleep on one CPU. The wakeup vector does not say which vCPU it is for, so its
// handler must look at every descriptor, each in a cache line of its own; only the rest can be
// made cheap. vapic_pi_waiters_wake_due() looks:
//
// ORDERING on-scan
//   writers:  whoever posts sets ON; nobody clears it while the vCPU sleeps
//   order:    none: an ON that is set after it was looked at brings another interrupt
//   pairs:    posting: ON, then the wakeup vector, which the CPU takes afterwards
//   barrier:  the interrupt
//   if lost:  the vCPU sleeps with an interrupt posted
//   checked:  waiters_test; wakeup_interleaving_test (FirstOfAGroupForAll); selftest
//             ipi_blocked
#include "state.hpp"

using namespace vapic;

const vapic_pi_control vapic_pi_nobody{};

namespace {

bool put(vapic_pi_waiters &waiters, vapic_pi_place place)
{
	if (waiters.end == waiters.limit) {
		broken(Broken::kWaiterForeign);
		return false;
	}
	place.waiter->place = waiters.end;
	*waiters.end++ = place;
	return true;
}

} // namespace

u64 vapic_pi_waiters_size(u32 capacity)
{
	return u64{capacity} * sizeof(vapic_pi_place);
}

void *vapic_pi_waiters_move(vapic_pi_waiters *waiters, void *memory, u32 capacity)
{
	const vapic_pi_waiters old = *waiters;

	waiters->begin = static_cast<vapic_pi_place *>(memory);
	waiters->end = waiters->begin;
	waiters->limit = waiters->begin + (capacity - capacity % VAPIC_PI_WAITERS_PADDING);
	for (vapic_pi_place *place = waiters->begin; place != waiters->limit; ++place)
		*place = {&vapic_pi_nobody, nullptr};
	for (const vapic_pi_place *place = old.begin; place != old.end; ++place)
		static_cast<void>(put(*waiters, *place));
	return old.begin;
}

bool vapic_pi_waiters_add(vapic_pi_waiters *waiters, vapic_pi_vcpu *vcpu)
{
	return put(*waiters, {&vcpu->hot.descriptor->control, &vcpu->waiter});
}

void vapic_pi_waiters_remove(vapic_pi_waiters *waiters, vapic_pi_vcpu *vcpu)
{
	vapic_pi_place *const place = vcpu->waiter.place;

	if (place < waiters->begin || place >= waiters->end || place->waiter != &vcpu->waiter) {
		broken(Broken::kWaiterForeign);
		return;
	}
	static_cast<void>(vapic_pi_waiters_take(waiters, place));
}
