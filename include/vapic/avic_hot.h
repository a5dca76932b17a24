/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a sender does with core's data, in source that C and C++ share.
 *
 * Delivering an interrupt takes some thirty instructions; as calls, these three would be
 * a third of that. So glue has them inline, and core defines its own functions (and
 * tests explore them) by the very same text. Ordering: RegisterPage::set_irr() and
 * vapic_avic_vcpu_must_wake().
 */
#ifndef VAPIC_AVIC_HOT_H
#define VAPIC_AVIC_HOT_H

#include <vapic/types.h>

struct vapic_avic_vcpu;

/* How struct vapic_avic_vcpu begins; state.hpp asserts it. */
struct vapic_hot_vcpu {
	const u8 *attention;
	const u64 *entry;
};

#define VAPIC_HOT_IRR 0x200
#define VAPIC_HOT_ASLEEP 0x01
#define VAPIC_HOT_HOST_ID 0xfff
#define VAPIC_HOT_NO_CPU 0xfff

/* NOLINTBEGIN(cppcoreguidelines-pro-type-cstyle-cast): C reads this too */

/* As vapic_lapic_set_irr(). */
static inline void vapic_hot_set_irr(void *regs, u8 vector)
{
	u32 *irr = (u32 *)((u8 *)regs + VAPIC_HOT_IRR);

	/* 32 vectors to a register, registers 4 words apart. */
	__atomic_fetch_or(&irr[(vector & 0xe0u) / 8], (u32)1 << vector % 32, __ATOMIC_SEQ_CST);
}

/* As vapic_avic_vcpu_must_wake(). */
static inline bool vapic_hot_must_wake(const struct vapic_avic_vcpu *vcpu)
{
	const struct vapic_hot_vcpu *hot = (const struct vapic_hot_vcpu *)vcpu;

	return __atomic_load_n(__atomic_load_n(&hot->attention, __ATOMIC_RELAXED),
			       __ATOMIC_RELAXED) &
	       VAPIC_HOT_ASLEEP;
}

/*
 * Physical APIC ID of the CPU to ring for a vCPU that was seen in guest mode. If it has
 * left since, the one it was on, which ignores the doorbell. VAPIC_HOT_NO_CPU: no doorbell
 * reaches it there, it must be made to leave the guest.
 */
static inline u32 vapic_hot_host_id(const struct vapic_avic_vcpu *vcpu)
{
	const struct vapic_hot_vcpu *hot = (const struct vapic_hot_vcpu *)vcpu;

	return __atomic_load_n(__atomic_load_n(&hot->entry, __ATOMIC_RELAXED), __ATOMIC_RELAXED) &
	       VAPIC_HOT_HOST_ID;
}

/* NOLINTEND(cppcoreguidelines-pro-type-cstyle-cast) */

#endif
