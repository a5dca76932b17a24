/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The actors (actors.h) saved and restored at random points.  What is restored must read back
 * as it was saved, and no interrupt may be lost or come twice.
 */
#ifndef SELFTESTS_LIB_LAPIC_SCENARIO_H
#define SELFTESTS_LIB_LAPIC_SCENARIO_H

#include <stdbool.h>

struct scenario {
	unsigned int options;	/* of vm_create() */
	bool second_vm;		/* a new VM goes on at each point; else the same, set back */
	bool inhibits;		/* acceleration is inhibited now and then */
};

/* Fails if anything is not as it must be, or if so many points showed too little. */
void scenario_run(const struct scenario *scenario, unsigned int points);

#endif
