/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs for each interrupt, each entry to the guest, and each load and put of a vCPU, in
 * source that C and C++ share for the reason that avic_hot.h gives. Ordering:
 * vmx_apicv/sync.cpp, residency.cpp and waiters.cpp.
 */
#ifndef VAPIC_VMX_HOT_H
#define VAPIC_VMX_HOT_H

#include <vapic/hw/cell.h>
#include <vapic/vmx.h>

#define VAPIC_PI_ON 0x1
#define VAPIC_PI_SN 0x2

/* The number of no CPU */
#define VAPIC_PI_NOWHERE 0xffffffffu

/* VMCS 0810h */
#define VAPIC_PI_RVI 0x00ff

/* This many waiters are looked at before a branch. A list is padded to two groups. */
#define VAPIC_PI_GROUP 8

/*
 * ORDERING rvi-unknown
 *   writers:  vapic_pi_vcpu_unsettle(), called by anybody after a change of the IRR;
 *             vapic_pi_vcpu_sync(), called by the vCPU's own task, clears it or sets it
 *   order:    cleared by an exchange, then the IRR is read. A plain store could become
 *             visible after the read, and erase a flag set in between. Set by
 *             vapic_pi_vcpu_sync() without order: only the vCPU's own task relies on it
 *   pairs:    vapic_pi_vcpu_unsettle(), which sets it by a release store
 *   barrier:  vapic_pi_vcpu_sync(), the exchange
 *   if lost:  RVI misses a vector in the IRR, which is not delivered until another one is
 *   checked:  posted_interleaving_test (sync_settles_by_store, sync_settles_last); model posted
 *             (SYNC_SETTLES_PLAINLY, SYNC_SETTLES_LAST)
 */
VAPIC_CELL(vapic_pi_unknown, u8)

/*
 * The host's number of the CPU for which the descriptor was loaded, even if it has been suppressed
 * since; VAPIC_PI_NOWHERE while the descriptor is armed. A number names one APIC ID as long as the
 * host runs, and unlike the APIC ID it is at hand in every load.
 *
 * ORDERING home
 *   writers:  the vCPU's own task, which alone reads it
 *   order:    none
 *   pairs:    none visible
 *   barrier:  the scheduler's, between the vCPU's task on one CPU and on another
 *   if lost:  vapic_pi_vcpu_resume() takes the descriptor for loaded on the vCPU's CPU, although
 *             it is not: notifications go to a CPU that the vCPU left
 *   checked:  pi_residency_test; selftest ipi_lost; model posted (ARM_KEEPS_HOME)
 */
VAPIC_CELL(vapic_pi_home, u32)

/* The start of struct vapic_pi_vcpu; state.hpp asserts that. The pointer is constant. */
struct vapic_pi_vcpu_hot {
	struct vapic_pi_descriptor *descriptor;
	struct vapic_pi_unknown rvi_unknown;
	struct vapic_pi_home home;
};

/* NOLINTBEGIN(cppcoreguidelines-pro-type-cstyle-cast): C reads this too */

static inline struct vapic_pi_vcpu_hot *vapic_pi_hot(struct vapic_pi_vcpu *vcpu)
{
	return (struct vapic_pi_vcpu_hot *)vcpu;
}

/*
 * Post @vector. True if the target has not been told yet: the caller then sends it the
 * notification vector if it is in the guest, and wakes it if it sleeps. Any task or interrupt
 * may call this. Full barrier if true.
 *
 * ORDERING post
 *   writers:  whoever posts, hardware included, sets bits of PIR and ON; vapic_pi_vcpu_sync(),
 *             vapic_pi_vcpu_discard() and notification processing take both;
 *             vapic_pi_vcpu_load() and vapic_pi_vcpu_resume() set ON
 *   order:    the PIR bit, then ON, each by a locked OR; the caller then looks where the vCPU is
 *   pairs:    vapic_pi_vcpu_sync() clears ON, then reads PIR; the vCPU writes that it is in the
 *             guest, or sleeps, and then looks at ON
 *   barrier:  here
 *   if lost:  nobody is told of a vector in PIR: the vCPU sleeps, or runs, without it
 *   checked:  posted_interleaving_test (post_on_first, post_by_store); selftest ipi_lost; model
 *             posted (POST_ON_FIRST, POST_PLAINLY)
 */
static inline bool vapic_pi_post(struct vapic_pi_descriptor *descriptor, u8 vector)
{
	const u64 bit = (u64)1 << vector % 64;

	/* The bit was set: whoever set it announces it, or has left that to the next load. */
	if (vapic_pi_requests_set(&descriptor->pir[vector / 64], bit) & bit)
		return false;
	return !(vapic_pi_control_set(&descriptor->control, VAPIC_PI_ON) & VAPIC_PI_ON);
}

/* NDST for the CPU with APIC ID @host_id; @x2apic is the mode of the host's APICs. */
static inline u32 vapic_pi_destination(u32 host_id, bool x2apic)
{
	return x2apic ? host_id : host_id << 8 & 0xff00;
}

