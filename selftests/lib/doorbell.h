/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Do doorbells ring where they should?  An interrupt whose doorbell is missing
 * still arrives, with the next exit of the running target, which a host's tick
 * causes soon: a test of arrival alone passes.
 *
 * On the emulator the answer is what its counters say of the target's
 * processor, which holds however busy the machine below is.  On hardware it is
 * time: if all had to wait for an exit, latencies are like the time from exit to
 * exit; if not, the fastest tenth is far below it.
 */
#ifndef SELFTESTS_LIB_DOORBELL_H
#define SELFTESTS_LIB_DOORBELL_H

#include "vm.h"

struct doorbell_watch {
	struct vcpu *target;
	uint64_t rung, exits, tsc;
};

/* The target runs in the guest and stays on its processor. */
void doorbell_watch_begin(struct doorbell_watch *watch, struct vcpu *target);

/*
 * latency: of each of `count` interrupts in TSC ticks, each sent when the last
 * was handled; gets sorted.  True as well where there is nothing to judge:
 * without acceleration, or without a processor for each vCPU.
 */
bool doorbell_watch_end(struct doorbell_watch *watch, uint64_t *latency, uint32_t count);

#endif
