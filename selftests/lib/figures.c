// SPDX-License-Identifier: GPL-2.0-only
/* Sorts samples and picks the figures that reports use (nearest rank). */
#include "figures.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct figures figures_of(uint64_t *samples, size_t count)
{
	uint64_t sum = 0;

	qsort(samples, count, sizeof(*samples), compare);
	for (size_t i = 0; i < count; i++)
		sum += samples[i];
	return (struct figures){
		.median = samples[(count - 1) / 2],
		.p99 = samples[(count * 99 + 99) / 100 - 1],
		.mean = sum / count,
		.min = samples[0],
		.max = samples[count - 1],
	};
}
