/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random IPI traffic among vCPUs in which every single interrupt is accounted
 * for.
 *
 * Each ordered pair of vCPUs is a channel: sender s interrupts target t with
 * vector TRAFFIC_VECTOR + s, and only when t has handled the last one from s.
 * So no two coalesce, a lost one blocks its channel for ever and can be named,
 * and a duplicate shows at once, as the handler finds nothing outstanding.
 * vCPU 0 never sleeps and so always gets around to waking the others; no timer
 * and no host does, which would hide a lost wakeup.
 */
#ifndef SELFTESTS_LIB_TRAFFIC_H
#define SELFTESTS_LIB_TRAFFIC_H

#include "vm.h"

#define TRAFFIC_VECTOR	0x90
#define TRAFFIC_MAX	8	/* vCPUs: one bit each of a flat logical ID */

/* No other vCPUs, so broadcasts are allowed; traffic_begin() sets it. */
extern volatile bool traffic_alone;

/* Adds `vcpus` of them, with IDs 0.., to a VM that has none. */
void traffic_begin(struct vm *vm, unsigned int vcpus);

/* Fails, naming the channel, if one has been stuck for long. */
void traffic_check(struct vm *vm);

/* IPIs handled so far. */
uint64_t traffic_handled(void);

/* Stops sending, waits until all is handled, and ends the guests; the VM remains. */
void traffic_end(struct vm *vm);

#endif
