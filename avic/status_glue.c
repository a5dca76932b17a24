// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users may know: /sys/kernel/vapic/vcpus, described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#include "../lapic/status_glue.h"
#include "../takeover/svm_hooks.h"
#include "glue.h"

static unsigned long inhibits(struct vapic_vcpu_common *ours)
{
	return vapic_svm_vcpu_get_apicv_inhibit_reasons(ours->vcpu);
}

static void print_counts(struct seq_buf *s, struct vapic_vcpu_common *common)
{
	struct vapic_vcpu *ours = container_of(common, struct vapic_vcpu, common);
	struct vapic_avic_counts counts;

	vapic_avic_vcpu_counts(vapic_core(ours), &counts);
	seq_buf_printf(s,
		       " ipi_type=%llu ipi_not_running=%llu ipi_target=%llu ipi_vector=%llu"
		       " woken=%llu kicked=%llu access_trap=%llu access_fault=%llu",
		       counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_INT_TYPE],
		       counts.ipi_exits[AVIC_IPI_FAILURE_TARGET_NOT_RUNNING],
		       counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_TARGET],
		       counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_IPI_VECTOR], counts.ipi_woken,
		       counts.ipi_inactive, counts.accesses_trap, counts.accesses_fault);
	if (ours->never != VAPIC_ACCELERATED)
		seq_buf_printf(s, " never=%s", vapic_decision_name(ours->never));
}

void vapic_avic_status(struct seq_buf *s)
{
	static const struct vapic_status_ops ops = {
		.inhibits = inhibits,
		.print_counts = print_counts,
	};

	vapic_status_vms(s, &ops);
}
