/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What init needs to know of a vendor's KVM module; svm.c and vmx.c each hold one.
 */
#ifndef VAPIC_TAKEOVER_VENDOR_H
#define VAPIC_TAKEOVER_VENDOR_H

#include <linux/moduleparam.h>
#include <linux/seq_buf.h>
#include <linux/types.h>

#include "ops.h"
#include "redirect.h"
#include "../kvm/status.h"

struct vapic_vendor {
	const char *module;   /* "kvm_amd" */
	const char *build_id; /* of the build of it that vapic was made for */
	const char *what;     /* is taken over: "AVIC" */
	const char *off;      /* the parameter that says to take over nothing: "avic=0" */

	struct vapic_redirects redirects;
	struct vapic_op *ops;
	unsigned int op_count;

	/* Is this the vendor of the machine's processor? */
	bool (*present)(void);

	/* Does the user want it taken over at all?  -EINVAL, logged, if that makes no sense. */
	int (*wanted)(bool *wanted);

	/*
	 * 0, or a negative errno with the reason logged: the processor can do it; the KVM
	 * module, whose symbols are resolved by then, was loaded so that it can.
	 */
	int (*check_processor)(void);
	int (*check_module)(void);

	/* As vapic_avic_init() and vapic_avic_exit(), and the words for the log line. */
	int (*init)(void);
	void (*exit)(void);
	const char *(*mode)(void);

	/* Variables of KVM that must change too: behind the closed gate, no VM alive. */
	void (*switch_on)(void);
	void (*switch_off)(void);

	/* Content of /sys/kernel/vapic/vcpus; 0 or a negative errno. */
	int (*status)(struct seq_buf *s, const struct vapic_viewer *viewer);

	/* A parameter of the module that is to read as ours says while vapic is loaded. */
	const struct kernel_param *shown;
};

extern const struct vapic_vendor vapic_svm, vapic_vmx;

/* The one that is taken over; NULL if nothing is.  Set once, at load. */
extern const struct vapic_vendor *vapic_vendor;

/* What is taken from kvm itself, for whichever vendor; lapic.c. */
extern const struct vapic_redirects vapic_lapic_redirects;

/*
 * Bring the ops that those functions call in line with kvm_x86_ops, once that is as it
 * stays while vapic is loaded.
 */
void vapic_lapic_follow_ops(void);

/* All functions that are redirected, by numbers from 0, in the order of load. */
unsigned int vapic_redirect_count(void);
struct vapic_redirect *vapic_redirect(unsigned int number);

#endif
