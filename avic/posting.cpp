// SPDX-License-Identifier: GPL-2.0-only
//
// Posting: what the IOMMU is to do with the interrupts of assigned devices that name a vCPU.
//
// The vCPU's own task decides (residency.cpp), because only that task knows where the vCPU is. It
// takes a lock for it only if some interrupt names the vCPU and the IOMMU is to do something else
// than it does. Whoever adds the first interrupt cannot wait for the task, so it guesses, and
// requests that the task has a look. Documentation/ordering.rst argues that no interrupt is lost.
#include <vapic/host.h>

#include "state.hpp"

using namespace vapic;
using namespace vapic::avic;
using namespace vapic::hw;

namespace {

constexpr Posting kRemaps = Posting{}.with(Posting::kAny, true);

vapic_posting told(Posting posting)
{
	return {
		.posts = posting.get(Posting::kPosts),
		.rings = posting.get(Posting::kRings),
		.host = {posting.get(Posting::kHost).raw()},
	};
}

// The tag of an interrupt: software's own format, which the IOMMU copies to its log.
struct GaTag : Word<GaTag, std::uint32_t> {
	using Word::Word;

	static constexpr At<GuestApicId, 0, 12> kVcpu{};
	static constexpr At<std::uint32_t, 12, 20> kVm{};
};

static_assert(GaTag::kVcpu.kMax + 1 == kX2apicIdsExtended);
static_assert(GaTag::kVm.kMax == VAPIC_AVIC_GA_TAG_VMS);
static_assert(disjoint(GaTag::kVcpu.kMask, GaTag::kVm.kMask));

} // namespace

Posting vapic::avic::wanted_posting(const vapic_avic_vcpu &vcpu, HostApicId host)
{
	const Attention seen = attention(vcpu).load();

	if (seen.get(Attention::kInactive) || vcpu.vm->remaps.load())
		return kRemaps;
	if (seen.get(Attention::kAsleep))
		return kRemaps.with(Posting::kPosts, true);
	return kRemaps.with(Posting::kPosts, true)
		.with(Posting::kRings, true)
		.with(Posting::kHost, host);
}

// ORDERING posting-begin
//   writers:  who adds the first interrupt, with the vCPU's posting lock held
//   order:    a locked exchange, then the attention byte is read. Either this read sees that the
//             vCPU sleeps or is inactive; or the vCPU, which reads the word behind a locked
//             exchange, sees that there is an interrupt, and waits for the lock to set it right:
//             the word is never what the vCPU wants. load and unblock have no such barrier and
//             may miss the word: hence the caller's request, which the vCPU sees before it enters
//             the guest
//   pairs:    settle() in residency.cpp, behind run_nowhere() in vapic_avic_vcpu_block() and
//             vapic_avic_vcpu_deactivate()
//   barrier:  here
//   if lost:  the IOMMU rings the CPU of a vCPU that has gone to sleep, which sleeps on
//   checked:  device_interleaving_test (BeginByAPlainStore)
vapic_posting vapic_avic_posting_add(vapic_avic_posting_locked vcpu, vapic_host_id here)
{
	Slot<Posting> &posting = vcpu.vcpu->posting;

	// All interrupts are treated alike.
	if (posting.load() != Posting{})
		return told(posting.load());
	posting.exchange(Posting{}.with(Posting::kSoon, true));

	const HostApicId last = slot(*vcpu.vcpu).load().get(PhysicalIdEntry::kHostApicId);

	return told(
		wanted_posting(*vcpu.vcpu, last == kNoHostApicId ? HostApicId{here.raw} : last));
}

// ORDERING posting
//   writers:  the vCPU's own task, and who adds or removes an interrupt; with the posting lock held
//   order:    release. The lock orders writers. The vCPU's own task reads the word without the
//             lock, and skips the lock if the word is right: then it is its own, or that of
//             somebody who makes a request after it
//   pairs:    settle() in residency.cpp
//   barrier:  none needed
//   if lost:  the vCPU takes the lock once too often
//   checked:  device_interleaving_test; device_test
void vapic_avic_posting_set(vapic_avic_posting_locked vcpu, struct vapic_posting how)
{
	Slot<Posting> &posting = vcpu.vcpu->posting;

	// The last interrupt may have gone while the caller waited for the lock.
	if (posting.load() == Posting{})
		return;
	posting.publish(kRemaps.with(Posting::kPosts, how.posts)
				.with(Posting::kRings, how.rings)
				.with(Posting::kHost, HostApicId{how.host.raw}));
}

void vapic_avic_posting_end(vapic_avic_posting_locked vcpu)
{
	vcpu.vcpu->posting.publish(Posting{});
}

// ORDERING remaps
//   writers:  root, by the VM's switch
//   order:    release, though none is needed: a request to each vCPU follows, which then has a look
//   pairs:    wanted_posting(), of the vCPU's own task and of who adds the first interrupt; that one
//             makes a request as well
//   barrier:  KVM's, where requests are made and taken
//   if lost:  interrupts are posted, or remapped, until the vCPU next has a look
//   checked:  selftest switches
void vapic_avic_vm_set_remaps(vapic_avic_vm *vm, bool remaps)
{
	vm->remaps.publish(remaps);
}

bool vapic_avic_vcpu_posts(const vapic_avic_vcpu *vcpu)
{
	return vcpu->posting.load().get(Posting::kPosts);
}

u32 vapic_avic_ga_tag(u32 vm, const vapic_avic_vcpu *vcpu)
{
	return GaTag{}.with(GaTag::kVm, vm).with(GaTag::kVcpu, vcpu->id).raw();
}

u32 vapic_avic_ga_tag_vm(u32 tag)
{
	return GaTag{tag}.get(GaTag::kVm);
}

u32 vapic_avic_ga_tag_vcpu(u32 tag)
{
	return GaTag{tag}.get(GaTag::kVcpu).raw();
}

vapic_vcpu *vapic_avic_vm_find(const vapic_avic_vm *vm, u32 id)
{
	// The log may be garbage.
	if (id >= vm->ids)
		return nullptr;

	// Ordering: vcpus.
	const vapic_avic_vcpu *vcpu = vm->vcpus[id].load_first();

	return vcpu ? vcpu->glue : nullptr;
}
