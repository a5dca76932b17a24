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

/*
 * A kernel with protected APICs (TDX) has cases that this code does not distinguish: the
 * registers of such an APIC must not be touched.
 */
#if VAPIC_HAS_kvm_lapic__guest_apic_protected
#error struct kvm_lapic has guest_apic_protected: vapic does not know protected APICs
#endif

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

/* Core's VAPIC_NO_VECTOR is all ones, which as an int is KVM's -1. */
static inline int vapic_kvm_vector(u32 vector)
{
	return vector;
}

#endif
