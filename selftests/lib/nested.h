/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A minimal nested guest: a function that the guest, as a hypervisor, runs with SVM in its own
 * address space.
 */
#ifndef SELFTESTS_LIB_NESTED_H
#define SELFTESTS_LIB_NESTED_H

#include <stdbool.h>
#include <stdint.h>

#define NESTED_EXIT_MSR		0x7cUL
#define NESTED_EXIT_VMMCALL	0x81UL
#define NESTED_EXIT_INVALID	(-1UL)

/* Host: whether this machine's KVM offers SVM to its guests. */
bool nested_available(void);

/*
 * Guest: run the function as a nested guest until it calls nested_end().  The nested guest has
 * interrupts enabled and takes them itself: they do not make it exit.  Only one vCPU may do this
 * at a time.
 */
void nested_run(void (*function)(void));

/* More that the hypervisor may set. nested_run() leaves all of it zero. */
struct nested_setup {
	const void *msr_bitmap;		/* 8 KiB; without it no MSR exits */
	uint64_t interrupt_control;	/* offset 060h of the VMCB */
	uint64_t avic_bar;
	void *avic_backing_page, *avic_tables;
};

/* Guest: the same, but returns the exit code, whatever it is. */
uint64_t nested_run_with(void (*function)(void), const struct nested_setup *setup);

void __attribute__((noreturn)) nested_end(void);

#endif
