// SPDX-License-Identifier: GPL-2.0-only
//
// See posted_mutants.hpp. The module does not contain this file.
#include "posted_mutants.hpp"

#include <vapic/vmx_hot.h>

#include "../../vmx_apicv/state.hpp"
#include "own_task.hpp"

using vapic::hw::kPirWords;
using vapic::hw::NotificationDestination;
using vapic::hw::PiControl;
using vapic::hw::PirWord;
using vapic::hw::Slot;
using vapic::vmx::descriptor;

namespace posted {

bool post(vapic_pi_descriptor *descriptor, u8 vector)
{
	return vapic_pi_post(descriptor, vector);
}

bool settled(vapic_pi_vcpu *vcpu)
{
	return vapic_pi_vcpu_settled(vcpu);
}

void suppress(vapic_pi_vcpu *vcpu)
{
	vapic_pi_vcpu_suppress(vcpu);
}

void wake_due(vapic_pi_waiters *waiters, void (*wake)(vapic_vcpu *glue))
{
	vapic_pi_waiters_wake_due(waiters, wake);
}

void set_irr(void *regs, u8 vector)
{
	vapic_lapic_set_irr(regs, vector);
}

} // namespace posted

namespace mutant {
namespace {

const PiControl kOn = PiControl{}.with(PiControl::kOn, true);
const PiControl kSn = PiControl{}.with(PiControl::kSn, true);

u32 home(const vapic_pi_vcpu *vcpu)
{
	return vapic_pi_home_load(&vcpu->hot.home);
}

PiControl loaded(const vapic_pi_vcpu *vcpu, PiControl seen, u32 destination)
{
	return seen.with(PiControl::kSn, false)
		.with(PiControl::kNv, vcpu->notification)
		.with(PiControl::kNdst, NotificationDestination{destination});
}

PiControl armed(const vapic_pi_vcpu *vcpu, PiControl seen)
{
	return seen.with(PiControl::kSn, false).with(PiControl::kNv, vcpu->wakeup);
}

bool pir_empty(const vapic_pi_vcpu *vcpu)
{
	std::uint64_t any = 0;

	for (const Slot<PirWord> &word : descriptor(*vcpu).pir)
		any |= word.load().raw();
	return !any;
}

template <typename Change>
PiControl replace(vapic_pi_vcpu *vcpu, Change change)
{
	Slot<PiControl> &control = descriptor(*vcpu).control;

	for (;;) {
		const PiControl seen = control.load();

		if (control.try_replace(seen, change(seen)))
			return seen;
	}
}

enum class Settle { kExchange, kStore, kLast };

// sync(), correct except for the mistakes that the arguments select.
vapic_pi_irr sync(vapic_pi_vcpu *vcpu, bool to_rvi, Settle settle, bool on_last, bool on_by_store)
{
	Slot<PiControl> &control = descriptor(*vcpu).control;
	std::uint32_t newest = VAPIC_NO_VECTOR;
	const auto clear_on = [&] {
		if (on_by_store)
			control.publish(control.load().with(PiControl::kOn, false));
		else
			control.clear_bits(kOn);
	};

	if (!to_rvi)
		vapic_pi_unknown_store(&vcpu->hot.rvi_unknown, 1);
	else if (vapic_pi_unknown_load(&vcpu->hot.rvi_unknown)) {
		if (settle == Settle::kStore)
			vapic_pi_unknown_store(&vcpu->hot.rvi_unknown, 0);
		else if (settle != Settle::kLast)
			vapic_pi_unknown_exchange(&vcpu->hot.rvi_unknown, 0);
	}

	if (control.load().get(PiControl::kOn)) {
		if (!on_last)
			clear_on();
		for (unsigned i = 0; i < kPirWords; ++i) {
			const std::uint32_t added =
				descriptor(*vcpu).pir[i].load().raw() ?
					vcpu->regs->merge_irr(i, descriptor(*vcpu).pir[i]
									 .exchange(PirWord{})
									 .raw()) :
					VAPIC_NO_VECTOR;

			if (added != VAPIC_NO_VECTOR)
				newest = added;
		}
		if (on_last)
			clear_on();
	}

	const std::uint32_t highest = vcpu->regs->highest_irr();

	if (to_rvi && settle == Settle::kLast)
		vapic_pi_unknown_exchange(&vcpu->hot.rvi_unknown, 0);
	return {highest, newest != VAPIC_NO_VECTOR && newest == highest};
}

} // namespace

void load_reads_pir_first(vapic_pi_vcpu *vcpu, u32 destination)
{
	const bool empty = pir_empty(vcpu);

	replace(vcpu, [&](PiControl seen) { return loaded(vcpu, seen, destination); });
	if (!empty)
		descriptor(*vcpu).control.set_bits(kOn);
}

void load_ignores_pir(vapic_pi_vcpu *vcpu, u32 destination)
{
	replace(vcpu, [&](PiControl seen) { return loaded(vcpu, seen, destination); });
}

void load_by_store(vapic_pi_vcpu *vcpu, u32 destination)
{
	Slot<PiControl> &control = descriptor(*vcpu).control;
	const PiControl before = control.load();

	control.publish(loaded(vcpu, before, destination));
	if (before.get(PiControl::kSn) && !pir_empty(vcpu))
		control.set_bits(kOn);
}

void load_keeps_vector(vapic_pi_vcpu *vcpu, u32 destination)
{
	const PiControl before = replace(vcpu, [&](PiControl seen) {
		return loaded(vcpu, seen, destination)
			.with(PiControl::kNv, seen.get(PiControl::kNv));
	});

	if (before.get(PiControl::kSn) && !pir_empty(vcpu))
		descriptor(*vcpu).control.set_bits(kOn);
}

void load_keeps_cpu(vapic_pi_vcpu *vcpu, u32)
{
	constexpr u32 kFirst = 0x20;

	vapic_pi_vcpu_load(vcpu, kFirst);
}

void load_suppressed(vapic_pi_vcpu *vcpu, u32 destination)
{
	replace(vcpu, [&](PiControl seen) {
		return loaded(vcpu, seen, destination)
			.with(PiControl::kSn, seen.get(PiControl::kSn));
	});
	if (!pir_empty(vcpu))
		descriptor(*vcpu).control.set_bits(kOn);
}

void resume_reads_pir_first(vapic_pi_vcpu *vcpu, u32 destination)
{
	if (home(vcpu) != destination)
		return vapic_pi_vcpu_load(vcpu, destination);

	const bool empty = pir_empty(vcpu);

	descriptor(*vcpu).control.clear_bits(kSn);
	if (!empty)
		descriptor(*vcpu).control.set_bits(kOn);
}

void resume_ignores_pir(vapic_pi_vcpu *vcpu, u32 destination)
{
	if (home(vcpu) != destination)
		return vapic_pi_vcpu_load(vcpu, destination);
	descriptor(*vcpu).control.clear_bits(kSn);
}

void resume_by_store(vapic_pi_vcpu *vcpu, u32 destination)
{
	Slot<PiControl> &control = descriptor(*vcpu).control;

	if (home(vcpu) != destination)
		return vapic_pi_vcpu_load(vcpu, destination);
	control.publish(control.load().with(PiControl::kSn, false));
	if (!pir_empty(vcpu))
		control.set_bits(kOn);
}

bool arm_keeps_home(vapic_pi_vcpu *vcpu)
{
	return replace(vcpu, [&](PiControl seen) { return armed(vcpu, seen); }).get(PiControl::kOn);
}

bool arm_silently(vapic_pi_vcpu *vcpu)
{
	static_cast<void>(vapic_pi_vcpu_arm(vcpu));
	return false;
}

bool arm_by_store(vapic_pi_vcpu *vcpu)
{
	Slot<PiControl> &control = descriptor(*vcpu).control;
	const PiControl seen = control.load();

	control.publish(armed(vcpu, seen));
	return seen.get(PiControl::kOn);
}

bool arm_looks_first(vapic_pi_vcpu *vcpu)
{
	const bool on = descriptor(*vcpu).control.load().get(PiControl::kOn);

	replace(vcpu, [&](PiControl seen) { return armed(vcpu, seen); });
	return on;
}

bool arm_suppressed(vapic_pi_vcpu *vcpu)
{
	return replace(vcpu,
		       [&](PiControl seen) { return armed(vcpu, seen).with(PiControl::kSn, true); })
		.get(PiControl::kOn);
}

void suppress_by_store(vapic_pi_vcpu *vcpu)
{
	Slot<PiControl> &control = descriptor(*vcpu).control;

	control.publish(control.load().with(PiControl::kSn, true));
}

vapic_pi_irr sync_clears_on_last(vapic_pi_vcpu *vcpu, bool to_rvi)
{
	return sync(vcpu, to_rvi, Settle::kExchange, true, false);
}

vapic_pi_irr sync_clears_on_by_store(vapic_pi_vcpu *vcpu, bool to_rvi)
{
	return sync(vcpu, to_rvi, Settle::kExchange, false, true);
}

vapic_pi_irr sync_settles_by_store(vapic_pi_vcpu *vcpu, bool to_rvi)
{
	return sync(vcpu, to_rvi, Settle::kStore, false, false);
}

vapic_pi_irr sync_settles_last(vapic_pi_vcpu *vcpu, bool to_rvi)
{
	return sync(vcpu, to_rvi, Settle::kLast, false, false);
}

bool settled_by_on(vapic_pi_vcpu *vcpu)
{
	return !descriptor(*vcpu).control.load().get(PiControl::kOn);
}

bool settled_by_flag(vapic_pi_vcpu *vcpu)
{
	return !vapic_pi_unknown_load(&vcpu->hot.rvi_unknown);
}

bool post_on_first(vapic_pi_descriptor *descriptor, u8 vector)
{
	auto *words = reinterpret_cast<u64 *>(descriptor);
	const bool on = __atomic_fetch_or(&words[4], u64{1}, __ATOMIC_SEQ_CST) & 1;

	__atomic_fetch_or(&words[vector / 64], u64{1} << vector % 64, __ATOMIC_SEQ_CST);
	return !on;
}

bool post_by_store(vapic_pi_descriptor *descriptor, u8 vector)
{
	auto *words = reinterpret_cast<u64 *>(descriptor);
	u64 *pir = &words[vector / 64];

	__atomic_store_n(pir, __atomic_load_n(pir, __ATOMIC_RELAXED) | u64{1} << vector % 64,
			 __ATOMIC_RELAXED);

	const u64 control = __atomic_load_n(&words[4], __ATOMIC_RELAXED);

	__atomic_store_n(&words[4], control | 1, __ATOMIC_RELAXED);
	return !(control & 1);
}

void wake_due_first_of_group(vapic_pi_waiters *waiters, void (*wake)(vapic_vcpu *glue))
{
	for (vapic_pi_place *place = waiters->limit; place != waiters->begin;) {
		place -= VAPIC_PI_GROUP;
		if (vapic_pi_control_load(place->control) & VAPIC_PI_ON)
			vapic_pi_waiters_look_at_group(waiters, place, wake);
	}
}

void discard_clears_on_last(vapic_pi_vcpu *vcpu)
{
	for (Slot<PirWord> &word : descriptor(*vcpu).pir)
		if (word.load().raw())
			word.exchange(PirWord{});
	descriptor(*vcpu).control.clear_bits(kOn);
}

void unsettle_not(vapic_pi_vcpu *) {}

} // namespace mutant
