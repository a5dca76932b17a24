/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulator's counters of what a step costs besides instructions (testbed/cost.h), of the
 * CPU where a step begins. Where there is no emulator, all are zero.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <linux/io.h>
#include <linux/pci.h>
#include <linux/smp.h>

#include "cost.h"

/* Its BAR holds words of 64 bits: testbed/bochs/vmx-stats.h says which. */
#define STATS_VENDOR 0x1234
#define STATS_DEVICE 0x5a1c

static struct pci_dev *stats_device;
static void __iomem *stats_bar, *first_row;
static u64 row_size;

/* Of the sample that is being taken, and where its CPU's counters are. */
static u64 spent[COST_KINDS];
static const volatile void __iomem *counting;

static inline bool counters_are_there(void)
{
	return stats_bar;
}

static inline u64 stats_word(unsigned int index)
{
	return readq(stats_bar + index * sizeof(u64));
}

static inline void counters_open(void)
{
	stats_device = pci_get_device(STATS_VENDOR, STATS_DEVICE, NULL);
	if (!stats_device || pci_enable_device(stats_device))
		return;
	stats_bar = pci_iomap(stats_device, 0, 0);
	if (!stats_bar)
		return;
	row_size = stats_word(5);
	first_row = stats_bar + stats_word(4) + (stats_word(3) - COST_KINDS) * sizeof(u64);
}

static inline void counters_close(void)
{
	if (stats_bar)
		pci_iounmap(stats_device, stats_bar);
	pci_dev_put(stats_device);
}

/* The measured step may have several parts: what each costs adds up. */
static inline void counters_restart(void)
{
	memset(spent, 0, sizeof(spent));
}

static __always_inline void counters_begin(void)
{
	unsigned int kind;

	if (!stats_bar)
		return;
	counting = first_row + raw_smp_processor_id() * row_size;
	for (kind = 0; kind < COST_KINDS; kind++)
		spent[kind] -= readq(counting + kind * sizeof(u64));
}

static __always_inline void counters_end(void)
{
	unsigned int kind;

	if (!stats_bar)
		return;
	for (kind = 0; kind < COST_KINDS; kind++)
		spent[kind] += readq(counting + kind * sizeof(u64));
}

static inline void counters_take(u64 *costs)
{
	memcpy(costs, spent, sizeof(spent));
}

#endif
