/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets up a VM and its vCPUs for vm.c before they run: memory, CPUID and registers. */
#ifndef SELFTESTS_LIB_BOOT_H
#define SELFTESTS_LIB_BOOT_H

#include "vm.h"

/* Maps the program's own image, which contains the tables that all vCPUs use. */
void boot_add_memory(struct vm *vm);

/* Makes a new vCPU begin with guest_entry(). */
void boot_set_state(struct vcpu *vcpu);

#endif
