/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vapic's own counters of this process's vCPUs, from /sys/kernel/vapic/vcpus
 * (see Documentation/ABI): all counters that the file has, by name.
 */
#ifndef SELFTESTS_LIB_VAPIC_COUNTS_H
#define SELFTESTS_LIB_VAPIC_COUNTS_H

#include <stdint.h>

#define VAPIC_COUNTS_MAX	32

struct vapic_counts {
	unsigned int count;
	struct { char name[32]; uint64_t value; } items[VAPIC_COUNTS_MAX];
};

/* Sums over vCPUs; none if vapic is not loaded. */
void vapic_counts_read(struct vapic_counts *counts);

/* The value by name; 0 if there is none. */
uint64_t vapic_counts_get(const struct vapic_counts *counts, const char *name);

#endif
