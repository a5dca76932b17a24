/* SPDX-License-Identifier: GPL-2.0-only */
/* Malformed APIC images, and what must come of each. */
#ifndef SELFTESTS_LIB_LAPIC_IMAGE_H
#define SELFTESTS_LIB_LAPIC_IMAGE_H

#include "vm.h"

/* Registers that stock KVM is known to get wrong, in images since the last reset. */
struct image_faults {
	uint32_t pprs, spivs;
};

extern struct image_faults image_faults;

/* Stock KVM changes SPIV and forgets what is posted before it looks at the ID. */
bool refusal_is_known_to_leave_traces(void);

/* KVM allows no shorter period of a timer, to spare the host. */
unsigned int min_timer_period_us(struct vm *vm);

/* Spoils a good image in one of several ways, by the host's random numbers. */
void image_spoil(struct kvm_lapic_state *image);

/* Fail if what the APIC holds after the image is not what it must be, by what it held before. */
void image_check_refused(struct vm *vm, const struct kvm_lapic_state *before,
			 const struct kvm_lapic_state *image,
			 const struct kvm_lapic_state *after);
void image_check_accepted(struct vm *vm, const struct kvm_lapic_state *before,
			  const struct kvm_lapic_state *image,
			  const struct kvm_lapic_state *after);

#endif
