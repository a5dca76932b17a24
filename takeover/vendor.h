/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What init needs to know about a vendor's KVM module; svm.c and vmx.c each define one.
 */
#ifndef VAPIC_TAKEOVER_VENDOR_H
#define VAPIC_TAKEOVER_VENDOR_H

#include <linux/moduleparam.h>
#include <linux/seq_buf.h>
#include <linux/types.h>

#include <vapic/eligibility.h>

#include "ops.h"
#include "params.h"
#include "redirect.h"
#include "switches.h"
#include "../kvm/status.h"

/* A list of kvm/takeovers.h as data. */
struct vapic_takeovers {
	struct vapic_redirect *redirects;
	struct vapic_op *ops;
	const struct vapic_switch *switches;
	unsigned int redirect_count, op_count, switch_count;
};

#define VAPIC_TAKEOVERS(redirects_, ops_, switches_)                                               \
	{                                                                                          \
		.redirects = (redirects_), .redirect_count = ARRAY_SIZE(redirects_),               \
		.ops = (ops_), .op_count = ARRAY_SIZE(ops_), .switches = (switches_),              \
		.switch_count = ARRAY_SIZE(switches_),                                             \
	}

struct vapic_vendor {
	const char *module;   /* "kvm_amd" */
	const char *build_id; /* of the build of it that vapic was made for */
	const char *what;     /* is taken over: "AVIC" */
	const char *off;      /* the parameter that says to take over nothing: "avic=0" */

	unsigned int feature;	    /* X86_FEATURE_ that this vendor's processors have */
	enum vapic_param parameter; /* says whether the user wants a takeover */

	struct vapic_takeovers takeovers;

	/*
	 * May vapic take over on this machine?  Before the KVM module's symbols are resolved, this
	 * looks at the processor alone; afterwards at the parameters of the KVM module as well.
	 */
	enum vapic_decision (*decide)(bool resolved);

	/* As vapic_avic_init() and vapic_avic_exit(), and the words for the log line. */
	int (*init)(void);
	void (*exit)(void);
	const char *(*mode)(void);

	/* Content of /sys/kernel/vapic/vcpus; 0 or a negative errno. */
	int (*status)(struct seq_buf *s, const struct vapic_viewer *viewer);

	/* What the module's parameter of this name shows while vapic is loaded. */
	const struct kernel_param *shown;
};

extern const struct vapic_vendor vapic_svm, vapic_vmx;

/* The vendor that is taken over; NULL if nothing is.  Set once, at init. */
extern const struct vapic_vendor *vapic_vendor;

/* What is taken over from kvm itself with either vendor, except the gate; in kvm.c. */
extern const struct vapic_takeovers vapic_kvm_takeovers;

/*
 * Make vapic_op() call what kvm_x86_ops has now.  Called once kvm_x86_ops is as it stays
 * while vapic is loaded.
 */
void vapic_kvm_follow_ops(void);

/* All functions that are redirected, by numbers from 0, in the order of init. */
unsigned int vapic_redirect_count(void);
struct vapic_redirect *vapic_redirect(unsigned int number);

#endif
