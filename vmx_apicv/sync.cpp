// SPDX-License-Identifier: GPL-2.0-only
//
// Takes posted interrupts to where hardware delivers them: from PIR to IRR to RVI.
//
// RVI is known if it is the highest vector of the IRR. Virtual-interrupt delivery, notification
// processing and self-IPI virtualization keep it so. Software changes the IRR in five places:
// sync (RVI follows), KVM when it clears a vector and when it writes the page anew
// (hwapic_irr_update follows), delivery to a vCPU without APICv, and sync while a nested guest
// runs or APICv is off. The last two set rvi_unknown; so does whatever makes KVM write the page.
// Therefore one flag is enough: while it and ON are clear, an entry to the guest has nothing to
// do, and RVI read back is the highest vector of the IRR.
#include "state.hpp"

using namespace vapic;
using namespace vapic::vmx;
using namespace vapic::hw;

namespace {

DescriptorNumber number_of(std::uint64_t pa)
{
	if (pa % alignof(PiDescriptor))
		broken(Broken::kMisalignedDescriptor);
	return DescriptorNumber{pa / sizeof(PiDescriptor)};
}

} // namespace

u32 vapic_pi_vcpu_size()
{
	return sizeof(vapic_pi_vcpu);
}

void vapic_pi_vcpu_init(vapic_pi_vcpu *vcpu, vapic_vcpu *glue, vapic_pi_descriptor *descriptor,
			u64 descriptor_pa, void *regs, vapic_pi_vectors vectors)
{
	vcpu->hot.descriptor = descriptor;
	vapic_pi_unknown_store(&vcpu->hot.rvi_unknown, true);
	vapic_pi_home_store(&vcpu->hot.home, VAPIC_PI_NOWHERE);
	vcpu->notification = Vector{vectors.notification};
	vcpu->wakeup = Vector{vectors.wakeup};
	vcpu->regs = static_cast<lapic::RegisterPage *>(regs);
	vcpu->waiter.glue = glue;
	vcpu->entry = PidTableEntry{}
			      .with(PidTableEntry::kValid, true)
			      .with(PidTableEntry::kDescriptor, number_of(descriptor_pa));
}

// ORDERING on-clear
//   writers:  whoever posts sets ON, as does a load that finds PIR not empty; this, discard
//             and notification processing in the guest clear it. Stock's RESET writes the
//             whole word before anybody can post
//   order:    ON is cleared by a locked operation, then PIR is read
//   pairs:    posting: PIR bit, then ON, both locked. If the poster finds ON still set, and so
//             tells nobody, its PIR bit is seen here
//   barrier:  here
//   if lost:  PIR holds a vector without ON: nobody takes it before the next post
//   checked:  posted_interleaving_test (sync_clears_on_last, sync_clears_on_by_store); selftest
//             ipi_lost; model posted (SYNC_ON_LAST)
//
// rvi_unknown is cleared by an exchange before the IRR is read: rvi-unknown, in vmx_hot.h.
vapic_pi_irr vapic_pi_vcpu_sync(vapic_pi_loaded loaded, bool to_rvi)
{
	vapic_pi_vcpu *vcpu = loaded.vcpu;
	PiDescriptor &from = descriptor(*vcpu);
	vapic_pi_unknown &unknown = vcpu->hot.rvi_unknown;
	std::uint64_t pir[kPirWords];
	std::uint32_t newest = VAPIC_NO_VECTOR;

	if (!to_rvi)
		vapic_pi_unknown_store(&unknown, true);
	else if (vapic_pi_unknown_load(&unknown))
		vapic_pi_unknown_exchange(&unknown, false);

	if (from.control.load().get(PiControl::kOn)) {
		from.control.clear_bits(PiControl{}.with(PiControl::kOn, true));

		// Read all words before taking the first: once one is taken, the next post
		// pulls the cache line away, while the other words in it are still to be read.
		for (unsigned i = 0; i < kPirWords; ++i)
			pir[i] = from.pir[i].load().raw();
		for (unsigned i = 0; i < kPirWords; ++i) {
			if (!pir[i])
				continue;

			const std::uint32_t added =
				vcpu->regs->merge_irr(i, from.pir[i].exchange(PirWord{}).raw());

			if (added != VAPIC_NO_VECTOR)
				newest = added;
		}
	}

	const std::uint32_t highest = vcpu->regs->highest_irr();

	return {highest, newest != VAPIC_NO_VECTOR && newest == highest};
}

// ORDERING unsettle
//   writers:  as rvi-unknown
//   order:    release, after the caller's change of the IRR
//   pairs:    vapic_pi_vcpu_sync(): exchange of the flag, then the IRR
//   barrier:  in the caller, whose request and kick follow
//   if lost:  as rvi-unknown
//   checked:  posted_interleaving_test (unsettle_not); model posted (DELIVERS_SETTLED)
void vapic_pi_vcpu_unsettle(vapic_pi_vcpu *vcpu)
{
	vapic_pi_unknown_publish(&vcpu->hot.rvi_unknown, true);
}

// ORDERING discard
//   writers:  as on-clear, with the vCPU loaded and not running: its mutex is held, or it is
//             being made
//   order:    ON is cleared, then PIR, both locked: an ON that is set meanwhile stays, at worst
//             with an empty PIR. Mostly there is nothing to clear; what is posted after the
//             look at a word counts as posted after the discard
//   pairs:    posting: PIR bit, then ON. What is posted before the caller writes the page may
//             be lost or not, as with stock: nothing orders the two
//   barrier:  here
//   if lost:  PIR holds a vector without ON: nobody takes it before the next post
//   checked:  posted_interleaving_test (discard_clears_on_last); pi_sync_test; selftest
//             lapic_restore
void vapic_pi_vcpu_discard(vapic_pi_loaded loaded)
{
	PiDescriptor &from = descriptor(*loaded.vcpu);

	if (from.control.load().get(PiControl::kOn))
		from.control.clear_bits(PiControl{}.with(PiControl::kOn, true));
	for (Slot<PirWord> &word : from.pir)
		if (word.load().raw())
			word.exchange(PirWord{});
	vapic_pi_vcpu_unsettle(loaded.vcpu);
}
