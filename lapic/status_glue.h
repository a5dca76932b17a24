/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines of /sys/kernel/vapic/vcpus that both vendors print the same way; described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#ifndef VAPIC_LAPIC_STATUS_GLUE_H
#define VAPIC_LAPIC_STATUS_GLUE_H

#include <linux/seq_buf.h>

#include "objects_glue.h"

/* What a vendor has to say of its vCPU: */
struct vapic_status_ops {
	/* inhibits besides those of the VM */
	unsigned long (*inhibits)(struct vapic_vcpu_common *ours);
	/* counters, each with a space before it */
	void (*print_counts)(struct seq_buf *s, struct vapic_vcpu_common *ours);
};

/* A line for each VM, followed by one for each of its vCPUs. */
void vapic_status_vms(struct seq_buf *s, const struct vapic_status_ops *ops);

#endif
