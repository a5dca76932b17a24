/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the emulated VMX counts, and how the counters lie in BAR 0 of a PCI device.
 * The header and the rows are those of the emulated AVIC's avic-stats; here the
 * names are in the BAR as well, so that a reader needs nothing but this layout:
 *
 *   word 0  magic            word 4  byte offset of CPU 0's row
 *   word 1  version          word 5  bytes from one row to the next
 *   word 2  CPUs             word 6  byte offset of the first name
 *   word 3  counters in row  word 7  bytes from one name to the next
 *
 * All words are 64-bit and little-endian, names end with a zero byte. Nothing can be
 * written, but 32 bits to the very beginning, which seed the turns of the CPUs anew
 * (smp-loop.h).
 */
#ifndef VMX_STATS_H
#define VMX_STATS_H

#include <stdint.h>

#include "cost.h"

#define VMX_STATS_PCI_VENDOR	0x1234
#define VMX_STATS_PCI_DEVICE	0x5a1c

#define VMX_STATS_MAGIC		0x5354415453584d56ull	/* "VMXSTATS" */
#define VMX_STATS_VERSION	1
#define VMX_STATS_HEADER	64
#define VMX_STATS_NAME		48

/* Basic exit reasons below this have a counter each. */
#define VMX_STATS_REASONS	80
/* One counter per 16-byte register slot of the APIC page. */
#define VMX_STATS_REGISTERS	256

enum vmx_stat {
	VMX_STAT_ENTRY,			/* VM entries that passed the checks */
	VMX_STAT_ENTRY_FAILED,		/* failed on controls or host state */
	VMX_STAT_EXIT,			/* VM exits of any kind */
	VMX_STAT_VIRTUAL_INTERRUPT,	/* delivered from the virtual-APIC page */
	VMX_STAT_EOI,			/* virtualized without an exit */
	VMX_STAT_READ,			/* APIC page and x2APIC MSR reads without exit */
	VMX_STAT_SELF_IPI,		/* by virtual-interrupt delivery */
	/* Virtualized IPIs: all, those that found ON set, those that found SN set. */
	VMX_STAT_IPI,
	VMX_STAT_IPI_ON,
	VMX_STAT_IPI_SN,
	/* ICR writes left to the VMM though IPI virtualization is on, by cause. */
	VMX_STAT_REFUSED_MODE,		/* not fixed, edge, physical, without shorthand */
	VMX_STAT_REFUSED_VECTOR,	/* below 16 */
	VMX_STAT_REFUSED_INDEX,		/* beyond the PID-pointer table */
	VMX_STAT_REFUSED_ENTRY,		/* not valid, or reserved bits set */
	/* Sent by IPI virtualization, with the sender's own vector or another (wakeup). */
	VMX_STAT_NOTIFY,
	VMX_STAT_NOTIFY_OTHER,
	/* Taken by a guest without an exit, of these with nothing posted. */
	VMX_STAT_POSTED,
	VMX_STAT_POSTED_EMPTY,
	VMX_STAT_POSTED_ROOT,		/* notifications that came outside of a guest */

	VMX_STAT_REASON,
	VMX_STAT_REASON_OTHER = VMX_STAT_REASON + VMX_STATS_REASONS,
	VMX_STAT_ACCESS_READ,		/* APIC-access exits by register */
	VMX_STAT_ACCESS_WRITE = VMX_STAT_ACCESS_READ + VMX_STATS_REGISTERS,
	VMX_STAT_APIC_WRITE = VMX_STAT_ACCESS_WRITE + VMX_STATS_REGISTERS,

	/* By enum cost_kind, which is last in a row. */
	VMX_STAT_COST = VMX_STAT_APIC_WRITE + VMX_STATS_REGISTERS,

	VMX_STAT_COUNT = VMX_STAT_COST + COST_KINDS,
};

#ifdef BX_BOCHS_H
#define VMX_STATS_CPUS 256

extern Bit64u vmx_stats[VMX_STATS_CPUS][VMX_STAT_COUNT];

/* Count an event on the CPU whose code this is. */
#define VMX_COUNT(stat) ((void)vmx_stats[BX_CPU_ID][stat]++)

/* Count one of what testbed/cost.h names, unless a guest runs. */
#define COST_COUNT(kind) do { \
  if (! BX_CPU_THIS_PTR in_vmx_guest) VMX_COUNT(VMX_STAT_COST + (kind)); \
} while (0)

extern struct return_stack return_stacks[VMX_STATS_CPUS];

/* A near call in 64-bit mode, and a near return. */
#define COST_CALL(behind) return_stack_call(&return_stacks[BX_CPU_ID], behind)
#define COST_RETURN(target) do { \
  if (return_stack_misses(&return_stacks[BX_CPU_ID], target)) COST_COUNT(COST_RETURN_MISS); \
} while (0)

void vmx_stats_exit(unsigned cpu, Bit32u reason, Bit64u qualification);
void vmx_stats_device(void);
#endif

#endif
