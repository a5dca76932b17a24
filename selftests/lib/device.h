/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An assigned device with one MSI. The test module fake_device (tests/host) plays it, and an IOMMU
 * that posts by Intel's rules, where KVM has asked for that; else it signals an eventfd. Or it is a
 * PCI device of the emulated AMD host, which has such an IOMMU, and vfio-pci assigns it.
 *
 * There is one such device on a host. Where there is none, an eventfd that the program itself
 * signals stands for one, as if it were emulated.
 */
#ifndef SELFTESTS_LIB_DEVICE_H
#define SELFTESTS_LIB_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

/* What became of the device's interrupts since the module was loaded or the host started. */
struct device_counts {
	uint64_t notified;	/* posted, notification vector sent or doorbell rung */
	uint64_t woken;		/* posted, wakeup vector sent or written to the GA log */
	uint64_t suppressed;	/* posted while SN was set or nothing asked for the log: nobody told */
	uint64_t outstanding;	/* posted while ON was set: nobody told once more */
	uint64_t remapped;	/* given to KVM as an interrupt of the host */
};

/* Call it before the others: whether there is one. */
bool device_is_there(void);

/* Whether the IOMMU, or the module in its place, can post its interrupts. */
bool device_posts(void);

/* Whether it is a PCI device, behind the IOMMU that the host's kernel drives. */
bool device_is_real(void);

/* Assign the device to the VM; take it away from whoever has it. */
void device_assign(struct vm *vm);
void device_take_away(void);

/* Set address and data of the device's MSI; before the device is assigned, too. */
void device_route(struct vm *vm, uint32_t apic_id, uint8_t vector);

/*
 * Of the module's device: post nothing from now on; the host takes interrupts that are not posted
 * on this processor (-1: wherever the caller runs).
 */
void device_set_remapped(bool remapped);
void device_set_pcpu(int pcpu);

/* What stands for the interrupt of the assigned device; -1: none is assigned. */
int device_eventfd(void);

/* Raise @count interrupts, without a pause. */
void device_fire(unsigned int count);

/* Raise one interrupt, and wait until the vCPU has handled it. */
void device_fire_at(struct vcpu *vcpu, uint8_t vector);

struct device_counts device_counts(void);

/* Sums of the first four. */
uint64_t device_posted(const struct device_counts *counts);

/*
 * Traffic of the device beside what else a test does: interrupts at random times to a vCPU of their
 * own, which halts now and then, one at a time, so that each is accounted for.
 *
 * device_traffic_add() adds that vCPU; device_traffic_begin() is called when the VM runs, and
 * device_traffic_end() before it ends; that waits for the last interrupt and returns their number.
 * The vCPU ends when roles_finished is set, and may have to be woken for that.
 */
void device_traffic_add(struct vm *vm);
void device_traffic_begin(struct vm *vm);
uint64_t device_traffic_end(struct vm *vm);

#endif
