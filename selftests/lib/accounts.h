/* SPDX-License-Identifier: GPL-2.0-only */
/* What became of all interrupts of a kind. If none is outstanding, the three are equal. */
#ifndef SELFTESTS_LIB_ACCOUNTS_H
#define SELFTESTS_LIB_ACCOUNTS_H

#include <stdint.h>

struct account {
	uint64_t sent;		/* by the guest or the device, counted before it is sent */
	uint64_t accepted;	/* its handler was entered */
	uint64_t serviced;	/* its handler has signalled EOI */
};

#endif
