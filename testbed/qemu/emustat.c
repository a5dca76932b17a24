// SPDX-License-Identifier: GPL-2.0-only
/*
 * emustat: what the emulated AVIC counted, read inside the emulated host.
 *
 *   emustat [--json] [--all]            totals since the machine started
 *   emustat [--json] [--all] -- CMD...  what was counted while CMD ran
 *   emustat --seed N                    have the CPUs take turns by another seed, on the
 *                                       emulated Intel machine
 *
 * One line `cpu name value` per counter and CPU, then `total name value`; counters
 * that are zero are left out unless --all.  With a command, exits with its status.
 * The figures are the emulator's own, so software under test has no part in them.
 */

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "avic-stats.h"

#define VMX_STATS_MAGIC	0x5354415453584d56ull	/* "VMXSTATS" */

#define PCI_DEVICES "/sys/bus/pci/devices"

/* All counters at one time, row by row. */
struct sample {
	uint64_t *value;
};

static volatile uint64_t *bar;
static unsigned int cpus, counters;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list args;

	fputs("emustat: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(127);
}

/* The number in sysfs file @name of PCI device @device, or -1. */
static long device_number(const char *device, const char *name)
{
	char path[512], text[32];
	FILE *file;
	long number = -1;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", device, name);
	file = fopen(path, "r");
	if (!file)
		return -1;
	if (fgets(text, sizeof(text), file))
		number = strtol(text, NULL, 0);
	fclose(file);
	return number;
}

/* Without a driver nobody has let the device decode its BAR. */
static void device_enable(const char *device)
{
	char path[512];
	int fd;

	if (device_number(device, "enable") > 0)
		return;
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/enable", device);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		die("cannot enable %s: %s", path, strerror(errno));
	close(fd);
}

static void map_bar(const char *device)
{
	char path[512];
	struct stat st;
	int fd;

	device_enable(device);
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource0", device);
	fd = open(path, O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		die("cannot open %s: %s", path, strerror(errno));
	bar = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bar == MAP_FAILED)
		die("cannot map %s: %s", path, strerror(errno));
	close(fd);
}

static void find_device(void)
{
	DIR *dir = opendir(PCI_DEVICES);
	struct dirent *entry;

	while (dir && !bar && (entry = readdir(dir))) {
		if (device_number(entry->d_name, "vendor") == AVIC_STATS_PCI_VENDOR &&
		    device_number(entry->d_name, "device") == AVIC_STATS_PCI_DEVICE)
			map_bar(entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (!bar)
		die("no avic-stats device: not an emulated AVIC machine");
	if (bar[AVIC_WORD_VERSION] != AVIC_STATS_VERSION ||
	    !(bar[AVIC_WORD_MAGIC] == VMX_STATS_MAGIC ||
	      (bar[AVIC_WORD_MAGIC] == AVIC_STATS_MAGIC &&
	       bar[AVIC_WORD_COUNTERS] == AVIC_STAT_COUNT)))
		die("the emulator's counters are of another version");
	cpus = bar[AVIC_WORD_CPUS];
	counters = bar[AVIC_WORD_COUNTERS];
}

/* The emulated Intel CPU brings its names along, see testbed/bochs/vmx-stats.h. */
static void stat_name(unsigned int stat, char *name)
{
	uint64_t word[48 / sizeof(uint64_t)];
	unsigned int i;

	if (bar[AVIC_WORD_MAGIC] == AVIC_STATS_MAGIC) {
		avic_stat_name(stat, name);
		return;
	}
	for (i = 0; i < 48 / sizeof(uint64_t); i++)
		word[i] = bar[(bar[6] + stat * bar[7]) / sizeof(uint64_t) + i];
	memcpy(name, word, sizeof(word));
}

static struct sample take_sample(void)
{
	struct sample sample = {
		.value = calloc((size_t)cpus * counters, sizeof(uint64_t)),
	};
	uint64_t first = bar[AVIC_WORD_FIRST_ROW] / sizeof(uint64_t);
	uint64_t step = bar[AVIC_WORD_ROW_SIZE] / sizeof(uint64_t);
	unsigned int cpu, stat;

	if (!sample.value)
		die("out of memory");
	for (cpu = 0; cpu < cpus; cpu++)
		for (stat = 0; stat < counters; stat++)
			sample.value[cpu * counters + stat] =
				bar[first + cpu * step + stat];
	return sample;
}

static uint64_t counted(const struct sample *from, const struct sample *to,
			unsigned int cpu, unsigned int stat)
{
	unsigned int i = cpu * counters + stat;

	return to->value[i] - (from->value ? from->value[i] : 0);
}

static uint64_t counted_total(const struct sample *from, const struct sample *to,
			      unsigned int stat)
{
	uint64_t sum = 0;
	unsigned int cpu;

	for (cpu = 0; cpu < cpus; cpu++)
		sum += counted(from, to, cpu, stat);
	return sum;
}

/* One CPU's row; the sum of all for cpu == cpus. */
static void print_row(const struct sample *from, const struct sample *to,
		      unsigned int cpu, bool json, bool all)
{
	const char *separator = "";
	unsigned int stat;
	uint64_t value;
	char name[48];

	for (stat = 0; stat < counters; stat++) {
		value = cpu < cpus ? counted(from, to, cpu, stat) :
				     counted_total(from, to, stat);
		if (!value && !all)
			continue;
		stat_name(stat, name);
		if (json) {
			printf("%s\"%s\": %" PRIu64, separator, name, value);
			separator = ", ";
		} else if (cpu < cpus) {
			printf("%u %s %" PRIu64 "\n", cpu, name, value);
		} else {
			printf("total %s %" PRIu64 "\n", name, value);
		}
	}
}

static void print(const struct sample *from, const struct sample *to, bool json,
		  bool all)
{
	unsigned int cpu;

	if (json)
		printf("{\"version\": %d, \"cpus\": [", AVIC_STATS_VERSION);
	for (cpu = 0; cpu < cpus; cpu++) {
		if (json)
			printf("%s{", cpu ? ", " : "");
		print_row(from, to, cpu, json, all);
		if (json)
			printf("}");
	}
	if (json)
		printf("], \"total\": {");
	print_row(from, to, cpus, json, all);
	if (json)
		printf("}}\n");
}

/* The status a shell would report for @argv. */
static int run(char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("cannot fork: %s", strerror(errno));
	if (!pid) {
		execvp(argv[0], argv);
		fprintf(stderr, "emustat: %s: %s\n", argv[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("cannot wait: %s", strerror(errno));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int seed(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (!*text || *end || value > UINT32_MAX)
		die("--seed %s: must be 0 to %u", text, UINT32_MAX);
	find_device();
	if (bar[AVIC_WORD_MAGIC] != VMX_STATS_MAGIC)
		die("--seed: the CPUs of this machine take no turns");
	*(volatile uint32_t *)bar = value;
	return 0;
}

int main(int argc, char **argv)
{
	struct sample before = { NULL }, after;
	bool json = false, all = false;
	int status = 0;
	int i;

	if (argc == 3 && !strcmp(argv[1], "--seed"))
		return seed(argv[2]);
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (!strcmp(argv[i], "--all"))
			all = true;
		else
			die("usage: emustat [--json] [--all] [-- command...] | --seed N");
	}
	if (i < argc && !argv[++i])
		die("no command after --");

	find_device();
	if (i < argc) {
		before = take_sample();
		status = run(argv + i);
	}
	after = take_sample();
	print(&before, &after, json, all);
	return status;
}
