/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The old interrupt controller (8259), for ExtINTs: its interrupts bypass the
 * local APIC's registers, and so also any acceleration of them.
 */
#ifndef SELFTESTS_LIB_PIC_H
#define SELFTESTS_LIB_PIC_H

#include "vm.h"

/* How many ExtINTs the guest has handled; pic_begin() resets it. */
extern volatile uint32_t pic_extints;

/* Guest, vCPU 0, interrupts off: set up the controller with one pin unmasked. */
void pic_begin(void);
/* The same with this pin; 0 is the PIT's. */
void pic_begin_at(unsigned int pin);

/* Guest: let no interrupt of the first of the pair through. */
void pic_mask_all(void);

/* Host: set the level of the pin of pic_begin(), which is edge-triggered. */
void pic_set_line(struct vm *vm, bool high);

#endif
