// SPDX-License-Identifier: GPL-2.0-only
//
// See residency_mutants.hpp. The module does not contain this file.
#include "residency_mutants.hpp"

#include <vapic/host.h>

#include "../../avic/state.hpp"
#include "own_task.hpp"

using vapic::avic::Attention;
using vapic::avic::attention;
using vapic::avic::slot;
using vapic::avic::Posting;
using vapic::avic::wanted_posting;
using vapic::hw::HostApicId;
using vapic::hw::kMaxHostApicId;
using vapic::hw::kNoHostApicId;
using vapic::hw::PhysicalIdEntry;

namespace model {

bool must_wake(const vapic_avic_vcpu *vcpu)
{
	return vapic_avic_vcpu_must_wake(vcpu);
}

void set_irr(void *regs, u8 vector)
{
	vapic_lapic_set_irr(regs, vector);
}

} // namespace model

namespace mutant {
namespace {

template <typename Field>
void set(vapic_avic_vcpu *vcpu, Field field)
{
	attention(*vcpu).publish(attention(*vcpu).load().with(field, true));
}

PhysicalIdEntry left(vapic_avic_vcpu *vcpu)
{
	return slot(*vcpu).load().with(PhysicalIdEntry::kIsRunning, false);
}

void run_on(vapic_avic_vcpu *vcpu, u32 host_id)
{
	slot(*vcpu).publish(
		vcpu->resident.with(PhysicalIdEntry::kHostApicId, HostApicId{host_id}));
}

vapic_posting told(Posting posting)
{
	return {.posts = posting.get(Posting::kPosts),
		.rings = posting.get(Posting::kRings),
		.host = {posting.get(Posting::kHost).raw()}};
}

vapic_posting guess(vapic_avic_vcpu *vcpu, u32 here)
{
	const HostApicId last = slot(*vcpu).load().get(PhysicalIdEntry::kHostApicId);

	return told(wanted_posting(*vcpu, last == kNoHostApicId ? HostApicId{here} : last));
}

constexpr Posting kRemaps = Posting{}.with(Posting::kAny, true);
constexpr Posting kSoon = Posting{}.with(Posting::kSoon, true);

} // namespace

void block_running_first(vapic_avic_vcpu *vcpu)
{
	slot(*vcpu).exchange(left(vcpu));
	set(vcpu, Attention::kAsleep);
}

void block_without_barrier(vapic_avic_vcpu *vcpu)
{
	set(vcpu, Attention::kAsleep);
	slot(*vcpu).publish(left(vcpu));
}

void block_silently(vapic_avic_vcpu *vcpu)
{
	slot(*vcpu).exchange(left(vcpu));
}

void block_running(vapic_avic_vcpu *vcpu)
{
	attention(*vcpu).exchange(Attention{}.with(Attention::kAsleep, true));
}

void load_asleep(vapic_avic_vcpu *vcpu, u32 host_id)
{
	if (!attention(*vcpu).load().get(Attention::kInactive))
		run_on(vcpu, host_id);
}

void load_first_cpu(vapic_avic_vcpu *vcpu, u32)
{
	constexpr u32 kFirst = 0x20;

	vapic_avic_vcpu_load(vcpu, kFirst);
}

void load_far_truncated(vapic_avic_vcpu *vcpu, u32 host_id)
{
	vapic_avic_vcpu_load(vcpu, host_id & 0xfff);
}

void load_far_silently(vapic_avic_vcpu *vcpu, u32 host_id)
{
	vapic_avic_vcpu_load(vcpu, host_id);
	if (host_id > kMaxHostApicId)
		attention(*vcpu).publish(attention(*vcpu).load().with(Attention::kFar, false));
}

void load_far_keeps_cpu(vapic_avic_vcpu *vcpu, u32 host_id)
{
	const PhysicalIdEntry before = left(vcpu);

	vapic_avic_vcpu_load(vcpu, host_id);
	if (host_id > kMaxHostApicId)
		slot(*vcpu).publish(before);
}

void unblock_load_first(vapic_avic_vcpu *vcpu, u32 host_id)
{
	vapic_avic_vcpu_load(vcpu, host_id);
	attention(*vcpu).publish(attention(*vcpu).load().with(Attention::kAsleep, false));
}

void deactivate_running_first(vapic_avic_vcpu *vcpu)
{
	slot(*vcpu).exchange(left(vcpu));
	set(vcpu, Attention::kInactive);
}

void deactivate_without_barrier(vapic_avic_vcpu *vcpu)
{
	set(vcpu, Attention::kInactive);
	slot(*vcpu).publish(left(vcpu));
}

void deactivate_silently(vapic_avic_vcpu *vcpu)
{
	slot(*vcpu).exchange(left(vcpu));
}

void load_untold(vapic_avic_vcpu *vcpu, u32 host_id)
{
	if (attention(*vcpu).load() == Attention{})
		run_on(vcpu, host_id);
}

void block_untold(vapic_avic_vcpu *vcpu)
{
	set(vcpu, Attention::kAsleep);
	slot(*vcpu).exchange(left(vcpu));
}

void deactivate_untold(vapic_avic_vcpu *vcpu)
{
	set(vcpu, Attention::kInactive);
	slot(*vcpu).exchange(left(vcpu));
}

void block_tells_first(vapic_avic_vcpu *vcpu)
{
	set(vcpu, Attention::kAsleep);

	const Posting wanted = wanted_posting(*vcpu, {});
	const Posting now = vcpu->posting.load();

	if (now != Posting{} && now != wanted)
		vapic_host_posting(vcpu->glue, told(wanted));
	slot(*vcpu).exchange(left(vcpu));
}

vapic_posting posting_add_without_barrier(vapic_avic_vcpu *vcpu, u32 here)
{
	vcpu->posting.publish(kSoon);
	return guess(vcpu, here);
}

vapic_posting posting_add_guess_first(vapic_avic_vcpu *vcpu, u32 here)
{
	const vapic_posting how = guess(vcpu, here);

	vcpu->posting.exchange(kSoon);
	return how;
}

vapic_posting posting_add_as_running(vapic_avic_vcpu *vcpu, u32 here)
{
	vcpu->posting.exchange(kSoon);
	return told(kRemaps.with(Posting::kPosts, true)
			    .with(Posting::kRings, true)
			    .with(Posting::kHost, HostApicId{here}));
}

vapic_posting posting_add_as_remapped(vapic_avic_vcpu *vcpu, u32 here)
{
	vcpu->posting.exchange(kRemaps);
	return guess(vcpu, here);
}

vapic_posting posting_add_guess_again(vapic_avic_vcpu *vcpu, u32 here)
{
	vcpu->posting.exchange(kSoon);
	return guess(vcpu, here);
}

bool must_wake_nobody(const vapic_avic_vcpu *)
{
	return false;
}

void set_irr_without_barrier(void *regs, u8 vector)
{
	u32 *word = static_cast<u32 *>(regs) + (0x200 + vector / 32 * 0x10) / 4;

	__atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) | u32{1} << vector % 32,
			 __ATOMIC_RELAXED);
}

} // namespace mutant
