/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What load needs to know of a vendor's KVM module; svm.c and vmx.c each hold one.
 */
#ifndef VAPIC_TAKEOVER_VENDOR_H
#define VAPIC_TAKEOVER_VENDOR_H

#include <linux/seq_buf.h>
#include <linux/types.h>

#include "ops.h"
#include "redirect.h"

struct vapic_vendor {
	const char *module;   /* "kvm_amd": its functions are redirected */
	const char *build_id; /* of the build of it that vapic was made for */
	const char *what;     /* is taken over: "AVIC" */
	const char *off;      /* the parameter that says to take over nothing: "avic=0" */

	struct vapic_redirect *redirects;
	unsigned int redirect_count;
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

	/* As vapic_avic_load() and vapic_avic_unload(), and the words for the log line. */
	int (*load)(void);
	void (*unload)(void);
	const char *(*mode)(void);

	/* Variables of KVM that must change too: behind the closed gate, no VM alive. */
	void (*switch_on)(void);
	void (*switch_off)(void);

	/* Content of /sys/kernel/vapic/vcpus. */
	void (*status)(struct seq_buf *s);
};

extern const struct vapic_vendor vapic_svm, vapic_vmx;

/* The one that is taken over; NULL if nothing is.  Set once, at load. */
extern const struct vapic_vendor *vapic_vendor;

#endif
