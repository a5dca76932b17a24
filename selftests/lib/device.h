/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An assigned device with one MSI, played by the test module fake_device (tests/host): it posts
 * interrupts as an IOMMU does where KVM has asked for that, and else signals an eventfd.
 *
 * There is one such device on a host.
 */
#ifndef SELFTESTS_LIB_DEVICE_H
#define SELFTESTS_LIB_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

/* What became of the device's interrupts since the module was loaded. */
struct device_counts {
	uint64_t notified;	/* posted, notification vector sent */
	uint64_t woken;		/* posted, wakeup vector sent */
	uint64_t suppressed;	/* posted while SN was set: nobody told */
	uint64_t outstanding;	/* posted while ON was set: nobody told once more */
	uint64_t remapped;	/* given to KVM as an interrupt of the host */
};

/* Whether the module is loaded. */
bool device_is_there(void);

/* Assign the device to the VM; take it away from whoever has it. */
void device_assign(struct vm *vm);
void device_take_away(void);

/* Set address and data of the device's MSI; before the device is assigned, too. */
void device_route(struct vm *vm, uint32_t apic_id, uint8_t vector);

/* Raise @count interrupts, without a pause. */
void device_fire(unsigned int count);

struct device_counts device_counts(void);

/* Sums of the first four. */
uint64_t device_posted(const struct device_counts *counts);

#endif
