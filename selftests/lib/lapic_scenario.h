/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Saves and restores the actors (actors.h) at random points.  The restored state must read back
 * as it was saved, and no interrupt may be lost or arrive twice.
 */
#ifndef SELFTESTS_LIB_LAPIC_SCENARIO_H
#define SELFTESTS_LIB_LAPIC_SCENARIO_H

#include <stdbool.h>

struct scenario {
	unsigned int options;	/* of vm_create() */
	bool second_vm;		/* restore into a new VM at each point, not into the same */
	bool inhibits;		/* acceleration is inhibited now and then */
};

/* Fails if a check fails, or if the points exercised too little for their number. */
void scenario_run(const struct scenario *scenario, unsigned int points);

#endif
