/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done for each interrupt, each entry to the guest and each time the vCPU comes or
 * goes, in source that C and C++ share, for the reason that avic_hot.h gives. Ordering:
 * vmx_apicv/sync.cpp, residency.cpp and waiters.cpp.
 */
#ifndef VAPIC_VMX_HOT_H
#define VAPIC_VMX_HOT_H

#include <vapic/types.h>
#include <vapic/vmx.h>

/* A posted-interrupt descriptor in words of 64 bits; state.hpp asserts it. */
#define VAPIC_PI_CONTROL 4
#define VAPIC_PI_ON 0x1
#define VAPIC_PI_SN 0x2

/* No CPU: as a destination it would be a broadcast. */
#define VAPIC_PI_NOWHERE 0xffffffffu

/* VMCS 0810h */
#define VAPIC_PI_RVI 0x00ff

/* So many waiters are looked at before a branch. A list is padded to two groups. */
#define VAPIC_PI_GROUP 8

/* How struct vapic_pi_vcpu begins; state.hpp asserts it. */
struct vapic_pi_vcpu_hot {
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
static inline bool vapic_pi_post(void *descriptor, u8 vector)
{
	u64 *words = (u64 *)descriptor;
	const u64 bit = (u64)1 << vector % 64;

	/* Already there: whoever set it announces it, or has left that to the next load. */
	if (__atomic_fetch_or(&words[vector / 64], bit, __ATOMIC_SEQ_CST) & bit)
		return false;
	return !(__atomic_fetch_or(&words[VAPIC_PI_CONTROL], (u64)VAPIC_PI_ON, __ATOMIC_SEQ_CST) &
		 VAPIC_PI_ON);
}

/* NDST for the CPU with APIC ID @host_id; @x2apic is the mode of the host's APICs. */
static inline u32 vapic_pi_destination(u32 host_id, bool x2apic)
{
	return x2apic ? host_id : host_id << 8 & 0xff00;
}

/* True if a bit of PIR is set. */
static inline bool vapic_pi_is_posted(const u64 *descriptor)
{
	return __atomic_load_n(&descriptor[0], __ATOMIC_RELAXED) |
	       __atomic_load_n(&descriptor[1], __ATOMIC_RELAXED) |
	       __atomic_load_n(&descriptor[2], __ATOMIC_RELAXED) |
	       __atomic_load_n(&descriptor[3], __ATOMIC_RELAXED);
}

/*
 * As vapic_pi_vcpu_load(), if the vCPU comes back to the CPU that it left, not having slept
 * there: only SN has to go, if it is set. False, with nothing changed, if it is not so.
 */
static inline bool vapic_pi_vcpu_resume(struct vapic_pi_vcpu *vcpu, u32 destination)
{
	const struct vapic_pi_vcpu_hot *hot = (const struct vapic_pi_vcpu_hot *)vcpu;
	u64 *control = (u64 *)hot->control;

	if (__atomic_load_n(&hot->home, __ATOMIC_RELAXED) != destination)
		return false;
	/* Nobody else sets it while the vCPU lives. */
	if (!(__atomic_load_n(control, __ATOMIC_RELAXED) & VAPIC_PI_SN))
		return true;

	__atomic_fetch_and(control, ~(u64)VAPIC_PI_SN, __ATOMIC_SEQ_CST);
	if (vapic_pi_is_posted(control - VAPIC_PI_CONTROL))
		__atomic_fetch_or(control, (u64)VAPIC_PI_ON, __ATOMIC_SEQ_CST);
	return true;
}

/*
 * The vCPU leaves the CPU for others and would run on, or sleeps with interrupts blocked:
 * hardware posts without telling anybody, and load finds out. Context as load's.
 *
 * No order: a notification that is sent nevertheless does nothing outside the guest, and
 * the load that must follow finds ON.
 */
static inline void vapic_pi_vcpu_suppress(struct vapic_pi_vcpu *vcpu)
{
	const struct vapic_pi_vcpu_hot *hot = (const struct vapic_pi_vcpu_hot *)vcpu;

	__atomic_fetch_or((u64 *)hot->control, (u64)VAPIC_PI_SN, __ATOMIC_SEQ_CST);
}

/*
 * True if nothing is posted and RVI is the highest vector of the IRR, so that there is
 * nothing to do before the guest is entered. By the vCPU's own task, APICv on, and no
 * nested guest.
 */
static inline bool vapic_pi_vcpu_settled(const struct vapic_pi_vcpu *vcpu)
{
	const struct vapic_pi_vcpu_hot *hot = (const struct vapic_pi_vcpu_hot *)vcpu;

	return !(__atomic_load_n(hot->control, __ATOMIC_RELAXED) & VAPIC_PI_ON) &&
	       !__atomic_load_n(&hot->rvi_unknown, __ATOMIC_RELAXED);
}

static inline bool vapic_pi_is_on(const u64 *control)
{
	bool on; /* NOLINT(cppcoreguidelines-init-variables) */

	asm("testb %2, %1" : "=@ccnz"(on) : "m"(*control), "i"(VAPIC_PI_ON));
	return on;
}

/*
 * Collect the byte that ON is in; false if all so far were zero. The compiler makes no
 * atomic load a part of another instruction.
 */
static inline bool vapic_pi_gather(u8 *seen, const u64 *control)
{
	bool any; /* NOLINT(cppcoreguidelines-init-variables) */

	asm("orb %2, %1" : "=@ccnz"(any), "+q"(*seen) : "m"(*(const u8 *)control));
	return any;
}

/* True also for another bit beside ON; while a vCPU sleeps none is set. */
static inline bool vapic_pi_any_on(const struct vapic_pi_place *group)
{
	u8 seen = __atomic_load_n((const u8 *)group[0].control, __ATOMIC_RELAXED);

	vapic_pi_gather(&seen, group[1].control);
	vapic_pi_gather(&seen, group[2].control);
	vapic_pi_gather(&seen, group[3].control);
	vapic_pi_gather(&seen, group[4].control);
	vapic_pi_gather(&seen, group[5].control);
	vapic_pi_gather(&seen, group[6].control);
	return vapic_pi_gather(&seen, group[7].control);
}

/* The last one takes the place. Returns the glue's object of the one who had it. */
static inline struct vapic_vcpu *vapic_pi_waiters_take(struct vapic_pi_waiters *waiters,
						       struct vapic_pi_place *place)
{
	struct vapic_vcpu *glue = place->waiter->glue;
	struct vapic_pi_place *last = waiters->end - 1;
	const struct vapic_pi_place moved = *last;

