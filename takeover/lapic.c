// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvm: the local APIC's state, as load sees it.
 */
#include "../kvm/lapic_hooks.h"
#include "redirect.h"
#include "../kvm/symbols.h"
#include "vendor.h"

#define VAPIC_REDIRECT(name, ret, args) VAPIC_REDIRECT_STUB(name)
#define VAPIC_CALL(op)                                                                             \
	DEFINE_STATIC_CALL_RET0(vapic_lapic_call_##op, *((struct kvm_x86_ops *)NULL)->op);
#include "../kvm/lapic_table.def"
#undef VAPIC_REDIRECT
#undef VAPIC_CALL

#define VAPIC_REDIRECT(name, ret, args) VAPIC_REDIRECT_ROW("kvm", name),
#define VAPIC_CALL(op)
static struct vapic_redirect redirects[] = {
#include "../kvm/lapic_table.def"
};
#undef VAPIC_REDIRECT
#undef VAPIC_CALL

const struct vapic_redirects vapic_lapic_redirects = {redirects, ARRAY_SIZE(redirects)};

bool vapic_lapic_posted;

/* An op of KVM, and the static call by which ours reach it. */
struct call {
	size_t offset; /* of the pointer in kvm_x86_ops */
	struct static_call_key *key;
	void *tramp;
};

#define VAPIC_REDIRECT(name, ret, args)
#define VAPIC_CALL(op)                                                                             \
	{                                                                                          \
		.offset = offsetof(struct kvm_x86_ops, op),                                        \
		.key = &STATIC_CALL_KEY(vapic_lapic_call_##op),                                    \
		.tramp = STATIC_CALL_TRAMP_ADDR(vapic_lapic_call_##op),                            \
	},
static const struct call calls[] = {
#include "../kvm/lapic_table.def"
};
#undef VAPIC_REDIRECT
#undef VAPIC_CALL

void vapic_lapic_follow_ops(void)
{
	const struct call *call;
	void *func;

	vapic_lapic_posted = vapic_data(kvm_x86_ops).sync_pir_to_irr;
	for (call = calls; call < calls + ARRAY_SIZE(calls); call++) {
		func = *(void **)((char *)&vapic_data(kvm_x86_ops) + call->offset);
		__static_call_update(call->key, call->tramp, func ?: __static_call_return0);
	}
}
