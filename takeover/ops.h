/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Members of kvm_x86_ops: swap one for vapic's, call the stock one, put it back.
 *
 * KVM reaches an op through a static call, and here and there tests or calls
 * the pointer in kvm_x86_ops; both change together.  Vapic reaches the stock op
 * through a static call of its own, in the glue by vapic_<vendor>_stock(op).
 */
#ifndef VAPIC_TAKEOVER_OPS_H
#define VAPIC_TAKEOVER_OPS_H

#include <linux/kvm_host.h>
#include <linux/static_call.h>

#include "../kvm/hooks.h"

/* One op and what it was before; a row of a vendor's table. */
struct vapic_op {
	const char *name;
	size_t offset; /* of the pointer in kvm_x86_ops */
	void *replacement;
	bool wraps_stock;

	/* The static call behind vapic_<vendor>_stock(). */
	struct static_call_key *stock_key;
	void *stock_tramp;

	/* Found at init: the static call of KVM, and what both places held. */
	struct static_call_key *key;
	void *tramp;
	void *stock_func;
	void *stock_pointer;
	bool swapped;
};

/*
 * For the lists of kvm/takeovers.h: the static call that a row needs, and the row of an op that
 * is replaced or wrapped.
 */
#define VAPIC_OP_STOCK(vendor, op)                                                                 \
	DEFINE_STATIC_CALL_RET0(vapic_##vendor##_stock_##op, VAPIC_OP_TYPE(op));

#define VAPIC_OP_INIT(vendor, op, wraps)                                                           \
	{                                                                                          \
		.name = #op, .offset = offsetof(struct kvm_x86_ops, op),                           \
		.replacement = vapic_##vendor##_##op, .wraps_stock = (wraps),                      \
		.stock_key = &STATIC_CALL_KEY(vapic_##vendor##_stock_##op),                        \
		.stock_tramp = STATIC_CALL_TRAMP_ADDR(vapic_##vendor##_stock_##op),                \
	}
#define VAPIC_OP_ROW(vendor, op) VAPIC_OP_INIT(vendor, op, false),
#define VAPIC_WRAP_ROW(vendor, op) VAPIC_OP_INIT(vendor, op, true),

/*
 * Find the op's static call.  Changes nothing.  -ENOENT, logged, if it is missing.
 */
int vapic_op_find(struct vapic_op *op);

/* Put vapic's op in; cannot fail.  May sleep. */
void vapic_op_swap(struct vapic_op *op);

/*
 * Check in the code itself whether KVM's calls of the op reach vapic's; may sleep.
 * vapic_op_verify() returns 0, or -EIO with the reason logged if they do not.
 */
bool vapic_op_in_place(const struct vapic_op *op);
int vapic_op_verify(const struct vapic_op *op);

/* Put back exactly what vapic_op_swap() found; do nothing if it did not run. */
void vapic_op_restore(struct vapic_op *op);

#endif
