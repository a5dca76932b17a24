/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vendor's table of takeovers (svm_table.def) turned into data: the arrays redirects
 * and ops, and the static calls in stubs and behind vapic_stock().  Included once by the
 * vendor's file, which says before
 *
 *   VAPIC_TABLE      the table, in quotes
 *   VAPIC_MODULE     the module that its functions are of, in quotes
 *   VAPIC_OURS(op)   our implementation of an op
 *   VAPIC_STOCK(op)  the static call of the stock one
 */
#define DEFINE_STOCK(call, op) DEFINE_STATIC_CALL_RET0(call, *((struct kvm_x86_ops *)NULL)->op)

#define VAPIC_REDIRECT(name, ret, args) VAPIC_REDIRECT_STUB(name)
#define VAPIC_OP(op) DEFINE_STOCK(VAPIC_STOCK(op), op);
#define VAPIC_WRAP(op) VAPIC_OP(op)
#include VAPIC_TABLE
#undef VAPIC_REDIRECT
#undef VAPIC_OP
#undef VAPIC_WRAP

#define VAPIC_REDIRECT(name, ret, args) VAPIC_REDIRECT_ROW(VAPIC_MODULE, name),
#define VAPIC_OP(op)
#define VAPIC_WRAP(op)
static struct vapic_redirect redirects[] = {
#include VAPIC_TABLE
};
#undef VAPIC_REDIRECT
#undef VAPIC_OP
#undef VAPIC_WRAP

#define VAPIC_REDIRECT(name, ret, args)
#define VAPIC_OP(op) VAPIC_OP_ROW(op, VAPIC_OURS(op), VAPIC_STOCK(op), false),
#define VAPIC_WRAP(op) VAPIC_OP_ROW(op, VAPIC_OURS(op), VAPIC_STOCK(op), true),
static struct vapic_op ops[] = {
#include VAPIC_TABLE
};
#undef VAPIC_REDIRECT
#undef VAPIC_OP
#undef VAPIC_WRAP
