// SPDX-License-Identifier: GPL-2.0-only
/* Judges doorbells by the emulator's counters or by time. */
#include "doorbell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel.h"
#include "counters.h"
#include "figures.h"
#include "host.h"
#include "stats.h"

/* The counters of doorbells that arrive, and of notifications on Intel. */
static bool is_arrival(const char *name)
{
	return !strcmp(name, "doorbell.running") || !strcmp(name, "doorbell.lost") ||
	       !strcmp(name, "notification.taken") || !strcmp(name, "notification.root");
}

/* How many arrived at this processor, whatever it was doing. */
static uint64_t doorbells_at(unsigned int pcpu)
{
	uint64_t *row = calloc(counters_per_cpu(), sizeof(*row)), sum = 0;
	char name[COUNTER_NAME_SIZE];

	if (!row)
		return 0;
	counters_read(pcpu, row);
	for (unsigned int i = 0; i < counters_per_cpu(); i++) {
		counter_name(i, name);
		if (is_arrival(name))
			sum += row[i];
	}
	free(row);
	return sum;
}

void doorbell_watch_begin(struct doorbell_watch *watch, struct vcpu *target)
{
	watch->target = target;
	watch->rung = counters_per_cpu() ? doorbells_at(target->pcpu) : 0;
	watch->exits = vcpu_stat(target, "exits");
	watch->tsc = read_tsc();
}

bool doorbell_watch_end(struct doorbell_watch *watch, uint64_t *latency, uint32_t count)
{
	uint64_t elapsed = read_tsc() - watch->tsc;
	uint64_t exits = vcpu_stat(watch->target, "exits") - watch->exits;
	struct figures figures = figures_of(latency, count);

	fprintf(stderr, "# target: %u interrupts, %llu exits in %llu ticks; latency min %llu, median %llu\n",
		count, (unsigned long long)exits, (unsigned long long)elapsed,
		(unsigned long long)figures.min, (unsigned long long)figures.median);
	if (!accel_check()->active || host_cpu_count() <= watch->target->vm->vcpu_count)
		return true;
	if (counters_per_cpu()) {
		uint64_t rung = doorbells_at(watch->target->pcpu) - watch->rung;

		fprintf(stderr, "# target: %llu doorbells\n", (unsigned long long)rung);
		/* The target sometimes is outside the guest and needs no doorbell. */
		return rung * 4 >= count;
	}
	return latency[(count - 1) / 10] * 8 < elapsed / (exits + 1);
}
