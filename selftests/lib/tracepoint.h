/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts how often this process hit a tracepoint of the host, for what KVM does internally and
 * neither its statistics nor the guest can show.
 */
#ifndef SELFTESTS_LIB_TRACEPOINT_H
#define SELFTESTS_LIB_TRACEPOINT_H

#include "vm.h"

/* Whether this user may not count any.  Root always may. */
bool tracepoints_are_forbidden(void);

/*
 * Call it before the vCPUs start: it counts the calling thread and threads that are created
 * afterwards.  Returns a descriptor, which is closed when the process ends.  The test fails if
 * the tracepoint cannot be counted.
 */
int tracepoint_count(struct vm *vm, const char *name);

/* How often the tracepoint was hit since tracepoint_count(). */
uint64_t tracepoint_counted(struct vm *vm, int counter);

#endif
