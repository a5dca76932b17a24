// SPDX-License-Identifier: GPL-2.0-only
//
// The machine of posted_model.cpp: the words that are explored, and the operations that change
// them in one step, without store buffers. Most of these steps belong to the processor; steps of
// KVM and the glue that nothing can interrupt are here as well.
#pragma once

#include <cstdint>

#include <vapic/vmx.h>

#include "explorer.hpp"

namespace posted {

enum : explorer::Location {
	// Written by core.
	kControl,
	kPir,
	kIrr,
	kRviUnknown,
	kHome,
	// In the VMCS: RVI is not zero. Only the target's CPU uses it.
	kRvi,
	// Written by KVM: vcpu->mode (1: IN_GUEST_MODE), vcpu->cpu, apic->apicv_active, a pending
	// request, the task waiting in kvm_vcpu_block().
	kMode,
	kCpu,
	kApicvActive,
	kRequest,
	kWaiter,
	// Written by the glue: 1 + the CPU among whose waiters the vCPU is, or 0.
	kWaitsOn,
	// Hardware: 1 + the CPU on which the vCPU is in the guest, or about to enter it with
	// interrupts off, or 0; the interrupt that arrived there; a wake-up that arrived; the
	// wakeup vector pending on either CPU.
	kGuestOn,
	kSignal,
	kWoken,
	kWakeup0,
	kWakeup1,
	// The vectors that the vCPU took.
	kTaken,
};

constexpr std::uint64_t kNotified = 1;
constexpr std::uint64_t kKicked = 2;

constexpr vapic_pi_vectors kVectors = {.notification = 0xf2, .wakeup = 0xf1};

// Descriptor bits, from the manual.
constexpr std::uint64_t kOn = 1;
constexpr std::uint64_t kSn = 2;

constexpr u32 host_id(std::uint64_t cpu)
{
	return 0x20 + static_cast<u32>(cpu);
}

namespace hardware {

using explorer::Memory;

// Virtual-interrupt delivery: RVI starts it, and it continues until IRR is empty.
std::uint64_t deliver(Memory &m, std::uint64_t);

// KVM's own injection.
std::uint64_t inject(Memory &m, std::uint64_t);

// Around VM entry and exit.
std::uint64_t store_rvi(Memory &m, std::uint64_t pending);
std::uint64_t interrupts_off(Memory &m, std::uint64_t cpu);
// Interrupts are enabled outside the guest: the CPU takes what arrived, without effect.
std::uint64_t interrupts_on(Memory &m, std::uint64_t);

// Notification processing, its two locked operations.
std::uint64_t process_on(Memory &m, std::uint64_t);
std::uint64_t process_pir(Memory &m, std::uint64_t);

// Posting: sets the PIR bit, then ON unless ON or SN is set; the control word says whom to notify.
std::uint64_t post_pir(Memory &m, std::uint64_t vector);
std::uint64_t post_on(Memory &m, std::uint64_t);

// The interrupt that a control word requests arrives.
std::uint64_t notify(Memory &m, std::uint64_t control);

// The same from software, which names the CPU itself.
std::uint64_t notify_cpu(Memory &m, std::uint64_t cpu);

// A kick, which causes an exit.
std::uint64_t interrupt(Memory &m, std::uint64_t);

// Sends the wakeup vector; wakes a task that waits in kvm_vcpu_block().
std::uint64_t wakeup_to_self(Memory &m, std::uint64_t cpu);
std::uint64_t wake_waiter(Memory &m, std::uint64_t);

// The wakeup handler. It is one step, because it holds the lock that protects the waiters.
std::uint64_t wakeup_handler(Memory &m, std::uint64_t cpu);

} // namespace hardware
} // namespace posted
