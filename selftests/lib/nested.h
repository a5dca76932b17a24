/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A nested guest as small as can be: a function that the guest, as a hypervisor, runs with SVM
 * in its own address space.
 */
#ifndef SELFTESTS_LIB_NESTED_H
#define SELFTESTS_LIB_NESTED_H

#include <stdbool.h>

/* Host: this machine's KVM offers SVM to its guests. */
bool nested_available(void);

/*
 * Guest: run the function as a nested guest until it calls nested_end().  Interrupts are on in
 * it, and are its own: they do not make it exit.  One vCPU at a time.
 */
void nested_run(void (*function)(void));

void __attribute__((noreturn)) nested_end(void);

#endif
