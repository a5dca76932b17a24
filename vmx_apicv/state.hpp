// SPDX-License-Identifier: GPL-2.0-only
//
// What core keeps about a vCPU under APICv, and who may write each field.
#pragma once

#include <cstddef>

#include <vapic/hw/atomic.hpp>
#include <vapic/hw/pi.hpp>
#include <vapic/vmx_hot.h>
#include <vapic/vmx.h>

#include "../lapic/register_page.hpp"

namespace vapic::vmx {

// Proof that the caller is the vCPU's own task with preemption off. Only the C entry points,
// whose callers assert it with lockdep, make one.
class OnCpu {
	friend void ::vapic_pi_vcpu_load(vapic_pi_vcpu *, u32);
	friend bool ::vapic_pi_vcpu_arm(vapic_pi_vcpu *);
	OnCpu() = default;
};

} // namespace vapic::vmx

struct alignas(VAPIC_PI_ALIGN) vapic_pi_vcpu {
	// Begins as vmx_hot.h says. Where the control word is; constant.
	const std::uint64_t *control;
	// RVI may differ from the IRR: set by anybody, cleared by the vCPU's own task.
	std::uint8_t rvi_unknown;
	// Constant after vapic_pi_vcpu_init(), as are those below waiter.
	vapic::hw::Vector notification;
	vapic::hw::Vector wakeup;
	// The NDST under which the descriptor is loaded, or suppressed since; nowhere while it
	// is armed. The vCPU's own task.
	std::uint32_t home;
	// Its place is under the lock of the CPU on which the vCPU sleeps; the rest is constant.
	vapic_pi_waiter waiter;

	vapic::hw::PiDescriptor *descriptor;
	vapic::lapic::RegisterPage *regs;
	vapic::hw::PidTableEntry entry;

	// The table's slot that names this vCPU, or null. Written in the first load after KVM has
	// accepted the vCPU, and while that is freed.
	vapic::hw::Slot<vapic::hw::PidTableEntry> *slot;
};

static_assert(offsetof(vapic_pi_vcpu, control) == offsetof(vapic_pi_vcpu_hot, control));
static_assert(offsetof(vapic_pi_vcpu, rvi_unknown) == offsetof(vapic_pi_vcpu_hot, rvi_unknown));
static_assert(offsetof(vapic_pi_vcpu, home) == offsetof(vapic_pi_vcpu_hot, home));
static_assert(VAPIC_PI_WAITERS_PADDING == 2 * VAPIC_PI_GROUP);
static_assert(offsetof(vapic::hw::PiDescriptor, control) == VAPIC_PI_CONTROL * sizeof(u64));
static_assert(vapic::hw::PiControl::kOn.kMask == VAPIC_PI_ON);
static_assert(vapic::hw::PiControl::kSn.kMask == VAPIC_PI_SN);
static_assert(vapic::hw::GuestInterruptStatus::kRvi.kMask == VAPIC_PI_RVI);
