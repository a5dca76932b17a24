/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vCPU that is given malformed APIC images, runs with some of them while another one sends it
 * interrupts, and must come back by a good image: then it starts anew, nothing is pending, and
 * of one IPI that is sent to it there comes one interrupt.
 */
#ifndef SELFTESTS_LIB_VICTIM_H
#define SELFTESTS_LIB_VICTIM_H

#include "vm.h"

/* Its index and ID; vCPU 0 is the one that sends. */
#define VICTIM		1
#define HOSTILE_VECTOR	0x40
/* A run costs as much as a hundred images. */
#define IMAGES_PER_RUN	40

/* The VM of the two, in which both run. */
struct vm *victim_begin(unsigned int options);
void victim_end(struct vm *vm);

/* vCPU 0 sends without end, or not; by the host's random numbers. */
void victim_maybe_bombard(struct vm *vm);

/* All that is sent has arrived, so that it cannot be taken for an image's doing. */
void victim_pause_quietly(struct vm *vm);

/* KVM_SET_LAPIC: 0 or -errno. The image is in the report if the test fails. */
int victim_give(struct vm *vm, uint32_t number, const struct kvm_lapic_state *image);

/*
 * Lets it run for a while with the image that it holds, but otherwise in a good state. It is
 * paused before and after. False if nobody could run with this image.
 */
bool victim_run(struct vm *vm);

/* From its very beginning, since no image says how far it came. It is paused, and runs then. */
void victim_recover(struct vm *vm);

/* Interrupts that it has taken. */
uint32_t victim_interrupts(void);

#endif
