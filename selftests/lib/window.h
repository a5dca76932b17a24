/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VM's vCPUs cost between two points in time: exits by reason and doorbells,
 * from the emulator's counters if there are any, otherwise from KVM's.
 *
 * vCPU 0 is the sender and is reported separately; the others are the targets and
 * are summed.  Every vCPU must stay on the processor to which it is pinned.
 */
#ifndef SELFTESTS_LIB_WINDOW_H
#define SELFTESTS_LIB_WINDOW_H

#include "vapic_counts.h"
#include "vm.h"

struct window {
	struct vm *vm;
	bool emulated;
	unsigned int counters;
	/* the counters of one vCPU after the other; deltas once the window has ended */
	uint64_t *values;
	struct vapic_counts vapic_begin, vapic_end;
};

void window_begin(struct window *window, struct vm *vm);
void window_end(struct window *window);

/* Prints members of a JSON object, without braces, and frees the window. */
void window_print(struct window *window, uint32_t ipis);

#endif
