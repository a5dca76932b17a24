/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulated processor's own counters of what it did, if the host runs on the
 * project's emulator.  Other hosts have none, and KVM's statistics must do.
 */
#ifndef SELFTESTS_LIB_COUNTERS_H
#define SELFTESTS_LIB_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#define COUNTER_NAME_SIZE	48

/* How many counters each processor has; 0 where there is no emulator. */
unsigned int counters_per_cpu(void);

/* name has room for COUNTER_NAME_SIZE bytes. */
void counter_name(unsigned int counter, char *name);

/*
 * The last counters are those that testbed/cost.h names: what the host executes.
 * counters_costs() returns how many there are; counters_read_costs() reads those of one
 * processor.
 */
#define COUNTERS_MAX_COSTS	8
unsigned int counters_costs(void);
void counters_read_costs(unsigned int pcpu, uint64_t *costs);

/* All counters of one processor; row has room for counters_per_cpu(). */
void counters_read(unsigned int pcpu, uint64_t *row);

/* The sum of a counter over all processors; 0 if there is none of this name. */
uint64_t counters_total(const char *name);

/*
 * Where the emulator's processors take turns, they take other ones from now on, the same for the
 * same seed. Returns false on any other host.
 */
bool emulator_reseed(uint32_t seed);

#endif
