/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the APICv glue (vmx_apicv/ *_glue.c) stands in for: for every entry of vmx_table.def
 * it implements, with the stock prototype, vapic_hook_<function> or vapic_vmx_<op>. Hooks run
 * only for VMs that were created while vapic is loaded. All that time kvm_intel's own
 * enable_ipiv is false, so that no stock code touches the PID-pointer table or the tertiary
 * controls.
 */
#ifndef VAPIC_KVM_VMX_HOOKS_H
#define VAPIC_KVM_VMX_HOOKS_H

#include <linux/kvm_host.h>
#include <linux/linkage.h>
#include <linux/static_call.h>

#include "hooks.h"

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

#endif
