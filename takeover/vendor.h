/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What init needs to know about a vendor's KVM module; svm.c and vmx.c each define one.
 */
#ifndef VAPIC_TAKEOVER_VENDOR_H
#define VAPIC_TAKEOVER_VENDOR_H

#include <linux/seq_buf.h>
#include <linux/types.h>

#include <asm/irq_remapping.h>

#include <vapic/eligibility.h>

#include "ops.h"
#include "params.h"
#include "redirect.h"
#include "shown.h"
#include "switches.h"
#include "../kvm/compat.h"
#include "../kvm/status.h"

/* Lists of kvm/takeovers.h as data: a vendor's, then kvm's, but without the gate. */
struct vapic_takeovers {
	struct vapic_redirect *redirects;
	struct vapic_op *ops;
	const struct vapic_switch *switches;
	unsigned int redirect_count, op_count, switch_count;
};

/*
 * KVM's init has found out whether the interrupts of assigned devices are posted, and has taken
 * that for impossible if it was told not to accelerate. The switch of enable_apicv comes first.
 */
#if VAPIC_HAS_enable_device_posted_irqs
#define VAPIC_POSTED_IRQS_SWITCH                                                                   \
	VAPIC_BOOL_SWITCH(enable_device_posted_irqs, vapic_data(enable_device_posted_irqs),        \
			  stock_enable_apicv ? vapic_data(enable_device_posted_irqs) :             \
					       irq_remapping_cap(IRQ_POSTING_CAP))
#else
#define VAPIC_POSTED_IRQS_SWITCH
#endif

/*
 * The vendor's mask of the inhibits that count, with that of VMs' switches (kvm/vm_switches.h). The
 * member is const, its structure is not.
 */
#if !VAPIC_HAS_check_apicv_inhibit_reasons
#define VAPIC_INHIBITS_SWITCH                                                                      \
	VAPIC_VALUE_SWITCH(required_apicv_inhibits, unsigned long,                                 \
			   *(unsigned long *)&vapic_data(kvm_x86_ops).required_apicv_inhibits,     \
			   stock_required_apicv_inhibits | BIT(APICV_INHIBIT_REASON_SWITCHED))
#else
#define VAPIC_INHIBITS_SWITCH
#endif

/* For svm.c and vmx.c, with the vendor's list: all that is taken over with this vendor. */
#define VAPIC_DEFINE_TAKEOVERS(LIST)                                                               \
	LIST(VAPIC_REDIRECT_STUB, VAPIC_OP_STOCK, VAPIC_OP_STOCK, VAPIC_SKIP)                      \
	VAPIC_KVM_TAKEOVERS(VAPIC_REDIRECT_DECLARE, VAPIC_SKIP, VAPIC_SKIP)                        \
	VAPIC_BOOL_SWITCH(enable_apicv, vapic_data(enable_apicv), true)                            \
	VAPIC_INHIBITS_SWITCH                                                                      \
	VAPIC_POSTED_IRQS_SWITCH                                                                   \
                                                                                                   \
	static struct vapic_redirect redirects[] = {                                               \
		LIST(VAPIC_REDIRECT_ROW, VAPIC_SKIP, VAPIC_SKIP, VAPIC_SKIP)                       \
			VAPIC_KVM_TAKEOVERS(VAPIC_REDIRECT_ROW, VAPIC_SKIP, VAPIC_SKIP)};          \
	static struct vapic_op ops[] = {                                                           \
		LIST(VAPIC_SKIP, VAPIC_OP_ROW, VAPIC_WRAP_ROW, VAPIC_SKIP)};                       \
	static const struct vapic_switch switches[] = {                                            \
		LIST(VAPIC_SKIP, VAPIC_SKIP, VAPIC_SKIP, VAPIC_SWITCH_ROW)                         \
			VAPIC_KVM_TAKEOVERS(VAPIC_SKIP, VAPIC_SKIP, VAPIC_SWITCH_ROW)};            \
	static const struct vapic_takeovers takeovers = {                                          \
		.redirects = redirects,                                                            \
		.redirect_count = ARRAY_SIZE(redirects),                                           \
		.ops = ops,                                                                        \
		.op_count = ARRAY_SIZE(ops),                                                       \
		.switches = switches,                                                              \
		.switch_count = ARRAY_SIZE(switches),                                              \
	};

struct vapic_vendor {
	const char *module;   /* "kvm_amd" */
	const char *build_id; /* build-id of the module for which vapic was built */
	const char *what;     /* what is taken over: "AVIC" */
	const char *off;      /* the parameter that says to take over nothing: "avic=0" */
	const char *auto_off; /* the parameter at auto, and why that is off; NULL if no auto */

	unsigned int feature;	    /* X86_FEATURE_ that this vendor's processors have */
	enum vapic_param parameter; /* says whether the user wants a takeover */

	/* Decide about parameters that the user has left to vapic; NULL if it never does. */
	void (*settle)(void);

	const struct vapic_takeovers *takeovers;

	/*
	 * May vapic take over on this machine?  Before the KVM module's symbols are resolved, this
	 * looks at the processor alone; afterwards at the parameters of the KVM module as well.
	 */
	enum vapic_decision (*decide)(bool resolved);

	/* As vapic_avic_init() and vapic_avic_exit(), and the words for the log line. */
	int (*init)(void);
	void (*exit)(void);
	const char *(*mode)(void);

	/*
	 * As vapic_avic_create_vm() and vapic_avic_cancel_vm(); NULL where the gate has nothing to
	 * do besides stock's vm_init.
	 */
	int (*create_vm)(struct kvm *kvm);
	void (*cancel_vm)(struct kvm *kvm);

	/* Content of /sys/kernel/vapic/vcpus; 0 or a negative errno. */
	int (*status)(struct seq_buf *s, const struct vapic_viewer *viewer);

	struct vapic_shown shown;
};

extern const struct vapic_vendor vapic_svm, vapic_vmx;

/* The vendor that is taken over; NULL if nothing is.  Set once, at init. */
extern const struct vapic_vendor *vapic_vendor;

/*
 * Make vapic_op() call what kvm_x86_ops has now.  Called once kvm_x86_ops is as it stays
 * while vapic is loaded.
 */
void vapic_kvm_follow_ops(void);

#endif
