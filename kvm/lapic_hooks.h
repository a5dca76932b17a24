/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the glue of the local APIC's state (lapic/ *_glue.c) stands in for: for every function
 * of lapic_table.def it implements vapic_hook_<function>, with the stock prototype.
 */
#ifndef VAPIC_KVM_LAPIC_HOOKS_H
#define VAPIC_KVM_LAPIC_HOOKS_H

#include <linux/kvm_host.h>
#include <linux/linkage.h>
#include <linux/static_call.h>

#define VAPIC_REDIRECT(name, ret, args) ret vapic_hook_##name args;
#define VAPIC_CALL(op)                                                                             \
	DECLARE_STATIC_CALL(vapic_lapic_call_##op, *((struct kvm_x86_ops *)NULL)->op);

#include "lapic_table.def"

#undef VAPIC_REDIRECT
#undef VAPIC_CALL

/* The vendor has an op sync_pir_to_irr: interrupts may be posted beside the IRR. */
extern bool vapic_lapic_posted;

/* Ours or stock's; one that the vendor leaves out does nothing and returns 0. */
#define vapic_op(op) static_call(vapic_lapic_call_##op)

#endif
