/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What C may call in the C++ core for the state of a local APIC. The rules are those of avic.h.
 *
 * @regs is the 4 KiB register page. The vCPU does not run meanwhile, and the caller is its
 * own task or holds its mutex; IPI hardware, the IOMMU and other tasks may set bits of IRR
 * and TMR at any time. @image is what user space saves and restores: the first
 * VAPIC_LAPIC_IMAGE bytes of a page, in the layout of struct kvm_lapic_state.
 */
#ifndef VAPIC_LAPIC_H
#define VAPIC_LAPIC_H

#include <vapic/types.h>

VAPIC_C_BEGIN

#define VAPIC_LAPIC_IMAGE 0x400

/* How state looks in a page and in an image. */
struct vapic_lapic_form {
	bool x2apic;	 /* the APIC is in x2APIC mode; all else matters only then */
	bool icr_split;	 /* pages hold ICR as an image does; else as one word of 64 bits */
	bool x2apic_ids; /* images hold the plain ID, not in the place that xAPICs use */
	u32 id;		 /* the vCPU's ID, which does not change */
};

/*
 * Copy @image to the page, and first convert @image to the page's format. The page has the
 * image's current timer count until the caller clears it.
 */
void vapic_lapic_restore(void *regs, const struct vapic_lapic_form *form, void *image);

/* What RESET and INIT leave. */
struct vapic_lapic_initial {
	bool x2apic;	/* the mode, which INIT keeps; x2APIC mode keeps LDR */
	bool reset;	/* RESET, which sets the ID too; INIT keeps it */
	bool lint0_pic; /* LINT0 takes interrupts of the PIC */
	u32 id;		/* the vCPU's ID */
	u32 lvts;	/* entries of the local vector table: 6, or 7 with that for CMCI */
};

/* Set all registers but the version. */
void vapic_lapic_reset(void *regs, const struct vapic_lapic_initial *how);

VAPIC_C_END

#endif
