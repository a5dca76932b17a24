// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users may know: /sys/kernel/vapic/vcpus, described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#include "../lapic/status_glue.h"
#include "../takeover/vmx_hooks.h"
#include "glue.h"

static void print_counts(struct seq_buf *s, struct vapic_vcpu_common *common)
{
	struct vapic_vcpu *ours = container_of(common, struct vapic_vcpu, common);

	seq_buf_printf(s,
		       " ipiv=%d apic_write=%llu apic_access=%llu eoi_induced=%llu notified=%llu"
		       " woken=%llu",
		       ours->vm->pid_table != NULL, READ_ONCE(ours->apic_writes),
		       READ_ONCE(ours->apic_accesses), READ_ONCE(ours->eoi_exits_taken),
		       (u64)atomic64_read(&ours->notifications), READ_ONCE(ours->wakeups));
}

void vapic_vmx_status(struct seq_buf *s)
{
	static const struct vapic_status_ops ops = {
		.print_counts = print_counts,
	};

	vapic_status_vms(s, &ops);
}
