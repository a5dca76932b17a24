// SPDX-License-Identifier: GPL-2.0-only
/*
 * What core calls of the kernel, for either vendor; vapic_host_ipi_target(), which rings
 * doorbells, is AVIC's glue.
 */
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/kvm_host.h>

#include <vapic/host.h>

#include "objects.h"

/* Once for each number: a second one may be the consequence of the first, or the cause. */
void vapic_host_broken(u32 what)
{
	static unsigned long said;

	if (!test_and_set_bit(what % BITS_PER_LONG, &said))
		WARN(1, "vapic: broken invariant %u\n", what);
}

/*
 * KVM looks for a vCPU of the same ID when this one is made, and then lets the world have it:
 * all that is done with it from there on is done under its mutex, and nothing before.
 */
bool vapic_host_vcpu_stays(struct vapic_vcpu *vcpu)
{
	/* First in the object of either vendor. */
	struct vapic_vcpu_common *common = (struct vapic_vcpu_common *)vcpu;

	return mutex_is_locked(&common->kvm_vcpu->mutex);
}
