/* SPDX-License-Identifier: GPL-2.0-only */
/* Median, p99 and friends of a set of samples. */
#ifndef SELFTESTS_LIB_FIGURES_H
#define SELFTESTS_LIB_FIGURES_H

#include <stddef.h>
#include <stdint.h>

struct figures {
	uint64_t median, p99, mean, min, max;
};

/* Sorts the samples in place; count must not be zero. */
struct figures figures_of(uint64_t *samples, size_t count);

#endif
