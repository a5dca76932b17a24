// SPDX-License-Identifier: GPL-2.0-only
/*
 * What init takes over from kvm itself: the state of the local APIC.
 */
#include "../kvm/hooks.h"
#include "../kvm/symbols.h"
#include "vendor.h"

VAPIC_KVM_TAKEOVERS(VAPIC_REDIRECT_STUB, VAPIC_SKIP, VAPIC_SKIP)

bool vapic_lapic_posted;

#define DEFINE_CALL(op) DEFINE_STATIC_CALL_RET0(vapic_op_##op, VAPIC_OP_TYPE(op));
#define FOLLOW(op)                                                                                 \
	static_call_update(vapic_op_##op,                                                          \
			   vapic_data(kvm_x86_ops).op ?: (void *)__static_call_return0);

VAPIC_OP_CALLS(DEFINE_CALL)

void vapic_kvm_follow_ops(void)
{
	vapic_lapic_posted = vapic_data(kvm_x86_ops).sync_pir_to_irr;
	VAPIC_OP_CALLS(FOLLOW)
}
