/* SPDX-License-Identifier: GPL-2.0-only */
/* What the actors' guests (actors_guest.c) and the host's accounting (actors.c) both see. */
#ifndef SELFTESTS_LIB_ACTORS_SHARED_H
#define SELFTESTS_LIB_ACTORS_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#include "actors.h"

/*
 * The vector's two lowest bits say whose it is: a sender's, or the target's own, for its timer
 * and its level-triggered pin.  So every priority class has some of each.
 */
#define FIRST_VECTOR	0x30
#define LAST_VECTOR	0xdf
#define OWNER(vector)	((vector) & 3)
#define OWN		3

/* One each: an EOI ends all pins of its vector. */
#define LEVEL_VECTOR(cpu) (0x53 + 0x30 * (cpu))

#define PIN(cpu)	(20 + (cpu))
/* A write of the vCPU's index: its line goes down. */
#define LOWER_PORT	0x5a1

struct channel {
	volatile uint32_t sent;		/* by the sender, before it sends */
	volatile uint32_t handled;	/* by the target, after its EOI */
};

struct timer {
	volatile uint32_t mode;		/* of APIC_TIMER_MODE */
	volatile uint8_t vector;
	volatile bool armed;		/* one-shot or deadline: to fire; periodic: running */
	volatile uint32_t armings, ticks;
	volatile uint64_t armed_tsc, period_tsc;
	volatile uint32_t armed_at_restore;
	volatile uint32_t strays;	/* with nothing armed */
	volatile uint32_t strays_allowed;
};

struct actor {
	struct timer timer;
	volatile uint32_t level;	/* class being handled, 0 if none */
	volatile uint32_t tpr;
};

struct actors {
	/* By target. */
	struct channel ipis[ACTORS][256];
	struct channel levels[ACTORS];

	struct actor each[ACTORS];
	volatile uint32_t present, restores;
	volatile uint64_t tsc_per_ms;
	/* Send nothing new and do not halt; return. */
	volatile bool quiet, stop;
};

extern struct actors actors;

static inline bool is_free(const struct channel *channel)
{
	return channel->handled == channel->sent;
}

/* The guest's function, and its handlers. */
void actors_guest(uint64_t arg);
void actors_set_handlers(void);

#endif
