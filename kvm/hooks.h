/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For every entry of takeovers.h the glue implements vapic_hook_<function> or
 * vapic_<vendor>_<op>, with the stock prototype. They run only for VMs that were created while
 * vapic is loaded. This file also declares what takeover/ does for the glue.
 */
#ifndef VAPIC_KVM_HOOKS_H
#define VAPIC_KVM_HOOKS_H

#include <linux/kvm_host.h>
#include <linux/linkage.h>
#include <linux/static_call.h>
#include <linux/types.h>

#include "imports.h"
#include "layout.h"
#include "takeovers.h"

struct vcpu_svm;
struct vmcb;

#define VAPIC_OP_TYPE(op) *((struct kvm_x86_ops *)NULL)->op

#define VAPIC_DECLARE_HOOK(module, name, ret, args) ret vapic_hook_##name args;
#define VAPIC_DECLARE_OP(vendor, op)                                                               \
	extern typeof(VAPIC_OP_TYPE(op)) vapic_##vendor##_##op;                                    \
	DECLARE_STATIC_CALL(vapic_##vendor##_stock_##op, VAPIC_OP_TYPE(op));
#define VAPIC_DECLARE_CALL(op) DECLARE_STATIC_CALL(vapic_op_##op, VAPIC_OP_TYPE(op));

VAPIC_KVM_TAKEOVERS(VAPIC_DECLARE_HOOK, VAPIC_DECLARE_OP, VAPIC_SKIP)
VAPIC_SVM_TAKEOVERS(VAPIC_DECLARE_HOOK, VAPIC_DECLARE_OP, VAPIC_DECLARE_OP, VAPIC_SKIP)
VAPIC_VMX_TAKEOVERS(VAPIC_DECLARE_HOOK, VAPIC_DECLARE_OP, VAPIC_DECLARE_OP, VAPIC_SKIP)
VAPIC_OP_CALLS(VAPIC_DECLARE_CALL)

/*
 * The stock op, from before vapic's took its place.  An op that stock leaves out does
 * nothing and returns 0.
 */
#define vapic_kvm_stock(op) static_call(vapic_kvm_stock_##op)
#define vapic_svm_stock(op) static_call(vapic_svm_stock_##op)
#define vapic_vmx_stock(op) static_call(vapic_vmx_stock_##op)

/* The op, vapic's or stock's. An op that the vendor leaves out does nothing and returns 0. */
#define vapic_op(op) static_call(vapic_op_##op)

/* True if the vendor has an op sync_pir_to_irr: interrupts may be posted outside of the IRR. */
extern bool vapic_lapic_posted;

/*
 * takeover/ holds one reference on vapic.ko for each VM whose creation passed
 * the vm_init op.  The glue drops it here when the last of the VM's objects is
 * gone.  A vm_init that fails drops it by itself.
 */
void vapic_vm_pin_put(void);

/*
 * For tests: true when this allocation, made while a VM or vCPU is created, is
 * to be treated as failed (parameter fail_create).  Ask once per allocation.
 */
bool vapic_create_should_fail(void);

#endif
