// SPDX-License-Identifier: GPL-2.0-only
/*
 * The text of /sys/kernel/vapic/vcpus, described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#include "../kvm/status.h"
#include "../kvm/hooks.h"
#include "glue.h"
#include "vendor.h"

static unsigned long inhibits(struct vapic_vcpu_common *vcpu)
{
	return vapic_svm_vcpu_get_apicv_inhibit_reasons(vcpu->kvm_vcpu);
}

static void counts(struct vapic_vcpu_common *common, u64 *to)
{
	struct vapic_vcpu *vcpu = container_of(common, struct vapic_vcpu, common);
	u64 interrupts = vapic_count_load(&vcpu->interrupt_count);
	bool posts = vapic_avic_vcpu_posts(vapic_core(vcpu));
	struct vapic_avic_counts counts;

	vapic_avic_vcpu_counts(vapic_core(vcpu), &counts);
	to[0] = counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_INT_TYPE];
	to[1] = counts.ipi_exits[AVIC_IPI_FAILURE_TARGET_NOT_RUNNING];
	to[2] = counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_TARGET];
	to[3] = counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_IPI_VECTOR];
	to[4] = counts.ipi_woken;
	to[5] = counts.ipi_inactive;
	to[6] = counts.accesses_trap;
	to[7] = counts.accesses_fault;
	to[8] = posts ? interrupts : 0;
	to[9] = posts ? 0 : interrupts;
	to[10] = atomic64_read(&vcpu->logged);
}

static const char *never(struct vapic_vcpu_common *common)
{
	enum vapic_decision decision = container_of(common, struct vapic_vcpu, common)->never;

	return decision == VAPIC_ACCELERATED ? NULL : vapic_decision_name(decision);
}

int vapic_avic_status(struct seq_buf *s, const struct vapic_viewer *viewer)
{
	static const struct vapic_status_ops ops = {
		.inhibits = inhibits,
		.never = never,
		.counts = counts,
		.count_names = {"ipi_type", "ipi_not_running", "ipi_target", "ipi_vector", "woken",
				"kicked", "access_trap", "access_fault", "posted", "remapped",
				"logged"},
	};

	return vapic_status_vms(s, viewer, &ops);
}
