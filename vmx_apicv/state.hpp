// SPDX-License-Identifier: GPL-2.0-only
//
// What core keeps about a vCPU under APICv and about the vCPUs that sleep on one CPU, and
// who may write each field.
#pragma once

#include <cstddef>

#include <vapic/hw/atomic.hpp>
#include <vapic/hw/pi.hpp>
#include <vapic/pi_hot.h>
#include <vapic/vmx.h>

#include "../lapic/register_page.hpp"

namespace vapic::vmx {

// Proof that the caller is the vCPU's own task with preemption off. Only the C entry points,
// whose callers assert it with lockdep, make one.
class OnCpu {
	friend void ::vapic_pi_vcpu_load(vapic_pi_vcpu *, u32);
	friend void ::vapic_pi_vcpu_suppress(vapic_pi_vcpu *);
	friend bool ::vapic_pi_vcpu_arm(vapic_pi_vcpu *);
	OnCpu() = default;
};

// Proof that the lock of the CPU's waiters is held; made by the C entry points likewise.
class WaitersLocked {
	friend bool ::vapic_pi_waiters_add(vapic_pi_waiters *, vapic_pi_vcpu *);
	friend void ::vapic_pi_waiters_remove(vapic_pi_waiters *, vapic_pi_vcpu *);
	friend void * ::vapic_pi_waiters_first(vapic_pi_waiters *);
	friend void * ::vapic_pi_waiters_next(vapic_pi_waiters *);
	friend void ::vapic_pi_waiters_init(vapic_pi_waiters *, u32, const vapic_pi_waiters *);
	WaitersLocked() = default;
};

} // namespace vapic::vmx

struct alignas(VAPIC_PI_ALIGN) vapic_pi_vcpu {
	// Begins as pi_hot.h says. Where the control word is; constant.
	const std::uint64_t *control;
	// RVI may differ from the IRR: set by anybody, cleared by the vCPU's own task.
	std::uint8_t rvi_unknown;
	// Constant after vapic_pi_vcpu_init(), as are those below home.
	vapic::hw::Vector notification;
	vapic::hw::Vector wakeup;
	// The NDST under which the descriptor is loaded, or suppressed since; nowhere while it
	// is armed. The vCPU's own task.
	std::uint32_t home;

	vapic::hw::PiDescriptor *descriptor;
	vapic::lapic::RegisterPage *regs;
	void *host_vcpu;
	vapic::hw::PidTableEntry entry;

	// The table's slot that names this vCPU, or null. Written while the vCPU is made and
	// freed.
	vapic::hw::Slot<vapic::hw::PidTableEntry> *slot;

	// Place in the waiters of the CPU on which it sleeps, under their lock.
	std::uint32_t place;
};

namespace vapic::vmx {

// So many vCPUs are looked at before the first branch.
constexpr std::uint32_t kGroup = 8;

// A place that nobody has holds the address of a zero, and a null owner.
struct WaiterGroup {
	const std::uint64_t *controls[kGroup];
	vapic_pi_vcpu *owners[kGroup];
};

} // namespace vapic::vmx

// Those who wait come first, without a gap. All of it under the lock of the CPU.
struct alignas(VAPIC_PI_ALIGN) vapic_pi_waiters {
	std::uint32_t count;
	std::uint32_t capacity; // a multiple of the group
	std::uint32_t cursor;	// of the round that goes on

	[[nodiscard]] vapic::vmx::WaiterGroup *groups()
	{
		return reinterpret_cast<vapic::vmx::WaiterGroup *>(this + 1);
	}
	[[nodiscard]] const vapic::vmx::WaiterGroup *groups() const
	{
		return reinterpret_cast<const vapic::vmx::WaiterGroup *>(this + 1);
	}
	[[nodiscard]] vapic_pi_vcpu *owner(std::uint32_t place) const
	{
		return groups()[place / vapic::vmx::kGroup].owners[place % vapic::vmx::kGroup];
	}
};

static_assert(offsetof(vapic_pi_vcpu, control) == offsetof(vapic_hot_pi, control));
static_assert(offsetof(vapic_pi_vcpu, rvi_unknown) == offsetof(vapic_hot_pi, rvi_unknown));
static_assert(offsetof(vapic_pi_vcpu, home) == offsetof(vapic_hot_pi, home));
static_assert(offsetof(vapic::hw::PiDescriptor, control) == VAPIC_HOT_PI_CONTROL * sizeof(u64));
static_assert(vapic::hw::PiControl::kOn.kMask == VAPIC_HOT_PI_ON);
static_assert(vapic::hw::PiControl::kSn.kMask == VAPIC_HOT_PI_SN);
static_assert(vapic::hw::GuestInterruptStatus::kRvi.kMask == VAPIC_HOT_RVI);
static_assert(vapic::hw::GuestInterruptStatus::kSvi.kMask == VAPIC_HOT_SVI);
