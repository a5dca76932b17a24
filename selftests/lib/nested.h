/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A minimal nested guest: a function that the guest, as a hypervisor, runs with SVM in its own
 * address space.
 */
#ifndef SELFTESTS_LIB_NESTED_H
#define SELFTESTS_LIB_NESTED_H

#include <stdbool.h>

/* Host: whether this machine's KVM offers SVM to its guests. */
bool nested_available(void);

/*
 * Guest: run the function as a nested guest until it calls nested_end().  The nested guest has
 * interrupts enabled and takes them itself: they do not make it exit.  Only one vCPU may do this
 * at a time.
 */
void nested_run(void (*function)(void));

void __attribute__((noreturn)) nested_end(void);

#endif
