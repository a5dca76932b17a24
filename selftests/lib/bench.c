// SPDX-License-Identifier: GPL-2.0-only
#include "bench.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel.h"

#define DEFAULT_COUNT	200

static int usage(const char *program)
{
	fprintf(stderr, "Usage: %s [-n COUNT] [NAME...]\n", program);
	return 2;
}

/* Whether this bench is selected; without names, every bench is. */
static bool is_named(const char *name, char **names)
{
	if (!*names)
		return true;
	while (*names)
		if (!strcmp(*names++, name))
			return true;
	return false;
}

int bench_main(int argc, char **argv, const struct bench *benches, unsigned int bench_count,
	       uint32_t max_count)
{
	uint32_t count = DEFAULT_COUNT;
	unsigned int measured = 0;
	int option;

	while ((option = getopt(argc, argv, "n:")) != -1) {
		if (option != 'n')
			return usage(argv[0]);
		count = strtoul(optarg, NULL, 0);
	}
	if (!count || count > max_count)
		return usage(argv[0]);
	fprintf(stderr, "# %s\n", accel_check()->reason);
	if (accel_check()->verdict != ACCEL_OK)
		return accel_check()->verdict == ACCEL_UNAVAILABLE ? 4 : 1;
	for (unsigned int i = 0; i < bench_count; i++) {
		if (!is_named(benches[i].name, argv + optind))
			continue;
		fprintf(stderr, "# %s\n", benches[i].name);
		benches[i].measure(&benches[i], count);
		measured++;
	}
	return measured ? 0 : usage(argv[0]);
}
