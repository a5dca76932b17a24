/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between takeover/ and the AVIC glue (avic/ *_glue.c).
 *
 * For every entry of svm_table.def the glue implements, with the stock prototype,
 * vapic_hook_<function> or vapic_svm_<op>, and besides them the vapic_avic_*()
 * functions below.  Hooks run only for VMs that were created while vapic is loaded.
 */
#ifndef VAPIC_TAKEOVER_SVM_HOOKS_H
#define VAPIC_TAKEOVER_SVM_HOOKS_H

#include <linux/kvm_host.h>
#include <linux/linkage.h>
#include <linux/seq_buf.h>
#include <linux/static_call.h>

#include <vapic/eligibility.h>

#include "hooks.h"
#include "../kvm/status.h"

struct vcpu_svm;
struct vmcb;

#define VAPIC_REDIRECT(name, ret, args) ret vapic_hook_##name args;
#define VAPIC_OP(op)                                                                               \
	extern typeof(*((struct kvm_x86_ops *)NULL)->op) vapic_svm_##op;                           \
	DECLARE_STATIC_CALL(vapic_svm_stock_##op, *((struct kvm_x86_ops *)NULL)->op);
#define VAPIC_WRAP(op) VAPIC_OP(op)

#include "svm_table.def"

#undef VAPIC_REDIRECT
#undef VAPIC_OP
#undef VAPIC_WRAP

/*
 * What the op was before ours took its place.  One that stock leaves out does nothing
 * and returns 0.
 */
#define vapic_stock(op) static_call(vapic_svm_stock_##op)

/* What the kernel knows of the machine; that nested paging is in use is taken for granted. */
void vapic_avic_host_facts(struct vapic_avic_host *host);

/*
 * Called by load after symbols are resolved and before anything is taken over;
 * 0 or a negative errno, which fails the load.  May sleep.
 */
int vapic_avic_load(void);

/* Called by unload, and by a failed load, when no hook can run any more. */
void vapic_avic_unload(void);

/* For the log line at load: "xAPIC mode, x2AVIC off, IOMMU posting off". */
const char *vapic_avic_mode(void);

/* Content of /sys/kernel/vapic/vcpus, as the viewer may see it.  0 or -ENOMEM.  May sleep. */
int vapic_avic_status(struct seq_buf *s, const struct vapic_viewer *viewer);

#endif
