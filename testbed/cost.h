/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What both emulators count besides instructions, of what the host executes: the things
 * that take a processor many times longer than an instruction.
 *
 * The counters are the last COST_KINDS of each CPU's row (avic-stats.h, vmx-stats.h), in
 * this order, whatever else a row holds. Readers use this header as well.
 */
#ifndef VAPIC_COST_H
#define VAPIC_COST_H

enum cost_kind {
	COST_LOCKED,		/* LOCK prefix, or XCHG with memory */
	COST_VMREAD,		/* of the Intel machine only, and so is the next */
	COST_VMWRITE,
	COST_RDMSR,
	COST_WRMSR,
	COST_RETURN_MISS,	/* near returns not to where the return stack says */
	COST_KINDS,
};

/* The counters' names. */
#define COST_NAMES	"locked", "vmread", "vmwrite", "rdmsr", "wrmsr", "return_miss"

/*
 * A return-stack buffer: a near call pushes the address behind it, a near return pops what it
 * is predicted to return to. It is a ring that knows neither full nor empty, as Intel's
 * was measured to be: a call too many overwrites the oldest entry, a return too many finds
 * what an old call left. Guests use it too, for nothing separates them from the host in it.
 */
#define RETURN_STACK_DEPTH	16	/* a power of two */

struct return_stack {
	unsigned long long address[RETURN_STACK_DEPTH];
	unsigned int top;
};

static inline void return_stack_call(struct return_stack *stack, unsigned long long behind)
{
	stack->address[++stack->top % RETURN_STACK_DEPTH] = behind;
}

/* Whether a return to @target is mispredicted. */
static inline int return_stack_misses(struct return_stack *stack, unsigned long long target)
{
	return stack->address[stack->top-- % RETURN_STACK_DEPTH] != target;
}

#endif
