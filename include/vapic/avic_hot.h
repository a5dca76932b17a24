/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a sender does with core's data, in source that C and C++ share. It is inline because
 * delivering an interrupt takes some thirty instructions, and calls would be a third of that.
 */
#ifndef VAPIC_AVIC_HOT_H
#define VAPIC_AVIC_HOT_H

#include <vapic/hw/cell.h>

struct vapic_avic_vcpu;

/* Core's Attention as senders see it. ORDERING asleep, inactive, far-set. */
VAPIC_CELL(vapic_avic_attention, u8)
/* Core's PhysicalIdEntry as senders see it. ORDERING running-set, running-clear. */
VAPIC_CELL(vapic_avic_entry, u64)
/* Pointers to both: to the vCPU's own until it is in the VM's tables. ORDERING enter. */
VAPIC_POINTER_CELL(vapic_avic_attention_at, struct vapic_avic_attention)
/* As above. ORDERING enter. */
VAPIC_POINTER_CELL(vapic_avic_entry_at, struct vapic_avic_entry)

/* The start of struct vapic_avic_vcpu; state.hpp asserts that. */
struct vapic_avic_vcpu_hot {
	struct vapic_avic_attention_at attention;
	struct vapic_avic_entry_at entry;
};

#define VAPIC_AVIC_ASLEEP 0x01
#define VAPIC_AVIC_HOST_ID 0xfff
#define VAPIC_AVIC_NO_CPU 0xfff

/* NOLINTBEGIN(cppcoreguidelines-pro-type-cstyle-cast): C reads this too */

/*
 * True if a sender that has just set an IRR bit must wake the vCPU, given that the vCPU is not in
 * guest mode. Any task may call this.
 *
 * ORDERING asleep-read
 *   writers:  the vCPU's own task
 *   order:    relaxed; what matters is the barrier before it
 *   pairs:    vapic_avic_vcpu_block()
 *   barrier:  the caller, after it set the IRR bit (vapic_lapic_set_irr(), or the exit of
 *             an IPI that hardware delivered)
 *   if lost:  the vCPU sleeps with an interrupt in its IRR
 *   checked:  residency_history_test; selftest ipi_blocked; model avic (SENDER_LOOKS_FIRST)
 */
static inline bool vapic_avic_vcpu_must_wake(const struct vapic_avic_vcpu *vcpu)
{
	const struct vapic_avic_vcpu_hot *hot = (const struct vapic_avic_vcpu_hot *)vcpu;

	return vapic_avic_attention_load(vapic_avic_attention_at_load(&hot->attention)) &
	       VAPIC_AVIC_ASLEEP;
}

/*
 * Physical APIC ID of the CPU to ring for a vCPU that was seen in guest mode. If the vCPU has
 * left its CPU since, that is the CPU it was on, which ignores the doorbell. VAPIC_AVIC_NO_CPU:
 * no doorbell reaches the vCPU, so it must be made to leave the guest.
 *
 * ORDERING host-id-read
 *   writers:  the vCPU's own task
 *   order:    relaxed: the caller has seen the vCPU in guest mode by a load with acquire order,
 *             so what vapic_avic_vcpu_load() wrote before is visible
 *   pairs:    run_on() and run_far() in avic/residency.cpp
 *   barrier:  the caller's load of the vCPU's mode
 *   if lost:  the doorbell goes to a CPU that the vCPU left before, and the vCPU runs on without
 *             looking at its IRR
 *   checked:  residency_history_test; selftest ipi_lost; model avic (FAR_KEEPS_CPU)
 */
static inline u32 vapic_avic_vcpu_host_id(const struct vapic_avic_vcpu *vcpu)
{
	const struct vapic_avic_vcpu_hot *hot = (const struct vapic_avic_vcpu_hot *)vcpu;

	return vapic_avic_entry_load(vapic_avic_entry_at_load(&hot->entry)) & VAPIC_AVIC_HOST_ID;
}

/* NOLINTEND(cppcoreguidelines-pro-type-cstyle-cast) */

#endif
