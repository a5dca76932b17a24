/* SPDX-License-Identifier: GPL-2.0-only */
/* What vm.c gives a VM and its vCPUs before they run: memory, CPUID and registers. */
#ifndef SELFTESTS_LIB_BOOT_H
#define SELFTESTS_LIB_BOOT_H

#include "vm.h"

/* The program's own image, and in it the tables that all vCPUs use. */
void boot_add_memory(struct vm *vm);

/* A new vCPU begins with guest_entry(). */
void boot_set_state(struct vcpu *vcpu);

#endif
