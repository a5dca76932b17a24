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

void vapic_pi_vcpu_init(vapic_pi_vcpu *vcpu, vapic_vcpu *glue, void *descriptor, u64 descriptor_pa,
			void *regs, vapic_pi_vectors vectors)
{
	if (descriptor_pa & 63)
		broken(Broken::kMisalignedDescriptor);

	vcpu->descriptor = static_cast<PiDescriptor *>(descriptor);
	vcpu->control = vcpu->descriptor->control.address();
	vcpu->rvi_unknown = 1;
	vcpu->home = VAPIC_PI_NOWHERE;
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
// ORDERING rvi-unknown
//   writers:  unsettle, by anybody, after its change of the IRR; this clears it
//   order:    cleared by an exchange, then the IRR is read. A plain store could become
//             visible after the read, and erase a flag set in between
//   pairs:    vapic_pi_vcpu_unsettle()
//   barrier:  here
//   if lost:  a vector in the IRR that RVI does not know: not delivered until another is
//   checked:  posted_interleaving_test (sync_settles_by_store, sync_settles_last)
vapic_pi_irr vapic_pi_vcpu_sync(vapic_pi_vcpu *vcpu, bool to_rvi)
{
	PiDescriptor &descriptor = *vcpu->descriptor;
	std::uint64_t pir[kPirWords];
	std::uint32_t newest = VAPIC_NO_VECTOR;

	if (!to_rvi)
		__atomic_store_n(&vcpu->rvi_unknown, std::uint8_t{1}, __ATOMIC_RELAXED);
	else if (__atomic_load_n(&vcpu->rvi_unknown, __ATOMIC_RELAXED))
		static_cast<void>(
			__atomic_exchange_n(&vcpu->rvi_unknown, std::uint8_t{0}, __ATOMIC_SEQ_CST));

	if (descriptor.control.load().get(PiControl::kOn)) {
		descriptor.control.clear_bits(PiControl{}.with(PiControl::kOn, true));

		// All are read before the first is taken: a taken one would have to travel
		// back to the CPU that posts next, while the others still share the line.
		for (unsigned i = 0; i < kPirWords; ++i)
			pir[i] = descriptor.pir[i].load().raw();
		for (unsigned i = 0; i < kPirWords; ++i) {
			if (!pir[i])
				continue;

			const std::uint64_t added = vcpu->regs->merge_irr(
				i, descriptor.pir[i].exchange(PirWord{}).raw());

			if (added)
				newest =
					64 * i + 63 - static_cast<unsigned>(__builtin_clzll(added));
		}
	}

	const std::uint32_t highest = vcpu->regs->highest_irr();

	return {highest, newest != VAPIC_NO_VECTOR && newest == highest};
}

void vapic_pi_vcpu_unsettle(vapic_pi_vcpu *vcpu)
{
	// Release: after the change of the IRR. The caller's request and kick, with their own
	// barriers, follow.
	__atomic_store_n(&vcpu->rvi_unknown, std::uint8_t{1}, __ATOMIC_RELEASE);
}

void vapic_pi_vcpu_discard(vapic_pi_vcpu *vcpu)
{
	PiDescriptor &descriptor = *vcpu->descriptor;

	// ON first: an ON that is set meanwhile stays, at worst over an empty PIR. Mostly there is
	// nothing, and what comes after the look comes after all this.
	if (descriptor.control.load().get(PiControl::kOn))
		descriptor.control.clear_bits(PiControl{}.with(PiControl::kOn, true));
	for (Slot<PirWord> &word : descriptor.pir)
		if (word.load().raw())
			word.exchange(PirWord{});
	vapic_pi_vcpu_unsettle(vcpu);
}
