/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the AVIC glue (avic/ *_glue.c) stands in for: for every entry of svm_table.def it
 * implements, with the stock prototype, vapic_hook_<function> or vapic_svm_<op>. Hooks run
 * only for VMs that were created while vapic is loaded.
 */
#ifndef VAPIC_KVM_SVM_HOOKS_H
#define VAPIC_KVM_SVM_HOOKS_H

#include <linux/kvm_host.h>
#include <linux/linkage.h>
#include <linux/static_call.h>

#include "hooks.h"

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

#endif