/* True if a bit of PIR is set. */
static inline bool vapic_pi_is_posted(const struct vapic_pi_descriptor *descriptor)
{
	return vapic_pi_requests_load(&descriptor->pir[0]) |
	       vapic_pi_requests_load(&descriptor->pir[1]) |
	       vapic_pi_requests_load(&descriptor->pir[2]) |
	       vapic_pi_requests_load(&descriptor->pir[3]);
}

/*
 * As vapic_pi_vcpu_load(), for a vCPU that comes back to the CPU that it left and was not armed
 * there: only SN must be cleared, if it is set. False, with nothing changed, for any other vCPU.
 * Ordering: sn-clear, in vmx_apicv/residency.cpp.
 */
static inline bool vapic_pi_vcpu_resume(struct vapic_pi_on_cpu on, u32 cpu)
{
	struct vapic_pi_vcpu_hot *hot = vapic_pi_hot(on.vcpu);
	struct vapic_pi_control *control = &hot->descriptor->control;

	if (vapic_pi_home_load(&hot->home) != cpu)
		return false;
	/* Nobody else sets SN while the vCPU lives. */
	if (!(vapic_pi_control_load(control) & VAPIC_PI_SN))
		return true;

	vapic_pi_control_clear(control, VAPIC_PI_SN);
	if (vapic_pi_is_posted(hot->descriptor))
		vapic_pi_control_set(control, VAPIC_PI_ON);
	return true;
}

/*
 * The vCPU is preempted, or sleeps with interrupts blocked: from now on hardware posts without
 * telling anybody, and load finds what was posted.
 *
 * ORDERING sn-set
 *   writers:  the vCPU's own task
 *   order:    none. The OR is locked only to have one rule for the word: if a plain store cleared
 *             an ON, the load that must follow would find the post, because it reads PIR
 *   pairs:    posting, by hardware: PIR bit, then a locked look at SN
 *   barrier:  none needed: a notification that is sent nevertheless does nothing outside the
 *             guest, and the load that must follow finds ON
 *   if lost:  posts keep interrupting a CPU that runs something else
 *   checked:  posted_interleaving_test (SuppressByAPlainStoreIsNone); pi_residency_test; model
 *             posted
 */
static inline void vapic_pi_vcpu_suppress(struct vapic_pi_on_cpu on)
{
	vapic_pi_control_set(&vapic_pi_hot(on.vcpu)->descriptor->control, VAPIC_PI_SN);
}

/*
 * True if nothing is posted and RVI is the highest vector of the IRR, so that there is
 * nothing to do before the guest is entered. Called by the vCPU's own task while no nested
 * guest runs. False while APICv is off, because RVI is unknown then.
 */
static inline bool vapic_pi_vcpu_settled(struct vapic_pi_vcpu *vcpu)
{
	const struct vapic_pi_vcpu_hot *hot = vapic_pi_hot(vcpu);

	return !(vapic_pi_control_load(&hot->descriptor->control) & VAPIC_PI_ON) &&
	       !vapic_pi_unknown_load(&hot->rvi_unknown);
}

/* Also true if another bit than ON is set in the byte; none is while a vCPU sleeps. */
static inline bool vapic_pi_any_on(const struct vapic_pi_place *group)
{
	u8 seen = (u8)vapic_pi_control_load(group[0].control);
	u32 n = 0;

#pragma GCC unroll 8
	for (n = 1; n < VAPIC_PI_GROUP - 1; n++)
		VAPIC_CELL_GATHER(seen, group[n].control);
	return VAPIC_CELL_GATHER(seen, group[n].control);
}

/* Remove the vCPU at @place and move the last one there. Returns the removed vCPU's glue. */
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
	if (__builtin_expect(VAPIC_CELL_TEST(place->control, VAPIC_PI_ON), false))
		wake(vapic_pi_waiters_take(waiters, place));
}

static inline void vapic_pi_waiters_look_at_group(struct vapic_pi_waiters *waiters,
						  struct vapic_pi_place *group,
						  void (*wake)(struct vapic_vcpu *glue))
{
	u32 n = 0;

	if (__builtin_expect(!vapic_pi_any_on(group), true))
		return;
#pragma GCC unroll 8
	for (n = VAPIC_PI_GROUP; n--;)
		vapic_pi_waiters_look_at(waiters, group + n, wake);
}

/*
 * Remove each vCPU to which something was posted, and then call @wake for it. Goes from the
 * last one down, so that a vCPU that moves into a free place has been looked at.
 */
static inline void vapic_pi_waiters_wake_due(struct vapic_pi_waiters *waiters,
					     void (*wake)(struct vapic_vcpu *glue))
{
	const u64 multiple = VAPIC_PI_WAITERS_PADDING * sizeof(struct vapic_pi_place);
	const u64 padding = ((u64)waiters->begin - (u64)waiters->end) % multiple;
	struct vapic_pi_place *place = waiters->end;

	/* A look at each of few is cheaper than one at two groups. */
	if (place - waiters->begin < VAPIC_PI_GROUP) {
		while (place != waiters->begin)
			vapic_pi_waiters_look_at(waiters, --place, wake);
		return;
	}
	place = (struct vapic_pi_place *)((char *)place + padding);
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
