/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the glue needs for the events of trace.h.
 *
 * An event that is off costs a jump that is patched out. A path that runs for each interrupt asks
 * vapic_interrupt_is_traced() first of all, and goes another way if it is on: so nothing is kept in
 * registers for the event's sake.
 */
#ifndef VAPIC_KVM_TRACING_H
#define VAPIC_KVM_TRACING_H

#include <linux/bits.h>
#include <linux/jump_label.h>
#include <linux/kvm_host.h>

#include "compat.h"

/* From where an interrupt was handed to vapic. Users see the numbers: add at the end. */
enum vapic_source {
	VAPIC_SOURCE_OTHER,
	VAPIC_SOURCE_IPI,      /* an exit of a vCPU, nearly always for an IPI */
	VAPIC_SOURCE_USER,     /* an ioctl: KVM_SIGNAL_MSI, KVM_IRQ_LINE */
	VAPIC_SOURCE_IRQFD,    /* an eventfd, of user space, vhost or a device */
	VAPIC_SOURCE_TIMER,    /* the timer of the vCPU's APIC, or the PIT */
	VAPIC_SOURCE_DEVICE,   /* a host interrupt: an assigned device, remapped */
	VAPIC_SOURCE_HARDWARE, /* posted by IPI virtualization or the IOMMU, seen afterwards */
};

/* How it was announced to the vCPU. Likewise. */
enum vapic_announcement {
	VAPIC_ANNOUNCED_BY_ENTRY,	 /* not at all: the vCPU's next entry finds it */
	VAPIC_ANNOUNCED_BEFORE,		 /* not again: another one is announced and not yet found */
	VAPIC_ANNOUNCED_BY_DOORBELL,	 /* AMD */
	VAPIC_ANNOUNCED_BY_NOTIFICATION, /* Intel */
	VAPIC_ANNOUNCED_BY_WAKEUP,
	VAPIC_ANNOUNCED_BY_KICK, /* by KVM's own means, because hardware has none for it */
};

/* What the vCPU's own task was doing when it found an interrupt. Likewise. */
enum vapic_place {
	VAPIC_FOUND_BY_LOAD,
	VAPIC_FOUND_BY_CHECK, /* before it sleeps, while it polls, when it is woken */
	VAPIC_FOUND_BY_ENTRY,
};

/* What hardware does for a vCPU's APIC. Likewise. */
enum vapic_traced_mode {
	VAPIC_MODE_OFF,
	VAPIC_MODE_DISABLED, /* the guest has disabled its APIC */
	VAPIC_MODE_XAPIC,
	VAPIC_MODE_X2APIC,
};

/* Likewise. */
enum vapic_table_change {
	VAPIC_TABLE_ENTER,
	VAPIC_TABLE_LEAVE,
	VAPIC_TABLE_LOGICAL, /* AMD: the vCPU's logical ID, LDR or DFR, may be another one */
};

/*
 * KVM's inhibit reasons by name. Programs that read the binary form know no names of C, so the
 * bits are exported as values of this.
 */
enum vapic_traced_inhibit {
	VAPIC_INHIBIT_DISABLED = BIT(APICV_INHIBIT_REASON_DISABLED),
	VAPIC_INHIBIT_HYPERV = BIT(APICV_INHIBIT_REASON_HYPERV),
	VAPIC_INHIBIT_ABSENT = BIT(APICV_INHIBIT_REASON_ABSENT),
	VAPIC_INHIBIT_BLOCKIRQ = BIT(APICV_INHIBIT_REASON_BLOCKIRQ),
	VAPIC_INHIBIT_PHYSICAL_ID_ALIASED = BIT(APICV_INHIBIT_REASON_PHYSICAL_ID_ALIASED),
	VAPIC_INHIBIT_APIC_ID_MODIFIED = BIT(APICV_INHIBIT_REASON_APIC_ID_MODIFIED),
	VAPIC_INHIBIT_APIC_BASE_MODIFIED = BIT(APICV_INHIBIT_REASON_APIC_BASE_MODIFIED),
	VAPIC_INHIBIT_NESTED = BIT(APICV_INHIBIT_REASON_NESTED),
	VAPIC_INHIBIT_IRQWIN = BIT(APICV_INHIBIT_REASON_IRQWIN),
	VAPIC_INHIBIT_PIT_REINJ = BIT(APICV_INHIBIT_REASON_PIT_REINJ),
	VAPIC_INHIBIT_SEV = BIT(APICV_INHIBIT_REASON_SEV),
	VAPIC_INHIBIT_SWITCHED = BIT(APICV_INHIBIT_REASON_SWITCHED),
	VAPIC_INHIBIT_LOGICAL_ID_ALIASED = BIT(APICV_INHIBIT_REASON_LOGICAL_ID_ALIASED),
#if VAPIC_HAS_APICV_INHIBIT_REASON_PHYSICAL_ID_TOO_BIG
	VAPIC_INHIBIT_PHYSICAL_ID_TOO_BIG = BIT(APICV_INHIBIT_REASON_PHYSICAL_ID_TOO_BIG),
#endif
};

/* True while vapic_interrupt or vapic_announce is on. */
DECLARE_STATIC_KEY_FALSE(vapic_interrupt_traced);

static __always_inline bool vapic_interrupt_is_traced(void)
{
	return static_branch_unlikely(&vapic_interrupt_traced);
}

/* What the two events do when the first of their users comes and the last one goes. */
int vapic_interrupt_trace_begin(void);
void vapic_interrupt_trace_end(void);

#include "trace.h"

/* Somebody calls an op or hook to deliver @vector: say from where. */
void vapic_trace_handed_over(struct kvm_vcpu *target, u32 vector, bool level);

/* It has been announced. */
void vapic_trace_announced(struct kvm_vcpu *target, u32 vector, enum vapic_announcement how);

/* The vCPU's entry in a table of logical IDs follows its registers. */
void vapic_trace_logical(struct kvm_vcpu *kvm_vcpu);

/* The words of an IRR. */
struct vapic_traced_irr {
	u32 bits[8];
};

struct vapic_traced_irr vapic_trace_irr(struct kvm_vcpu *kvm_vcpu);

/* The vCPU's own task finds what its IRR has now, but what it had @before, if that is not NULL. */
void vapic_trace_found(struct kvm_vcpu *kvm_vcpu, const struct vapic_traced_irr *before,
		       enum vapic_place by);

#endif
