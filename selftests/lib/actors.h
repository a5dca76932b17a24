/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests that use all of their local APIC at random while each interrupt is accounted for:
 * they send and take IPIs, take timer and level-triggered interrupts, raise TPR, disable
 * interrupts, nest handlers and halt.  The host may stop them at any point, save them and
 * restore them, into the same VM or into a second one.
 *
 * How each interrupt is accounted for:
 *  - IPI: a vector belongs to one sender, which sends it to a target again only when the target
 *    has handled the last one.  So no two IPIs coalesce; a lost IPI blocks its channel for ever
 *    and is named, and a duplicate finds nothing outstanding.
 *  - Level: likewise, the device raises its line again only when the last interrupt was handled.
 *  - Timer, one-shot and TSC deadline: armed again only when it has fired, with another vector.
 *    KVM_GET_LAPIC does not tell a one-shot timer that has just fired from one whose interrupt
 *    was handled long ago, and KVM_SET_LAPIC lets both fire.  So for each restore that finds a
 *    one-shot timer expired, one more interrupt may come.
 *  - Timer, periodic: it keeps firing, but not faster than its period.  One interrupt may come
 *    after the guest has stopped it.
 */
#ifndef SELFTESTS_LIB_ACTORS_H
#define SELFTESTS_LIB_ACTORS_H

#include "accounts.h"
#include "state.h"

/* Number of vCPUs. The first never halts, so that there is always one to wake the others. */
#define ACTORS		3

/* Arrives only if a restore does not undo what happened since the save. */
#define GHOST_VECTOR	0xe1

/* Creates a VM and waits until all actors in it have begun; options are those of vm_create(). */
struct vm *actors_begin(unsigned int options);

/* The same in two steps: between them other vCPUs may be added, which end when they see the end. */
struct vm *actors_create(unsigned int options);
void actors_start(struct vm *vm);

/* Returns true if no interrupt is outstanding; if one has been for long, names it and fails. */
bool actors_check(struct vm *vm);

/* Raises the line of this vCPU's device, unless its last interrupt has not been handled. */
void actors_raise_line(struct vm *vm, unsigned int cpu);

/* To be called at each save whose state will be restored. */
void actors_note_saved(const struct vm_state *saved);

/* Saves noted so far. */
uint32_t actors_saves(void);

/* Waits until all interrupts are handled, ends the guests, prints counts, and frees the VM. */
void actors_end(struct vm *vm);

/* The same, but prints nothing, and the VM remains. */
void actors_finish(struct vm *vm);

/* Whether all IPIs and level interrupts that were sent before actors_mark() are handled by now. */
void actors_mark(void);
bool actors_reached_mark(void);

/* Adds all interrupts to the accounts: a timer's count as sent when it is armed or has ticked. */
void actors_account(struct account *ipis, struct account *levels, struct account *timers);

#endif
