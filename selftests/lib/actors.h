/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests that use all of their local APIC at random while each interrupt is accounted for:
 * they send and take IPIs, take timer and level-triggered interrupts, raise TPR, disable
 * interrupts, nest handlers and halt.  The host may stop them at any point, save them and
 * restore them, into the same VM or into a second one.
 *
 * How each interrupt is accounted for:
 *  - IPI: a vector belongs to one sender, which sends it to a target again only when the target
 *    has handled the last one.  So no two coalesce; a lost one blocks its channel for ever and is
 *    named, and a second one finds nothing outstanding.
 *  - Level: likewise, the device raises its line again only when the last was handled.
 *  - Timer, one-shot and TSC deadline: armed again only when it has fired, with another vector.
 *    KVM_GET_LAPIC does not tell a one-shot timer that has just fired from one whose interrupt
 *    was handled long ago, and KVM_SET_LAPIC lets both fire.  So for each restore that finds one
 *    run down, one more interrupt may come.
 *  - Timer, periodic: it goes on, and not faster than its period.  One may come after its end.
 */
#ifndef SELFTESTS_LIB_ACTORS_H
#define SELFTESTS_LIB_ACTORS_H

#include "state.h"

/* vCPUs. The first never halts, so that there is always one to wake the others. */
#define ACTORS		3

/* Comes only if a restore does not undo what happened since the save. */
#define GHOST_VECTOR	0xe1

/* A VM of theirs, in which all of them have begun; options: of vm_create(). */
struct vm *actors_begin(unsigned int options);

/* True if nothing is outstanding; fails, naming it, if something has been for long. */
bool actors_check(struct vm *vm);

/* The line of this vCPU's device goes up, unless the interrupt before is not handled. */
void actors_raise_line(struct vm *vm, unsigned int cpu);

/* To be called at each save whose state will be restored. */
void actors_note_saved(const struct vm_state *saved);

/* Saves noted so far. */
uint32_t actors_saves(void);

/* Waits until all is handled, ends the guests, says what there was, and frees the VM. */
void actors_end(struct vm *vm);

#endif
