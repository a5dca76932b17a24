/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random IPI traffic among vCPUs in which every single interrupt is accounted
 * for.
 *
 * Each ordered pair of vCPUs is a channel: sender s interrupts target t with
 * vector TRAFFIC_VECTOR + s, and only when t has handled the last one from s.
 * So no two interrupts coalesce; a lost one blocks its channel for ever and can be
 * named; and a duplicate is detected at once, because the handler finds nothing
 * outstanding.  vCPU 0 never sleeps, so it always wakes the others in the end.
 * Neither a timer nor the host wakes them, because that would hide a lost wakeup.
 */
#ifndef SELFTESTS_LIB_TRAFFIC_H
#define SELFTESTS_LIB_TRAFFIC_H

#include "accounts.h"
#include "vm.h"

#define TRAFFIC_VECTOR	0x90
#define TRAFFIC_MAX	8	/* vCPUs: each needs one bit of a flat logical ID */

/* True if the VM has no other vCPUs, so broadcasts are allowed; traffic_begin() sets it. */
extern volatile bool traffic_alone;

/* A bit for each vCPU that switches to x2APIC mode first; traffic_begin() clears it. */
extern volatile uint32_t traffic_to_x2apic;

/* What vCPU 0 does between two IPIs; traffic_begin() sets it to NULL, nothing. */
extern void (*volatile traffic_between)(void);

/* Adds `vcpus` vCPUs, with IDs from 0, to a VM that has none. */
void traffic_begin(struct vm *vm, unsigned int vcpus);

/* The same, and the vCPU of device.h's traffic, which is to be begun and ended as it says there. */
void traffic_begin_beside_device(struct vm *vm, unsigned int vcpus);

/* Fails, naming the channel, if one has been stuck for long. */
void traffic_check(struct vm *vm);

/* IPIs handled so far. */
uint64_t traffic_handled(void);

/* Waits until @more IPIs were handled: so that some are sent in each state. */
void traffic_flow(struct vm *vm, uint64_t more);

/* Whether all IPIs that were sent before traffic_mark() are handled by now. */
void traffic_mark(void);
bool traffic_reached_mark(void);

/* Adds all IPIs to the account. */
void traffic_account(struct account *ipis);

/* Stops sending, waits until all IPIs are handled, and ends the guests; the VM remains. */
void traffic_end(struct vm *vm);

#endif
