/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done for each interrupt, each entry to the guest and each time the vCPU comes or
 * goes, in source that C and C++ share, for the reason that hot.h gives. Ordering:
 * vmx_apicv/sync.cpp and residency.cpp.
 */
#ifndef VAPIC_PI_HOT_H
#define VAPIC_PI_HOT_H

#include <vapic/types.h>

/* A posted-interrupt descriptor in words of 64 bits; state.hpp asserts it. */
#define VAPIC_HOT_PI_CONTROL 4
#define VAPIC_HOT_PI_ON 0x1
#define VAPIC_HOT_PI_SN 0x2

/* No CPU: as a destination it would be a broadcast. */
#define VAPIC_HOT_PI_NOWHERE 0xffffffffu

/* VMCS 0810h */
#define VAPIC_HOT_RVI 0x00ff
#define VAPIC_HOT_SVI 0xff00

struct vapic_pi_vcpu;

/* How struct vapic_pi_vcpu begins; state.hpp asserts it. */
struct vapic_hot_pi {
	const u64 *control;
	u8 rvi_unknown;
	u32 home;
};

/* NOLINTBEGIN(cppcoreguidelines-pro-type-cstyle-cast): C reads this too */

/*
 * Post @vector. True if the target has not been told yet: the caller then sends it the
 * notification vector if it is in the guest, and wakes it if it sleeps. Any task or
 * interrupt; full barrier if true.
 */
static inline bool vapic_hot_pi_post(void *descriptor, u8 vector)
{
	u64 *words = (u64 *)descriptor;
	const u64 bit = (u64)1 << vector % 64;

	/* Already there: whoever set it announces it, or has left that to the next load. */
	if (__atomic_fetch_or(&words[vector / 64], bit, __ATOMIC_SEQ_CST) & bit)
		return false;
	return !(__atomic_fetch_or(&words[VAPIC_HOT_PI_CONTROL], (u64)VAPIC_HOT_PI_ON,
				   __ATOMIC_SEQ_CST) &
		 VAPIC_HOT_PI_ON);
}

/* NDST for the CPU with APIC ID @host_id; @x2apic is the mode of the host's APICs. */
static inline u32 vapic_pi_destination(u32 host_id, bool x2apic)
{
	return x2apic ? host_id : host_id << 8 & 0xff00;
}

/*
 * As vapic_pi_vcpu_load(), if the vCPU comes back to the CPU that it left, not having slept
 * there: only SN has to go. False, with nothing changed, if it is not so.
 */
static inline bool vapic_hot_pi_resume(const struct vapic_pi_vcpu *vcpu, void *descriptor,
				       u32 destination)
{
	const struct vapic_hot_pi *hot = (const struct vapic_hot_pi *)vcpu;
	u64 *words = (u64 *)descriptor;
	u64 posted = 0;

	if (__atomic_load_n(&hot->home, __ATOMIC_RELAXED) != destination)
		return false;

	__atomic_fetch_and(&words[VAPIC_HOT_PI_CONTROL], ~(u64)VAPIC_HOT_PI_SN, __ATOMIC_SEQ_CST);
	posted = __atomic_load_n(&words[0], __ATOMIC_RELAXED) |
		 __atomic_load_n(&words[1], __ATOMIC_RELAXED) |
		 __atomic_load_n(&words[2], __ATOMIC_RELAXED) |
		 __atomic_load_n(&words[3], __ATOMIC_RELAXED);
	if (posted)
		__atomic_fetch_or(&words[VAPIC_HOT_PI_CONTROL], (u64)VAPIC_HOT_PI_ON,
				  __ATOMIC_SEQ_CST);
	return true;
}

/* As vapic_pi_vcpu_suppress(). */
static inline void vapic_hot_pi_suppress(void *descriptor)
{
	u64 *words = (u64 *)descriptor;

	__atomic_fetch_or(&words[VAPIC_HOT_PI_CONTROL], (u64)VAPIC_HOT_PI_SN, __ATOMIC_SEQ_CST);
}

/*
 * True if nothing is posted and RVI is the highest vector of the IRR, so that there is
 * nothing to do before the guest is entered. By the vCPU's own task, APICv on, and no
 * nested guest.
 */
static inline bool vapic_hot_pi_settled(const struct vapic_pi_vcpu *vcpu)
{
	const struct vapic_hot_pi *hot = (const struct vapic_hot_pi *)vcpu;

	return !(__atomic_load_n(hot->control, __ATOMIC_RELAXED) & VAPIC_HOT_PI_ON) &&
	       !__atomic_load_n(&hot->rvi_unknown, __ATOMIC_RELAXED);
}

/* NOLINTEND(cppcoreguidelines-pro-type-cstyle-cast) */

#endif
