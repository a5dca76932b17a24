// SPDX-License-Identifier: GPL-2.0-only
/* Reads the key=value lines of /sys/kernel/vapic/vcpus. */
#include "vapic_counts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_counter(const char *key)
{
	return strcmp(key, "pid") && strcmp(key, "vcpu") && strcmp(key, "active") &&
	       strcmp(key, "inhibits");
}

static void add(struct vapic_counts *counts, const char *name, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < counts->count; i++)
		if (!strcmp(counts->items[i].name, name))
			break;
	if (i == VAPIC_COUNTS_MAX || strlen(name) >= sizeof(counts->items[i].name))
		return;
	if (i == counts->count) {
		strcpy(counts->items[i].name, name);
		counts->items[i].value = 0;
		counts->count++;
	}
	counts->items[i].value += value;
}

void vapic_counts_read(struct vapic_counts *counts)
{
	FILE *file = fopen("/sys/kernel/vapic/vcpus", "re");
	char line[1024], mine[32];

	counts->count = 0;
	if (!file)
		return;
	/* This is the first field of a line; the second field tells a vCPU from its VM. */
	snprintf(mine, sizeof(mine), "pid=%d vcpu=", getpid());
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, mine, strlen(mine)))
			continue;
		for (char *key = strtok(line, " \n"); key; key = strtok(NULL, " \n")) {
			char *value = strchr(key, '=');

			if (!value)
				continue;
			*value++ = '\0';
			if (is_counter(key))
				add(counts, key, strtoull(value, NULL, 0));
		}
	}
	fclose(file);
}

uint64_t vapic_counts_get(const struct vapic_counts *counts, const char *name)
{
	for (unsigned int i = 0; i < counts->count; i++)
		if (!strcmp(counts->items[i].name, name))
			return counts->items[i].value;
	return 0;
}
