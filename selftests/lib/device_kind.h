/* SPDX-License-Identifier: GPL-2.0-only */
/* For device.c: what plays the device. */
#ifndef SELFTESTS_LIB_DEVICE_KIND_H
#define SELFTESTS_LIB_DEVICE_KIND_H

#include "device.h"

struct device_kind {
	bool (*is_there)(void);
	/* From now on the device's interrupt signals this eventfd; none any more if it is -1. */
	void (*signal)(int eventfd);
	void (*fire)(unsigned int count);
	struct device_counts (*counts)(void);
	/* Whether its interrupts may be posted. */
	bool (*posts)(void);
	/* NULL if this cannot be chosen; see device.h. */
	void (*set_remapped)(bool remapped);
	void (*set_pcpu)(int pcpu);
};

extern const struct device_kind device_fake, device_vfio;

/* Prints why, errno among it, and ends the process as a failed test. */
void __attribute__((noreturn)) device_fail(const char *what);

#endif
