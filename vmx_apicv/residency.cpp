// SPDX-License-Identifier: GPL-2.0-only
//
// Residency: where hardware that posts an interrupt sends its notification, and whether it
// sends one. A descriptor is always in one of three states:
//
//   loaded      SN=0, NV=notification, NDST=the CPU that the vCPU is on or was last on
//   armed       SN=0, NV=wakeup, NDST=the CPU among whose waiters the vCPU is
//   suppressed  SN=1: hardware notifies nobody; load() looks for what was posted meanwhile
//
// Delivery by software does not look at the state: it sets ON and finds out from KVM whether
// the vCPU is in the guest or sleeps.
#include "state.hpp"

using namespace vapic;
using namespace vapic::vmx;
using namespace vapic::hw;

namespace {

constexpr PiControl kOn = PiControl{}.with(PiControl::kOn, true);

// ORDERING pi-control
//   writers:  the vCPU's own task, all fields; whoever posts sets ON, notification
//             processing clears it
//   order:    a locked compare-exchange of the whole word; a plain store would clear an ON
//             that was set meanwhile
//   pairs:    posting: PIR bit, then ON if neither ON nor SN is set, in one locked
//             operation on this word
//   barrier:  here
//   if lost:  ON and with it the notification: the vCPU sleeps with an interrupt posted
//   checked:  posted_interleaving_test; selftest ipi_blocked; model posted (LOAD_PLAIN_STORE,
//             ARM_PLAIN_STORE)
template <typename Change>
PiControl replace(vapic_pi_on_cpu on, Change change)
{
	Slot<PiControl> &slot = descriptor(*on.vcpu).control;

	for (;;) {
		const PiControl seen = slot.load();
		const PiControl wanted = change(seen);

		// Nothing to write; ON, the only bit that others change, may have either value.
		if (wanted == seen)
			return seen;
		// Success: from here on posts see the new word.
		if (slot.try_replace(seen, wanted))
			return seen;
		// Failure: ON was set or cleared meanwhile, which does not matter: try again.
	}
}

} // namespace

// ORDERING sn-clear
//   writers:  as pi-control
//   order:    SN is cleared by a locked operation, then PIR is read
//   pairs:    posting: PIR bit, then a locked look at SN. The poster sees SN=0 and sets ON,
//             or its PIR bit is seen here
//   barrier:  here, the compare-exchange; vapic_pi_vcpu_resume(), the AND
//   if lost:  PIR holds a vector without ON: nobody takes it before the next post
//   checked:  posted_interleaving_test (load_reads_pir_first, resume_reads_pir_first); selftest
//             ipi_lost; model posted (LOAD_READS_PIR_FIRST, RESUME_READS_PIR_FIRST)
void vapic_pi_vcpu_load(vapic_pi_on_cpu on, u32 cpu, u32 destination)
{
	if (vapic_pi_vcpu_resume(on, cpu))
		return;

	vapic_pi_vcpu_hot &hot = on.vcpu->hot;
	const PiControl before = replace(on, [&](PiControl seen) {
		return seen.with(PiControl::kSn, false)
			.with(PiControl::kNv, on.vcpu->notification)
			.with(PiControl::kNdst, NotificationDestination{destination});
	});

	vapic_pi_home_store(&hot.home, cpu);

	// Without SN, every post has set ON or is about to.
	if (before.get(PiControl::kSn) && vapic_pi_is_posted(hot.descriptor))
		descriptor(*on.vcpu).control.set_bits(kOn);
}

void vapic_pi_vcpu_leave_home(vapic_pi_on_cpu on)
{
	vapic_pi_home_store(&on.vcpu->hot.home, VAPIC_PI_NOWHERE);
}

// ORDERING wakeup-arm
//   writers:  as pi-control
//   order:    the vCPU is among the CPU's waiters, then NV=wakeup, then the look at ON,
//             which is part of the same locked operation
//   pairs:    posting: ON, then NV, in one locked operation. The poster sees the wakeup vector,
//             or its ON is seen here
//   barrier:  here
//   if lost:  hardware has sent the notification vector, which wakes nobody
//   checked:  posted_interleaving_test (arm_silently, ArmBeforeTheCpuKnows); selftest ipi_blocked;
//             model posted (ARM_SILENTLY, ARM_LOOKS_FIRST, ARM_BEFORE_WAITING)
bool vapic_pi_vcpu_arm(vapic_pi_on_cpu on)
{
	vapic_pi_vcpu_leave_home(on);

	const PiControl before = replace(on, [&](PiControl seen) {
		return seen.with(PiControl::kSn, false).with(PiControl::kNv, on.vcpu->wakeup);
	});

	return before.get(PiControl::kOn);
}
