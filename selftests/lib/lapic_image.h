/* SPDX-License-Identifier: GPL-2.0-only */
/* Malformed APIC images, and the result that each must have. */
#ifndef SELFTESTS_LIB_LAPIC_IMAGE_H
#define SELFTESTS_LIB_LAPIC_IMAGE_H

#include "vm.h"

/*
 * How often stock KVM got a register wrong in a way that is known; counted for the images
 * since the last reset.
 */
struct image_faults {
	uint32_t pprs, spivs;
};

extern struct image_faults image_faults;

/* Stock KVM changes SPIV and discards posted interrupts before it checks the ID. */
bool refusal_is_known_to_leave_traces(void);

/* KVM does not allow a shorter timer period, to protect the host. */
unsigned int min_timer_period_us(struct vm *vm);

/* Spoils a good image in one of several ways, which the host's random numbers select. */
void image_spoil(struct kvm_lapic_state *image);

/*
 * Fail if the APIC state after the image (@after) is not what must follow from the state before
 * it (@before) and from the image.
 */
void image_check_refused(struct vm *vm, const struct kvm_lapic_state *before,
			 const struct kvm_lapic_state *image,
			 const struct kvm_lapic_state *after);
void image_check_accepted(struct vm *vm, const struct kvm_lapic_state *before,
			  const struct kvm_lapic_state *image,
			  const struct kvm_lapic_state *after);

#endif
