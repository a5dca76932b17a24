/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often a tracepoint of the host was passed by this process: what KVM did inside that
 * neither its statistics nor the guest can tell.
 */
#ifndef SELFTESTS_LIB_TRACEPOINT_H
#define SELFTESTS_LIB_TRACEPOINT_H

#include "vm.h"

/*
 * Before the vCPUs start: threads are counted that are created from here on, and the one that
 * asks.  A descriptor, which the end of the process closes; a tracepoint that cannot be counted
 * fails the test.
 */
int tracepoint_count(struct vm *vm, const char *name);

/* So often since then. */
uint64_t tracepoint_counted(struct vm *vm, int counter);

#endif
