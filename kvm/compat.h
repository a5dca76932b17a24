/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of the kernel's and of KVM's that are others in some of the kernels that vapic is for. The
 * glue uses what is here; which of two is meant is decided by presence.list.
 */
#ifndef VAPIC_KVM_COMPAT_H
#define VAPIC_KVM_COMPAT_H

#include "presence.h"
#include "symbols.h"

/* Make the vCPU look at its requests: wake it if it sleeps, interrupt it if it is in the guest. */
static __always_inline void vapic_kvm_kick(struct kvm_vcpu *vcpu)
{
#if VAPIC_HAS_kvm_vcpu_kick
	vapic_call(kvm_vcpu_kick)(vcpu);
#else
	vapic_call(__kvm_vcpu_kick)(vcpu, false);
#endif
}

#endif
