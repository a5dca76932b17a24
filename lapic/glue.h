/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the glue of the local APIC's state gets from KVM's structures to what it needs.
 *
 * On 6.12 all of struct kvm_lapic belongs to KVM. Stock functions that still run read and write
 * its fields too, so vapic's functions keep the meaning of the fields.
 */
#ifndef VAPIC_LAPIC_GLUE_H
#define VAPIC_LAPIC_GLUE_H

#include <linux/hrtimer.h>
#include <linux/kvm_host.h>

#include <vapic/lapic_hot.h>

#include "../kvm/hooks.h"
#include "../kvm/layout.h"
#include "../kvm/symbols.h"
#include "../kvm/compat.h"
#include "../kvm/objects.h"
#include "../kvm/tracing.h"

/* Make the map anew by which KVM finds vCPUs by their APIC IDs, if something has changed. */
static inline void vapic_recalculate_map(struct kvm *kvm)
{
#if VAPIC_HAS_aliased_ids
	vapic_call(kvm_recalculate_apic_map)(kvm);
#else
	vapic_hook_kvm_recalculate_apic_map(kvm);
#endif
}

/* An interrupt of the highest class in service, or 0 if there is none. */
static __always_inline u32 vapic_apic_in_service(struct kvm_lapic *apic)
{
	u32 vector;

	/* With acceleration both copies mean nothing: the count is 1 and the cache is empty. */
	if (!apic->isr_count)
		return 0;
	vector = apic->highest_isr_cache;
	if (vector == VAPIC_NO_VECTOR)
		vector = vapic_lapic_highest(apic->regs, APIC_ISR);
	return vector == VAPIC_NO_VECTOR ? 0 : vector;
}

/* LVT0 has been written: count the vCPUs that take the PIT's ticks as NMIs. */
static __always_inline void vapic_manage_nmi_watchdog(struct kvm_lapic *apic)
{
	u32 lvt0 = vapic_lapic_read(apic->regs, APIC_LVT0);

#if VAPIC_HAS_apic_manage_nmi_watchdog
	vapic_call(apic_manage_nmi_watchdog)(apic, lvt0);
#else
	bool nmi = (lvt0 & (APIC_MODE_MASK | APIC_LVT_MASKED)) == APIC_DM_NMI;

	if (apic->lvt0_in_nmi_mode == nmi)
		return;
	apic->lvt0_in_nmi_mode = nmi;
	atomic_add(nmi ? 1 : -1, &apic->vcpu->kvm->arch.vapics_in_nmi_mode);
#endif
}

/* Core's VAPIC_NO_VECTOR is all ones, which as an int is KVM's -1. */
static inline int vapic_kvm_vector(u32 vector)
{
	return vector;
}

#endif
