/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between takeover/ and the APICv glue (vmx_apicv/ *_glue.c).
 *
 * For every entry of vmx_table.def the glue implements, with the stock prototype,
 * vapic_hook_<function> or vapic_vmx_<op>, and besides them the functions below.
 * Hooks run only for VMs that were created while vapic is loaded.  All that time
 * kvm_intel's own enable_ipiv is false, so that no stock code touches the PID-pointer
 * table or the tertiary controls.
 */
#ifndef VAPIC_TAKEOVER_VMX_HOOKS_H
#define VAPIC_TAKEOVER_VMX_HOOKS_H

#include <linux/kvm_host.h>
#include <linux/linkage.h>
#include <linux/seq_buf.h>
#include <linux/static_call.h>

#include <vapic/eligibility.h>

#include "hooks.h"
#include "../kvm/status.h"

#define VAPIC_REDIRECT(name, ret, args) ret vapic_hook_##name args;
#define VAPIC_OP(op)                                                                               \
	extern typeof(*((struct kvm_x86_ops *)NULL)->op) vapic_vmx_##op;                           \
	DECLARE_STATIC_CALL(vapic_vmx_stock_##op, *((struct kvm_x86_ops *)NULL)->op);
#define VAPIC_WRAP(op) VAPIC_OP(op)

#include "vmx_table.def"

#undef VAPIC_REDIRECT
#undef VAPIC_OP
#undef VAPIC_WRAP

/* As in svm_hooks.h. */
#define vapic_stock(op) static_call(vapic_vmx_stock_##op)

/*
 * What of APICv kvm_intel found at its own load; it leaves all of it out if a part is
 * missing, or if it runs on Hyper-V by an enlightened VMCS, whose fields are no VMCS.
 */
bool vapic_vmx_apicv_usable(void);

/*
 * Called by load after symbols are resolved and before anything is taken over;
 * 0 or a negative errno, with the reason logged, which fails the load.  May sleep.
 */
int vapic_vmx_load(void);

/* Called by unload, and by a failed load, when no hook can run any more. */
void vapic_vmx_unload(void);

/* IPI virtualization is wanted and there.  Set by vapic_vmx_load(). */
extern bool vapic_vmx_ipiv;

/* For the log line at load, after vapic_vmx_load(). */
const char *vapic_vmx_mode(void);

/* Content of /sys/kernel/vapic/vcpus, as the viewer may see it.  0 or -ENOMEM.  May sleep. */
int vapic_vmx_status(struct seq_buf *s, const struct vapic_viewer *viewer);

/*
 * Handler of the wakeup vector, for kvm_set_posted_intr_wakeup_handler().  In an
 * interrupt of the host, interrupts off.
 */
void vapic_vmx_wakeup_handler(void);

#endif
