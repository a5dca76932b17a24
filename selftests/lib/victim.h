/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vCPU (the victim) that is given malformed APIC images and runs with some of them while another
 * vCPU sends it interrupts.  With a good image it must recover: it starts again, nothing is
 * pending, and one IPI that is sent to it causes one interrupt.
 */
#ifndef SELFTESTS_LIB_VICTIM_H
#define SELFTESTS_LIB_VICTIM_H

#include "vm.h"

/* Index and ID of the victim; vCPU 0 is the sender. */
#define VICTIM		1
#define HOSTILE_VECTOR	0x40
/* A run costs as much as a hundred images. */
#define IMAGES_PER_RUN	40

/* Creates the VM of the two vCPUs and starts both. */
struct vm *victim_begin(unsigned int options);
void victim_end(struct vm *vm);

/* The host's random numbers decide whether vCPU 0 sends continuously. */
void victim_maybe_bombard(struct vm *vm);

/*
 * Pauses the victim and stops the sender.  Then all IPIs have arrived, so that none of them is
 * mistaken for an effect of an image.
 */
void victim_pause_quietly(struct vm *vm);

/* KVM_SET_LAPIC; returns 0 or -errno. If the test fails, the report shows the image. */
int victim_give(struct vm *vm, uint32_t number, const struct kvm_lapic_state *image);

/*
 * Lets the victim run for a while with its present image, but otherwise in a good state. The
 * victim is paused before and after. Returns false if no vCPU could run with this image.
 */
bool victim_run(struct vm *vm);

/*
 * Restarts the paused victim from the beginning of its function, because no image says how far
 * it had come. It runs afterwards.
 */
void victim_recover(struct vm *vm);

/* How many interrupts the victim has taken. */
uint32_t victim_interrupts(void);

#endif
