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

struct alignas(VAPIC_PI_ALIGN) vapic_pi_vcpu {
	// Descriptor, whether RVI may differ from the IRR, and home. ORDERING rvi-unknown, home.
	vapic_pi_vcpu_hot hot;
	// Constant after vapic_pi_vcpu_init(), as are regs and entry.
	vapic::hw::Vector notification;
	vapic::hw::Vector wakeup;
	// The lock of the CPU on which the vCPU sleeps protects place; the rest is constant.
	vapic_pi_waiter waiter;

	vapic::lapic::RegisterPage *regs;
	vapic::hw::PidTableEntry entry;

	// The table's slot that names this vCPU, or null. Written in the first load after KVM has
	// accepted the vCPU, and when KVM frees it. ORDERING pid-entry.
	vapic::hw::Slot<vapic::hw::PidTableEntry> *slot;
};

namespace vapic::vmx {

// The cells of vmx.h and core's slots are the same memory. ORDERING pi-control, post, on-clear.
static_assert(sizeof(vapic_pi_descriptor) == sizeof(hw::PiDescriptor));
static_assert(offsetof(vapic_pi_descriptor, control) == offsetof(hw::PiDescriptor, control));

inline hw::PiDescriptor &descriptor(const vapic_pi_vcpu &vcpu)
{
	return *reinterpret_cast<hw::PiDescriptor *>(vcpu.hot.descriptor);
}

} // namespace vapic::vmx

static_assert(offsetof(vapic_pi_vcpu, hot) == 0);
static_assert(VAPIC_PI_WAITERS_PADDING == 2 * VAPIC_PI_GROUP);
static_assert(vapic::hw::PiControl::kOn.kMask == VAPIC_PI_ON);
static_assert(vapic::hw::PiControl::kSn.kMask == VAPIC_PI_SN);
static_assert(vapic::hw::GuestInterruptStatus::kRvi.kMask == VAPIC_PI_RVI);
