// SPDX-License-Identifier: GPL-2.0-only
/* Time, processors and random numbers of the host's side of a test. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

/* A gap between two calls counts as this much at most. */
#define PATIENCE_STEP_US	100000

uint64_t host_clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

uint64_t patience_us(void)
{
	static _Thread_local uint64_t last, sum;
	uint64_t now = host_clock_us();

	sum += now - last < PATIENCE_STEP_US ? now - last : PATIENCE_STEP_US;
	last = now;
	return sum;
}

void sleep_us(unsigned int us)
{
	struct timespec t = { .tv_nsec = us % 1000000 * 1000L, .tv_sec = us / 1000000 };

	nanosleep(&t, NULL);
}

uint64_t vm_timeout_us(void)
{
	const char *text = getenv("VAPIC_TIMEOUT");
	unsigned long long seconds;
	char *end;

	if (!text)
		return 20 * 1000000;
	seconds = strtoull(text, &end, 0);
	if (end == text || *end || !seconds)
		vm_fail(NULL, "VAPIC_TIMEOUT: '%s' is no number of seconds", text);
	return seconds * 1000000;
}

/* Of the process, because its threads are pinned. */
static cpu_set_t host_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(getpid(), sizeof(set), &set))
		vm_fail(NULL, "processors of this process: %s", strerror(errno));
	return set;
}

unsigned int host_cpu_count(void)
{
	cpu_set_t set = host_cpus();

	return CPU_COUNT(&set);
}

int host_cpu(unsigned int n)
{
	cpu_set_t set = host_cpus();

	n %= CPU_COUNT(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && n-- == 0)
			return cpu;
	return 0;
}

uint64_t host_random_state = 0x2545f4914f6cdd1dULL;

uint64_t host_random(void)
{
	uint64_t x = host_random_state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	host_random_state = x;
	return x;
}
