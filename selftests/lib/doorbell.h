/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks that doorbells ring where they should.  An interrupt whose doorbell is
 * missing still arrives at the next exit of the running target, which the host's
 * tick causes soon.  So a test that checks only for arrival passes.
 *
 * On the emulator, the counters of the target's processor give the answer, and it
 * does not depend on how busy the underlying machine is.  On hardware, latencies
 * give it: if every interrupt waited for an exit, latencies are about the time from
 * exit to exit; if not, the fastest tenth is far below that.
 */
#ifndef SELFTESTS_LIB_DOORBELL_H
#define SELFTESTS_LIB_DOORBELL_H

#include "vm.h"

struct doorbell_watch {
	struct vcpu *target;
	uint64_t rung, exits, tsc;
};

/* The target must run in the guest and stay on its processor. */
void doorbell_watch_begin(struct doorbell_watch *watch, struct vcpu *target);

/*
 * latency: TSC ticks of each of `count` interrupts, each sent after the last was
 * handled; the function sorts it.  Also returns true if nothing can be judged,
 * that is without acceleration or without a processor for each vCPU.
 */
bool doorbell_watch_end(struct doorbell_watch *watch, uint64_t *latency, uint32_t count);

#endif
