/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM's own counters of a vCPU, read by name from the binary
 * statistics file (KVM_GET_STATS_FD), which needs neither root nor debugfs.
 */
#ifndef SELFTESTS_LIB_STATS_H
#define SELFTESTS_LIB_STATS_H

#include "vm.h"

/* fd: a statistics file.  Returns false if the kernel has no such counter. */
bool stats_read(int fd, const char *name, uint64_t *value);

/* A KVM counter of this vCPU; a missing one fails the test. */
uint64_t vcpu_stat(struct vcpu *vcpu, const char *name);

#endif
