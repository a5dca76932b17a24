// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds the PCI device of an emulated host that shows its counters, and maps them.
 * Both emulators use the same layout.  The device of the Intel emulator also has the
 * names; those of the AMD emulator are in its header, if the testbed is present at
 * build time.
 */
#include "counters.h"

#include <stdbool.h>
#include <stdio.h>

#ifdef HAVE_AVIC_STATS_H

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "avic-stats.h"
#include "pci.h"

/* The device of testbed/bochs: its magic, and the word of its header that says where names are. */
#define VMX_STATS_MAGIC		0x5354415453584d56ULL	/* "VMXSTATS" */
#define VMX_WORD_FIRST_NAME	6
#define VMX_WORD_NAME_SIZE	7

static const volatile uint64_t *bar;

static const volatile uint64_t *map_device(const char *device)
{
	char path[512];
	struct stat status;
	void *map;
	int fd;

	if (!sysfs_write(device, "enable", "1"))
		fprintf(stderr, "# cannot enable %s\n", device);
	snprintf(path, sizeof(path), "%s/resource0", device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status))
		return NULL;
	map = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static bool layout_is_known(void)
{
	if (bar[AVIC_WORD_VERSION] != AVIC_STATS_VERSION)
		return false;
	return bar[AVIC_WORD_MAGIC] == VMX_STATS_MAGIC ||
	       (bar[AVIC_WORD_MAGIC] == AVIC_STATS_MAGIC &&
		bar[AVIC_WORD_COUNTERS] == AVIC_STAT_COUNT);
}

static void find_device(void)
{
	static bool searched;
	char device[PCI_PATH_SIZE];

	if (searched)
		return;
	searched = true;
	if (!pci_find(AVIC_STATS_PCI_VENDOR, AVIC_STATS_PCI_DEVICE, device))
		return;
	bar = map_device(device);
	if (bar && !layout_is_known()) {
		fprintf(stderr, "# the emulator's counters have another layout than this program\n");
		bar = NULL;
	}
}

unsigned int counters_per_cpu(void)
{
	find_device();
	return bar ? bar[AVIC_WORD_COUNTERS] : 0;
}

void counter_name(unsigned int counter, char *name)
{
	const volatile char *from;

	if (bar[AVIC_WORD_MAGIC] == AVIC_STATS_MAGIC) {
		avic_stat_name(counter, name);
		return;
	}
	from = (const volatile char *)bar + bar[VMX_WORD_FIRST_NAME] +
	       counter * bar[VMX_WORD_NAME_SIZE];
	for (unsigned int i = 0; i < COUNTER_NAME_SIZE; i++)
		name[i] = i < bar[VMX_WORD_NAME_SIZE] ? from[i] : '\0';
}

bool emulator_reseed(uint32_t seed)
{
	find_device();
	if (!bar || bar[AVIC_WORD_MAGIC] != VMX_STATS_MAGIC)
		return false;
	/* All that its device lets anybody write. */
	*(volatile uint32_t *)(uintptr_t)bar = seed;
	return true;
}

void counters_read(unsigned int pcpu, uint64_t *row)
{
	uint64_t first = bar[AVIC_WORD_FIRST_ROW] + pcpu * bar[AVIC_WORD_ROW_SIZE];

	for (unsigned int i = 0; i < counters_per_cpu(); i++)
		row[i] = pcpu < bar[AVIC_WORD_CPUS] ? bar[first / 8 + i] : 0;
}

_Static_assert(COST_KINDS <= COUNTERS_MAX_COSTS, "there is room for all costs");

unsigned int counters_costs(void)
{
	return counters_per_cpu() ? COST_KINDS : 0;
}

void counters_read_costs(unsigned int pcpu, uint64_t *costs)
{
	uint64_t row = bar[AVIC_WORD_FIRST_ROW] + pcpu * bar[AVIC_WORD_ROW_SIZE];
	uint64_t first = row / 8 + bar[AVIC_WORD_COUNTERS] - COST_KINDS;

	for (unsigned int i = 0; i < COST_KINDS; i++)
		costs[i] = bar[first + i];
}

uint64_t counters_total(const char *name)
{
	unsigned int count = counters_per_cpu(), i;
	char this[COUNTER_NAME_SIZE];
	uint64_t total = 0;

	for (i = 0; i < count; i++) {
		counter_name(i, this);
		if (!strcmp(this, name))
			break;
	}
	for (unsigned int cpu = 0; i < count && cpu < bar[AVIC_WORD_CPUS]; cpu++)
		total += bar[(bar[AVIC_WORD_FIRST_ROW] + cpu * bar[AVIC_WORD_ROW_SIZE]) / 8 + i];
	return total;
}

#else

bool emulator_reseed(uint32_t seed)
{
	(void)seed;
	return false;
}

uint64_t counters_total(const char *name)
{
	(void)name;
	return 0;
}

unsigned int counters_per_cpu(void)
{
	return 0;
}

unsigned int counters_costs(void)
{
	return 0;
}

void counters_read_costs(unsigned int pcpu, uint64_t *costs)
{
	(void)pcpu;
	(void)costs;
}

void counter_name(unsigned int counter, char *name)
{
	(void)counter;
	name[0] = '\0';
}

void counters_read(unsigned int pcpu, uint64_t *row)
{
	(void)pcpu;
	(void)row;
}

#endif
