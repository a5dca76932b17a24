// SPDX-License-Identifier: GPL-2.0-only
/* Records trace events by tracefs. */
#define _GNU_SOURCE
#include "trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

#define TRACEFS	"/sys/kernel/tracing"

static char instance[96];

/* The path of a file of the instance, valid until the next call. */
static const char *path_of(const char *event, const char *name)
{
	static char path[256];

	if (event)
		snprintf(path, sizeof(path), "%s/events/%s/%s", instance, event, name);
	else
		snprintf(path, sizeof(path), "%s/%s", instance, name);
	return path;
}

static void write_to(const char *event, const char *name, const char *text)
{
	const char *path = path_of(event, name);
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
		vm_fail(NULL, "cannot write '%s' to %s: %s", text, path, strerror(errno));
}

/* All of a file, to be freed. */
static char *content_of(const char *event, const char *name)
{
	const char *path = path_of(event, name);
	FILE *file = fopen(path, "re");
	char *content = NULL;
	size_t size = 0;

	if (!file)
		vm_fail(NULL, "%s: %s", path, strerror(errno));
	/* Text has no such character; an empty file is one that was not read. */
	if (getdelim(&content, &size, '\0', file) < 0)
		vm_fail(NULL, "%s: %s", path, strerror(errno));
	fclose(file);
	return content;
}

const char *trace_unavailable(void)
{
	int fd;

	if (geteuid())
		return "only root may record events";
	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	/* A kernel that is locked down lets nobody open such a file. */
	fd = open(TRACEFS "/available_events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "there is no tracefs, or it may not be used";
	close(fd);
	return NULL;
}

#define PREFIX	"selftest-"

void trace_clean_up(void)
{
	DIR *all = opendir(TRACEFS "/instances");
	struct dirent *entry;

	while (all && (entry = readdir(all))) {
		int pid;

		if (sscanf(entry->d_name, PREFIX "%d", &pid) != 1 || !kill(pid, 0))
			continue;
		snprintf(instance, sizeof(instance), TRACEFS "/instances/" PREFIX "%d", pid);
		/* Its events are off then, too. */
		rmdir(instance);
	}
	if (all)
		closedir(all);
}

void trace_own_alone(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_to(NULL, "options/event-fork", "1");
	write_to(NULL, "set_event_pid", pid);
}

void trace_begin(void)
{
	snprintf(instance, sizeof(instance), TRACEFS "/instances/" PREFIX "%d", getpid());
	if (mkdir(instance, 0700))
		vm_fail(NULL, "%s: %s", instance, strerror(errno));
	/* Each event has a number of its own, whichever processor it happens on. */
	write_to(NULL, "trace_clock", "counter");
}

void trace_end(void)
{
	write_to(NULL, "events/enable", "0");
	if (rmdir(instance))
		vm_fail(NULL, "%s: %s", instance, strerror(errno));
}

bool trace_has(const char *event)
{
	return !access(path_of(event, "enable"), F_OK);
}

void trace_on(const char *event, const char *filter)
{
	write_to(event, "filter", filter ? filter : "0");
	write_to(event, "enable", "1");
}

void trace_off(const char *event)
{
	write_to(event, "enable", "0");
}

void trace_clear(void)
{
	write_to(NULL, "trace", "");
}

static unsigned int search(unsigned int after, bool count, const char *text)
{
	char *content = content_of(NULL, "trace"), *rest = content, *line;
	unsigned int found = 0;

	for (unsigned int place = 1; (line = strsep(&rest, "\n")); place++) {
		if (*line == '#' || place <= after || !strstr(line, text))
			continue;
		found = count ? found + 1 : place;
		if (!count)
			break;
	}
	free(content);
	return found;
}

unsigned int trace_count(const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return search(0, true, text);
}

unsigned int trace_place(unsigned int after, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return search(after, false, text);
}

void trace_print(void)
{
	char *content = content_of(NULL, "trace"), *rest = content, *line;

	while ((line = strsep(&rest, "\n")))
		if (*line && *line != '#')
			fprintf(stderr, "# %s\n", line);
	free(content);
}

char *trace_format_of(const char *event)
{
	return content_of(event, "format");
}
