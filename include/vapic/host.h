/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What C++ may call in C: the whole exit surface of core. The kernel implements it in
 * kvm/host.c, but for vapic_host_ipi_target() in avic/exits_glue.c; the tests in a fake host.
 */
#ifndef VAPIC_HOST_H
#define VAPIC_HOST_H

#include <vapic/hw/broken.h>
#include <vapic/types.h>

VAPIC_C_BEGIN

/* How a destination was found. */
enum vapic_ipi_target {
	VAPIC_TARGET_AWAKE,    /* running or about to: nothing to do */
	VAPIC_TARGET_UNSEEN,   /* as AWAKE, but IsRunning never shows: tell it if in guest mode */
	VAPIC_TARGET_ASLEEP,   /* blocked: wake it */
	VAPIC_TARGET_INACTIVE, /* not accelerated: make it look for interrupts, kick it */
};

/*
 * One destination of an IPI whose IRR bit is already set. @glue is what
 * vapic_avic_vcpu_init() was given, @icr_low the low half of the sender's ICR.
 */
void vapic_host_ipi_target(struct vapic_vcpu *glue, u32 icr_low, enum vapic_ipi_target target);

/*
 * True if KVM has accepted the vCPU, so that it lives until its VM ends and no other has its
 * ID; false while it is being made. Asked when the vCPU is loaded.
 */
bool vapic_host_vcpu_stays(struct vapic_vcpu *glue);

VAPIC_C_END

#endif
