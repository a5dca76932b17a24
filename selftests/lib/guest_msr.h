/* SPDX-License-Identifier: GPL-2.0-only */
/* Accesses to MSRs that may cause a general-protection exception. */
#ifndef SELFTESTS_LIB_GUEST_MSR_H
#define SELFTESTS_LIB_GUEST_MSR_H

#include <stdbool.h>
#include <stdint.h>

/* Host: to be called before a guest that uses the functions below. */
void guest_msr_begin(void);

/* Guest: both return false if the access causes #GP. */
bool msr_try_read(uint32_t msr, uint64_t *value);
bool msr_try_write(uint32_t msr, uint64_t value);

#endif
