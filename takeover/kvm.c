// SPDX-License-Identifier: GPL-2.0-only
/*
 * What init takes over from kvm itself: the state of the local APIC.
 */
#include "../kvm/hooks.h"
#include "../kvm/symbols.h"
#include "vendor.h"

VAPIC_BOOL_SWITCH(enable_apicv, vapic_data(enable_apicv), true)

VAPIC_KVM_TAKEOVERS(VAPIC_REDIRECT_STUB, VAPIC_SKIP, VAPIC_SKIP)

static struct vapic_redirect redirects[] = {
	VAPIC_KVM_TAKEOVERS(VAPIC_REDIRECT_ROW, VAPIC_SKIP, VAPIC_SKIP)};
static const struct vapic_switch switches[] = {
	VAPIC_KVM_TAKEOVERS(VAPIC_SKIP, VAPIC_SKIP, VAPIC_SWITCH_ROW)};

const struct vapic_takeovers vapic_kvm_takeovers = {
	.redirects = redirects,
	.redirect_count = ARRAY_SIZE(redirects),
	.switches = switches,
	.switch_count = ARRAY_SIZE(switches),
};

bool vapic_lapic_posted;

/* An op of KVM, and the static call by which vapic_op() reaches it. */
struct call {
	size_t offset; /* of the pointer in kvm_x86_ops */
	struct static_call_key *key;
	void *tramp;
};

#define DEFINE_CALL(op) DEFINE_STATIC_CALL_RET0(vapic_op_##op, VAPIC_OP_TYPE(op));
#define CALL_ROW(op)                                                                               \
	{                                                                                          \
		.offset = offsetof(struct kvm_x86_ops, op),                                        \
		.key = &STATIC_CALL_KEY(vapic_op_##op),                                            \
		.tramp = STATIC_CALL_TRAMP_ADDR(vapic_op_##op),                                    \
	},

VAPIC_OP_CALLS(DEFINE_CALL)

static const struct call calls[] = {VAPIC_OP_CALLS(CALL_ROW)};

void vapic_kvm_follow_ops(void)
{
	const struct call *call;
	void *func;

	vapic_lapic_posted = vapic_data(kvm_x86_ops).sync_pir_to_irr;
	for (call = calls; call < calls + ARRAY_SIZE(calls); call++) {
		func = *(void **)((char *)&vapic_data(kvm_x86_ops) + call->offset);
		__static_call_update(call->key, call->tramp, func ?: __static_call_return0);
	}
}
