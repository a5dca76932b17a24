/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the emulated AVIC counts, and how the counters lie in BAR 0 of the
 * avic-stats PCI device.  Shared by the emulator and by emustat, the reader that
 * runs inside the emulated host; so nothing here depends on either.
 *
 * BAR 0 is read-only and little-endian: a header of eight 64-bit words, then one
 * row of 64-bit counters per CPU, in the order of enum avic_stat.
 */
#ifndef AVIC_STATS_H
#define AVIC_STATS_H

#include <stdint.h>
#include <stdio.h>

#include "cost.h"

#define AVIC_STATS_PCI_VENDOR	0x1234
#define AVIC_STATS_PCI_DEVICE	0x5a1c

#define AVIC_STATS_MAGIC	0x5441545343495641ull	/* "AVICSTAT" */
#define AVIC_STATS_VERSION	1

/* The header's words; the rest of its 64 bytes is zero. */
enum avic_stats_word {
	AVIC_WORD_MAGIC,
	AVIC_WORD_VERSION,
	AVIC_WORD_CPUS,
	AVIC_WORD_COUNTERS,		/* counters in a row */
	AVIC_WORD_FIRST_ROW,		/* byte offset of CPU 0's row */
	AVIC_WORD_ROW_SIZE,		/* bytes from one row to the next */
	AVIC_STATS_HEADER_WORDS = 8,
};

/* Exit codes below this have a counter each, and so have 400h to 403h. */
#define AVIC_STATS_LOW_EXITS	0xa8
#define AVIC_STATS_HIGH_EXITS	4
#define AVIC_STATS_IPI_IDS	5
/* One counter per 16-byte register slot of the APIC page. */
#define AVIC_STATS_REGISTERS	256

enum avic_stat {
	AVIC_STAT_VMRUN,		/* guest entries that passed the checks */
	AVIC_STAT_EXIT,			/* #VMEXITs of any kind */
	AVIC_STAT_VIRTUAL_INTERRUPT,	/* taken from the backing page */
	AVIC_STAT_EOI,			/* done without an exit */
	AVIC_STAT_TPR,			/* TPR or CR8 writes without an exit */
	AVIC_STAT_READ,			/* APIC page reads without an exit */
	/* IPIs completed without an exit, by how the ICR named the target. */
	AVIC_STAT_IPI_SELF,
	AVIC_STAT_IPI_PHYSICAL,
	AVIC_STAT_IPI_LOGICAL,
	AVIC_STAT_IPI_BROADCAST,
	/* IRR bits set for other or own vCPUs by IPIs, exit or not. */
	AVIC_STAT_IPI_TARGET,
	AVIC_STAT_DOORBELL_IPI,		/* rung by an IPI */
	AVIC_STAT_DOORBELL_MSR,		/* rung by WRMSR */
	/* Counted where they arrive: with a guest running on AVIC, or without. */
	AVIC_STAT_DOORBELL_RUNNING,
	AVIC_STAT_DOORBELL_LOST,
	/*
	 * By the IOMMU, which is no CPU: in the first one's row, and written by whoever holds
	 * the BQL.  Posted interrupts are the doorbells, the log's entries, those that the log
	 * had no room for, and those for a vCPU that does not run with no wish for an entry.
	 */
	AVIC_STAT_DOORBELL_IOMMU,
	AVIC_STAT_IOMMU_REMAPPED,	/* with a 128-bit entry */
	AVIC_STAT_IOMMU_POSTED,
	AVIC_STAT_IOMMU_GA_LOG,
	AVIC_STAT_IOMMU_GA_LOST,
	AVIC_STAT_IOMMU_QUIET,

	AVIC_STAT_EXIT_LOW,
	AVIC_STAT_EXIT_HIGH = AVIC_STAT_EXIT_LOW + AVIC_STATS_LOW_EXITS,
	AVIC_STAT_EXIT_INVALID = AVIC_STAT_EXIT_HIGH + AVIC_STATS_HIGH_EXITS,
	AVIC_STAT_EXIT_OTHER,

	AVIC_STAT_INCOMPLETE_IPI,	/* exits 401h by id */
	AVIC_STAT_NOACCEL_READ = AVIC_STAT_INCOMPLETE_IPI + AVIC_STATS_IPI_IDS,
	AVIC_STAT_NOACCEL_WRITE = AVIC_STAT_NOACCEL_READ + AVIC_STATS_REGISTERS,

	/* By enum cost_kind, which is last in a row. */
	AVIC_STAT_COST = AVIC_STAT_NOACCEL_WRITE + AVIC_STATS_REGISTERS,

	AVIC_STAT_COUNT = AVIC_STAT_COST + COST_KINDS,
};

