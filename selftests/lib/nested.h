/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A minimal nested guest: a function that the guest, as a hypervisor, runs with SVM in its own
 * address space.
 */
#ifndef SELFTESTS_LIB_NESTED_H
#define SELFTESTS_LIB_NESTED_H

#include <stdbool.h>
#include <stdint.h>

#define NESTED_EXIT_INTR	0x60UL
#define NESTED_EXIT_VINTR	0x64UL
#define NESTED_EXIT_MSR		0x7cUL
#define NESTED_EXIT_VMMCALL	0x81UL
#define NESTED_EXIT_INVALID	(-1UL)

/* The low half of interrupt_control below; the vector of V_IRQ is in bits 39:32. */
#define NESTED_V_IRQ		(1UL << 8)
#define NESTED_V_PRIORITY	(15UL << 16)	/* above every V_TPR */
#define NESTED_V_INTR_MASKING	(1UL << 24)

/* Host: whether this machine's KVM offers SVM to its guests. */
bool nested_available(void);

/* Host: whether the processor keeps a guest's GIF (vGIF) and KVM uses that. */
bool nested_has_vgif(void);

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
	bool exit_on_intr;		/* when an interrupt of the hypervisor is pending */
	bool exit_on_vintr;		/* when the nested guest could take V_IRQ */
	bool begin_with_irqs_off;
	uint64_t avic_bar;
	void *avic_backing_page, *avic_tables;
};

/*
 * Guest: the same, but returns the exit code, whatever it is.  GIF may be clear when it is called
 * and is set when it returns.
 */
uint64_t nested_run_with(void (*function)(void), const struct nested_setup *setup);

/* Guest: hold back every interrupt, whatever IF says; let them in again. */
void nested_clear_gif(void);
void nested_set_gif(void);

void __attribute__((noreturn)) nested_end(void);

#endif
