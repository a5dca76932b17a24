// SPDX-License-Identifier: GPL-2.0-only
//
// See residency_mutants.hpp. The module does not contain this file.
#include "residency_mutants.hpp"

#include "../../avic/state.hpp"
#include "own_task.hpp"

using vapic::avic::Attention;
using vapic::avic::attention;
using vapic::avic::slot;
using vapic::hw::HostApicId;
using vapic::hw::kMaxHostApicId;
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