/* Names of the exits that are counted by name; null for the others. */
static inline const char *avic_exit_name(unsigned int code)
{
	switch (code) {
	case 0x060: return "intr";
	case 0x061: return "nmi";
	case 0x062: return "smi";
	case 0x063: return "init";
	case 0x064: return "vintr";
	case 0x06e: return "rdtsc";
	case 0x06f: return "rdpmc";
	case 0x072: return "cpuid";
	case 0x074: return "iret";
	case 0x077: return "pause";
	case 0x078: return "hlt";
	case 0x079: return "invlpg";
	case 0x07b: return "ioio";
	case 0x07c: return "msr";
	case 0x07d: return "task_switch";
	case 0x07f: return "shutdown";
	case 0x080: return "vmrun";
	case 0x081: return "vmmcall";
	case 0x08a: return "monitor";
	case 0x08b: return "mwait";
	case 0x08d: return "xsetbv";
	case 0x400: return "npf";
	case 0x401: return "avic_incomplete_ipi";
	case 0x402: return "avic_noaccel";
	default:    return NULL;
	}
}

/* Write the name of counter @stat to @name, which has room for 48 bytes. */
static inline void avic_stat_name(unsigned int stat, char *name)
{
	static const char *const base[] = {
		[AVIC_STAT_VMRUN] = "vmrun",
		[AVIC_STAT_EXIT] = "exit",
		[AVIC_STAT_VIRTUAL_INTERRUPT] = "virtual_interrupt",
		[AVIC_STAT_EOI] = "eoi",
		[AVIC_STAT_TPR] = "tpr",
		[AVIC_STAT_READ] = "read",
		[AVIC_STAT_IPI_SELF] = "ipi.self",
		[AVIC_STAT_IPI_PHYSICAL] = "ipi.physical",
		[AVIC_STAT_IPI_LOGICAL] = "ipi.logical",
		[AVIC_STAT_IPI_BROADCAST] = "ipi.broadcast",
		[AVIC_STAT_IPI_TARGET] = "ipi.targets",
		[AVIC_STAT_DOORBELL_IPI] = "doorbell.ipi",
		[AVIC_STAT_DOORBELL_MSR] = "doorbell.msr",
		[AVIC_STAT_DOORBELL_RUNNING] = "doorbell.running",
		[AVIC_STAT_DOORBELL_LOST] = "doorbell.lost",
		[AVIC_STAT_DOORBELL_IOMMU] = "doorbell.iommu",
		[AVIC_STAT_IOMMU_REMAPPED] = "iommu.remapped",
		[AVIC_STAT_IOMMU_POSTED] = "iommu.posted",
		[AVIC_STAT_IOMMU_GA_LOG] = "iommu.ga_log",
		[AVIC_STAT_IOMMU_GA_LOST] = "iommu.ga_lost",
		[AVIC_STAT_IOMMU_QUIET] = "iommu.quiet",
	};
	static const char *const cost[COST_KINDS] = { COST_NAMES };
	static const char *const id[AVIC_STATS_IPI_IDS] = {
		"type", "not_running", "target", "backing_page", "vector",
	};
	unsigned int code;

	if (stat < AVIC_STAT_EXIT_LOW) {
		snprintf(name, 48, "%s", base[stat]);
	} else if (stat < AVIC_STAT_EXIT_INVALID) {
		if (stat < AVIC_STAT_EXIT_HIGH)
			code = stat - AVIC_STAT_EXIT_LOW;
		else
			code = 0x400 + stat - AVIC_STAT_EXIT_HIGH;
		if (avic_exit_name(code))
			snprintf(name, 48, "exit.%s", avic_exit_name(code));
		else
			snprintf(name, 48, "exit.0x%03x", code);
	} else if (stat < AVIC_STAT_INCOMPLETE_IPI) {
		snprintf(name, 48, "exit.%s",
			 stat == AVIC_STAT_EXIT_INVALID ? "invalid" : "other");
	} else if (stat < AVIC_STAT_NOACCEL_READ) {
		snprintf(name, 48, "incomplete_ipi.%s", id[stat - AVIC_STAT_INCOMPLETE_IPI]);
	} else if (stat < AVIC_STAT_NOACCEL_WRITE) {
		snprintf(name, 48, "noaccel.read.0x%03x", (stat - AVIC_STAT_NOACCEL_READ) << 4);
	} else if (stat < AVIC_STAT_COST) {
		snprintf(name, 48, "noaccel.write.0x%03x", (stat - AVIC_STAT_NOACCEL_WRITE) << 4);
	} else {
		snprintf(name, 48, "cost.%s", cost[stat - AVIC_STAT_COST]);
	}
}

#endif
