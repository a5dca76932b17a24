// SPDX-License-Identifier: GPL-2.0-only
/* Counts a tracepoint through perf_event_open(), as perf stat does. */
#include "tracepoint.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACEFS	"/sys/kernel/tracing"

bool tracepoints_are_forbidden(void)
{
	return geteuid() && access(TRACEFS "/events", R_OK);
}

static unsigned long long id_of(struct vm *vm, const char *name)
{
	unsigned long long id;
	char path[128];
	FILE *file;
	int fields;

	snprintf(path, sizeof(path), TRACEFS "/events/%s/id", name);
	file = fopen(path, "r");
	/* tracefs may not be mounted yet. */
	if (!file && !mount("tracefs", TRACEFS, "tracefs", 0, NULL))
		file = fopen(path, "r");
	if (!file)
		vm_fail(vm, "%s: %s", path, strerror(errno));
	fields = fscanf(file, "%llu", &id);
	fclose(file);
	if (fields != 1)
		vm_fail(vm, "%s holds no number", path);
	return id;
}

int tracepoint_count(struct vm *vm, const char *name)
{
	struct perf_event_attr event = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(event),
		.config = id_of(vm, name),
		.inherit = 1,
	};
	int counter = syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);

	if (counter < 0)
		vm_fail(vm, "tracepoint %s: %s", name, strerror(errno));
	return counter;
}

uint64_t tracepoint_counted(struct vm *vm, int counter)
{
	uint64_t count;

	if (read(counter, &count, sizeof(count)) != sizeof(count))
		vm_fail(vm, "a tracepoint's count: %s", strerror(errno));
	return count;
}
