/* SPDX-License-Identifier: GPL-2.0-only */
/* What the actors' guest code (actors_guest.c) and the host's accounting (actors.c) share. */
#ifndef SELFTESTS_LIB_ACTORS_SHARED_H
#define SELFTESTS_LIB_ACTORS_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#include "actors.h"

/*
 * The vector's two lowest bits say to whom it belongs: to a sender, or to the target itself, for
 * its timer and its level-triggered pin.  So every priority class has some vectors of each.
 */
#define FIRST_VECTOR	0x30
#define LAST_VECTOR	0xdf
#define OWNER(vector)	((vector) & 3)
#define OWN		3

/* Each vCPU has its own, because an EOI ends the interrupts of all pins with that vector. */
#define LEVEL_VECTOR(cpu) (0x53 + 0x30 * (cpu))

#define PIN(cpu)	(20 + (cpu))
/* A write of the vCPU's index lowers that vCPU's line. */
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
	volatile uint32_t expected, taken, ended;	/* interrupts, but strays */
	volatile uint64_t armed_tsc, period_tsc;
	volatile uint32_t armed_at_restore;
	volatile uint32_t strays;	/* interrupts while nothing was armed */
	volatile uint32_t strays_allowed;
};

struct actor {
	struct timer timer;
	volatile uint32_t level;	/* class being handled, 0 if none */
	volatile uint32_t tpr;
};

struct actors {
	/* Indexed by target, then by vector. */
	struct channel ipis[ACTORS][256];
	struct channel levels[ACTORS];

	struct actor each[ACTORS];
	volatile uint32_t present, restores;
	volatile uint64_t tsc_per_ms;
	/* quiet: send nothing new and do not halt; stop: return. */
	volatile bool quiet, stop;
};

extern struct actors actors;

static inline bool is_free(const struct channel *channel)
{
	return channel->handled == channel->sent;
}

/* The function that the guests run, and its interrupt handlers. */
void actors_guest(uint64_t arg);
void actors_set_handlers(void);

#endif
