// SPDX-License-Identifier: GPL-2.0-only
/* See processors.h. */
#define _GNU_SOURCE
#include "processors.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

/*
 * The processor that is offline, or is to go, or 0 for none, because processor 0 never goes offline.
 */
static volatile int offline;

static int removable[CPU_SETSIZE];
static unsigned int removable_count;

/* The runtime of each processor's fair server, in nanoseconds; empty if none can be stopped. */
static char fair_runtimes[CPU_SETSIZE][24];

bool file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return ok;
}

const char *file_read(const char *path, char *text, int size)
{
	FILE *file = fopen(path, "re");

	text[0] = '\0';
	if (file) {
		if (fgets(text, size, file))
			text[strcspn(text, "\n")] = '\0';
		fclose(file);
	}
	return text;
}

static const char *online_file(int cpu)
{
	static char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	return path;
}

unsigned int removable_find(void)
{
	removable_count = 0;
	for (unsigned int i = 1; i < host_cpu_count(); i++)
		if (!access(online_file(host_cpu(i)), W_OK))
			removable[removable_count++] = host_cpu(i);
	return removable_count;
}

int removable_cpu(unsigned int n)
{
	return removable[n % removable_count];
}

void processor_set_online(struct vm *vm, int cpu, bool on)
{
	/* A signal that comes meanwhile is handled when it has gone. */
	if (!on)
		offline = cpu;
	if (!file_write(online_file(cpu), on ? "1" : "0"))
		vm_fail(vm, "processor %d does not go %sline: %s", cpu, on ? "on" : "off",
			strerror(errno));
	if (on)
		offline = 0;
}

void processors_restore(void)
{
	if (offline)
		file_write(online_file(offline), "1");
	offline = 0;
}

static void (*restore_killed)(void);

static void on_end(int signal)
{
	restore_killed();
	/* SA_RESETHAND has put the default back. */
	raise(signal);
}

void restore_if_killed(void (*restore)(void))
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
	struct sigaction action = {.sa_handler = on_end, .sa_flags = SA_RESETHAND};

	restore_killed = restore;
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

static const char *fair_server_file(int cpu)
{
	static char path[80];

	snprintf(path, sizeof(path), "/sys/kernel/debug/sched/fair_server/cpu%d/runtime", cpu);
	return path;
}

void fair_servers_stop(void)
{
	for (int cpu = 1; cpu < CPU_SETSIZE; cpu++) {
		file_read(fair_server_file(cpu), fair_runtimes[cpu], sizeof(fair_runtimes[cpu]));
		if (fair_runtimes[cpu][0])
			file_write(fair_server_file(cpu), "0");
	}
}

void fair_servers_start(void)
{
	for (int cpu = 1; cpu < CPU_SETSIZE; cpu++)
		if (fair_runtimes[cpu][0])
			file_write(fair_server_file(cpu), fair_runtimes[cpu]);
}
