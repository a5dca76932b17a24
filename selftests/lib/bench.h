/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line of a program that measures: [-n COUNT] [NAME...].
 */
#ifndef SELFTESTS_LIB_BENCH_H
#define SELFTESTS_LIB_BENCH_H

#include <stdint.h>

struct bench {
	const char *name;
	/* Takes `count` samples and prints the figures. */
	void (*measure)(const struct bench *bench, uint32_t count);
	const void *arg;		/* for measure */
};

/*
 * main(): if acceleration is as expected, measures the benches that the command line names, or
 * all of them, in the order of the array.  Returns the exit status: 0; 1 if acceleration is not
 * as expected; 2 for a wrong command line; 4 if this machine has no acceleration.
 */
int bench_main(int argc, char **argv, const struct bench *benches, unsigned int bench_count,
	       uint32_t max_count);

#endif