	*place = moved;
	moved.waiter->place = place;
	last->control = &vapic_pi_nobody;
	waiters->end = last;
	return glue;
}

static inline void vapic_pi_waiters_look_at(struct vapic_pi_waiters *waiters,
					    struct vapic_pi_place *place,
					    void (*wake)(struct vapic_vcpu *glue))
{
	if (__builtin_expect(vapic_pi_is_on(place->control), false))
		wake(vapic_pi_waiters_take(waiters, place));
}

static inline void vapic_pi_waiters_look_at_group(struct vapic_pi_waiters *waiters,
						  struct vapic_pi_place *group,
						  void (*wake)(struct vapic_vcpu *glue))
{
	if (__builtin_expect(!vapic_pi_any_on(group), true))
		return;
	vapic_pi_waiters_look_at(waiters, group + 7, wake);
	vapic_pi_waiters_look_at(waiters, group + 6, wake);
	vapic_pi_waiters_look_at(waiters, group + 5, wake);
	vapic_pi_waiters_look_at(waiters, group + 4, wake);
	vapic_pi_waiters_look_at(waiters, group + 3, wake);
	vapic_pi_waiters_look_at(waiters, group + 2, wake);
	vapic_pi_waiters_look_at(waiters, group + 1, wake);
	vapic_pi_waiters_look_at(waiters, group, wake);
}

/*
 * Remove each vCPU to which something was posted, and then call @wake for it. From the
 * last one down: who moves into a place that becomes free has been looked at.
 */
static inline void vapic_pi_waiters_wake_due(struct vapic_pi_waiters *waiters,
					     void (*wake)(struct vapic_vcpu *glue))
{
	const u64 multiple = VAPIC_PI_WAITERS_PADDING * sizeof(struct vapic_pi_place);
	const u64 padding = ((u64)waiters->begin - (u64)waiters->end) % multiple;
	struct vapic_pi_place *place = (struct vapic_pi_place *)((char *)waiters->end + padding);

	while (place != waiters->begin) {
		place -= VAPIC_PI_GROUP;
		vapic_pi_waiters_look_at_group(waiters, place, wake);
		place -= VAPIC_PI_GROUP;
		vapic_pi_waiters_look_at_group(waiters, place, wake);
	}
}

/* Remove each vCPU, whether something was posted to it or not, and then call @wake for it. */
static inline void vapic_pi_waiters_wake_all(struct vapic_pi_waiters *waiters,
					     void (*wake)(struct vapic_vcpu *glue))
{
	while (waiters->end != waiters->begin)
		wake(vapic_pi_waiters_take(waiters, waiters->end - 1));
}

/* NOLINTEND(cppcoreguidelines-pro-type-cstyle-cast) */

#endif
