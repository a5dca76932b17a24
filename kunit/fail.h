/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocations that fail. The kernel fails number N of a task's allocations, from when it is told,
 * whoever makes them: vapic, KVM or what both call. What must be set before, for all allocations to
 * count, kunit/in-host sets.
 */
#ifndef VAPIC_KUNIT_FAIL_H
#define VAPIC_KUNIT_FAIL_H

#include <linux/types.h>

/* From now on, allocation @number of this task fails; the first is 1. */
void kunit_fail_allocation(unsigned int number);

/*
 * Which one to try after @number, by tests that go through all: each of the first ones, then fewer and
 * fewer. Those of a function that ftrace redirects come once for each function.
 */
unsigned int kunit_next_allocation(unsigned int number);

/* No more. True if that allocation was reached, so that it has failed. */
bool kunit_allocation_failed(void);

#endif
