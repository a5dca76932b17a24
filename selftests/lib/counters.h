/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulated processor's own counters, where the host is the project's
 * emulator: what the hardware did, told by the hardware.  Elsewhere there are
 * none and KVM's statistics have to do.
 */
#ifndef SELFTESTS_LIB_COUNTERS_H
#define SELFTESTS_LIB_COUNTERS_H

#include <stdint.h>

#define COUNTER_NAME_SIZE	48

/* How many counters each processor has; 0 where there is no emulator. */
unsigned int counters_per_cpu(void);

/* name has room for COUNTER_NAME_SIZE bytes. */
void counter_name(unsigned int counter, char *name);

/*
 * Of these the last are what testbed/cost.h names, which the emulators count of what the host
 * executes: how many there are, and those of one processor.
 */
#define COUNTERS_MAX_COSTS	8
unsigned int counters_costs(void);
void counters_read_costs(unsigned int pcpu, uint64_t *costs);

/* All counters of one processor; row has room for counters_per_cpu(). */
void counters_read(unsigned int pcpu, uint64_t *row);

#endif
