// SPDX-License-Identifier: GPL-2.0-only
//
// From what is posted to what hardware delivers: PIR to IRR to RVI.
//
// When is RVI known? Virtual-interrupt delivery, notification processing and self-IPI
// virtualization leave it the highest vector of the IRR if it was before. Software changes
// the IRR in five places: sync (RVI follows), KVM clearing a vector and writing the page
// anew (hwapic_irr_update follows), delivery to a vCPU without APICv, and sync while a
// nested guest runs or APICv is off. The last two say unsettle; so does whatever makes KVM
// write the page. Hence one flag is enough: as long as it is clear, an entry to the guest
// with ON clear has nothing to do, and RVI read back is the highest vector of the IRR.
#include "state.hpp"

using namespace vapic;
using namespace vapic::vmx;
using namespace vapic::hw;

u32 vapic_pi_vcpu_size()
{
	return sizeof(vapic_pi_vcpu);
}

void vapic_pi_vcpu_init(vapic_pi_vcpu *vcpu, vapic_vcpu *glue, vapic_pi_descriptor *descriptor,
			u64 descriptor_pa, void *regs, vapic_pi_vectors vectors)
{
	if (descriptor_pa & 63)
		broken(Broken::kMisalignedDescriptor);

	vcpu->hot.descriptor = descriptor;
	vapic_pi_unknown_store(&vcpu->hot.rvi_unknown, true);
	vapic_pi_home_store(&vcpu->hot.home, VAPIC_PI_NOWHERE);
	vcpu->notification = Vector{vectors.notification};
	vcpu->wakeup = Vector{vectors.wakeup};
	vcpu->regs = static_cast<lapic::RegisterPage *>(regs);
	vcpu->waiter.glue = glue;
	vcpu->entry =
		PidTableEntry{}
			.with(PidTableEntry::kValid, true)
			.with(PidTableEntry::kDescriptor, DescriptorNumber{descriptor_pa >> 6});
}

// ORDERING on-clear
//   writers:  whoever posts sets ON; this clears it, as notification processing does in
//             the guest
//   order:    ON is cleared by a locked operation, then PIR is read
//   pairs:    posting: PIR bit, then ON, both locked. If the look at ON finds it still set,
//             and so tells nobody, its PIR bit is seen here
//   barrier:  here
//   if lost:  PIR holds a vector without ON: nobody takes it before the next post
//   checked:  posted_interleaving_test (sync_clears_on_last); selftest ipi_lost
//
// The flag is cleared by an exchange before the IRR is read: rvi-unknown, in vmx_hot.h.
vapic_pi_irr vapic_pi_vcpu_sync(vapic_pi_vcpu *vcpu, bool to_rvi)
{
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

		// All are read before the first is taken: a taken one would have to travel
		// back to the CPU that posts next, while the others still share the line.
		for (unsigned i = 0; i < kPirWords; ++i)
			pir[i] = from.pir[i].load().raw();
		for (unsigned i = 0; i < kPirWords; ++i) {
			if (!pir[i])
				continue;

			const std::uint64_t added =
				vcpu->regs->merge_irr(i, from.pir[i].exchange(PirWord{}).raw());

			if (added)
				newest =
					64 * i + 63 - static_cast<unsigned>(__builtin_clzll(added));
		}
	}

	const std::uint32_t highest = vcpu->regs->highest_irr();

	return {highest, newest != VAPIC_NO_VECTOR && newest == highest};
}

// ORDERING unsettle
//   writers:  as rvi-unknown
//   order:    release, after the caller's change of the IRR
//   pairs:    vapic_pi_vcpu_sync(): exchange of the flag, then the IRR
//   barrier:  the caller's, whose request and kick follow
//   if lost:  as rvi-unknown
//   checked:  posted_interleaving_test (unsettle_not)
void vapic_pi_vcpu_unsettle(vapic_pi_vcpu *vcpu)
{
	vapic_pi_unknown_publish(&vcpu->hot.rvi_unknown, true);
}

// ORDERING discard
//   writers:  as on-clear, with the vCPU's mutex held and the vCPU not running
//   order:    ON is cleared, then PIR, both locked: an ON that is set meanwhile stays, at worst
//             over an empty PIR. Mostly there is nothing to clear, and what comes after the look
//             comes after all this
//   pairs:    posting: PIR bit, then ON. What is posted before the caller writes the page is
//             lost or not, as with stock: nothing orders it
//   barrier:  here
//   if lost:  PIR holds a vector without ON: nobody takes it before the next post
//   checked:  pi_sync_test; selftest lapic_restore
void vapic_pi_vcpu_discard(vapic_pi_vcpu *vcpu)
{
	PiDescriptor &from = descriptor(*vcpu);

	if (from.control.load().get(PiControl::kOn))
		from.control.clear_bits(PiControl{}.with(PiControl::kOn, true));
	for (Slot<PirWord> &word : from.pir)
		if (word.load().raw())
			word.exchange(PirWord{});
	vapic_pi_vcpu_unsettle(vcpu);
}
