// SPDX-License-Identifier: GPL-2.0-only
/*
 * The text of /sys/kernel/vapic/vcpus, described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#include "../kvm/status.h"
#include "../kvm/hooks.h"
#include "glue.h"
#include "vendor.h"

static void counts(struct vapic_vcpu_common *common, u64 *to)
{
	struct vapic_vcpu *vcpu = container_of(common, struct vapic_vcpu, common);

	to[0] = vcpu->vm->pid_table && !vapic_is_off(&vcpu->vm->common, VAPIC_IPI_VIRTUALIZATION);
	to[1] = vapic_count_load(&vcpu->apic_writes);
	to[2] = vapic_count_load(&vcpu->apic_accesses);
	to[3] = vapic_count_load(&vcpu->eoi_exits_taken);
	to[4] = atomic64_read(&vcpu->notifications);
	to[5] = vapic_count_load(&vcpu->wakeups);
}

int vapic_vmx_status(struct seq_buf *s, const struct vapic_viewer *viewer)
{
	static const struct vapic_status_ops ops = {
		.counts = counts,
		.count_names = {"ipiv", "apic_write", "apic_access", "eoi_induced", "notified",
				"woken"},
	};

	return vapic_status_vms(s, viewer, &ops);
}
