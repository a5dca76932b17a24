// SPDX-License-Identifier: GPL-2.0-only
/*
 * What core calls in the kernel with either vendor. vapic_host_avic_ipi_target(), which rings
 * doorbells, is in AVIC's glue.
 */
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/kvm_host.h>

#include <vapic/host.h>

#include "objects.h"
#include "tracing.h"

/* Warn once for each number: a second number may be a consequence of the first, or its cause. */
void vapic_host_broken(u32 what)
{
	static unsigned long said;

	if (!test_and_set_bit(what % BITS_PER_LONG, &said))
		WARN(1, "vapic: broken invariant %u\n", what);
}

/*
 * When KVM has made a vCPU, it looks for another one with the same ID, and then publishes the
 * vCPU. From then on everything is done with the vCPU's mutex held, and nothing before that: so
 * a locked mutex means that KVM has accepted the vCPU.
 */
bool vapic_host_vcpu_stays(struct vapic_vcpu *vcpu)
{
	/* common is the first member of either vendor's object. */
	struct vapic_vcpu_common *common = (struct vapic_vcpu_common *)vcpu;

	if (!mutex_is_locked(&common->kvm_vcpu->mutex))
		return false;
	/* What the caller does next. */
	trace_vapic_table(common->kvm_vcpu, VAPIC_TABLE_ENTER, 0);
	return true;
}
