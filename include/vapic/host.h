/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that the C++ core may call in C. The module implements it in kvm/host.c, except for
 * vapic_host_avic_ipi_target() in avic/exits_glue.c and vapic_host_posting() in avic/posting_glue.c;
 * the tests implement it in a fake host.
 */
#ifndef VAPIC_HOST_H
#define VAPIC_HOST_H

#include <vapic/hw/broken.h>
#include <vapic/types.h>

VAPIC_C_BEGIN

/* The state in which a destination was found. */
enum vapic_avic_ipi_target {
	VAPIC_AVIC_TARGET_AWAKE,  /* running or about to: nothing to do */
	VAPIC_AVIC_TARGET_UNSEEN, /* as AWAKE, but IsRunning is hidden: notify it if in guest mode */
	VAPIC_AVIC_TARGET_ASLEEP,   /* blocked: wake it */
	VAPIC_AVIC_TARGET_INACTIVE, /* not accelerated: make it look for interrupts, kick it */
};

/*
 * One destination of an IPI whose IRR bit is already set. @glue is what
 * vapic_avic_vcpu_init() was given, @icr_low the low half of the sender's ICR.
 */
void vapic_host_avic_ipi_target(struct vapic_vcpu *glue, u32 icr_low,
				enum vapic_avic_ipi_target target);

/*
 * What the IOMMU does with an interrupt of an assigned device whose entry names a vCPU. It either
 * remaps the interrupt to the host, or posts it: sets a bit of the vCPU's IRR, and then rings a
 * CPU or makes an entry in its log.
 */
struct vapic_posting {
	bool posts; /* else remaps, and the others mean nothing */
	bool rings; /* else makes an entry, for software to wake the vCPU */
	struct vapic_host_id host;
};

/*
 * The IOMMU is to treat as @how all interrupts of assigned devices that name the vCPU. Take the
 * vCPU's posting lock, tell the IOMMU, call vapic_avic_posting_set(). When this returns, the IOMMU
 * does so, and its writes to the IRR before that are visible. Called in the vCPU's own task, with
 * preemption off, and only if there is such an interrupt.
 */
void vapic_host_posting(struct vapic_vcpu *glue, struct vapic_posting how);

/*
 * True if KVM has accepted the vCPU: it then lives until its VM ends, and no other vCPU has its
 * ID. False while KVM is making the vCPU. Called when the vCPU is loaded.
 */
bool vapic_host_vcpu_stays(struct vapic_vcpu *glue);

VAPIC_C_END

#endif
