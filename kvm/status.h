/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines of /sys/kernel/vapic/vcpus that both vendors print the same way; described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#ifndef VAPIC_KVM_STATUS_H
#define VAPIC_KVM_STATUS_H

#include <linux/seq_buf.h>
#include <linux/uidgid.h>

#include "objects.h"

struct pid_namespace;

/* Who opened a file. That decides what the file says, whoever reads it. */
struct vapic_viewer {
	bool all;   /* may see every VM: CAP_SYS_ADMIN in the initial user namespace */
	kuid_t uid; /* else those made by this user */
	struct pid_namespace *pids;
};

#define VAPIC_STATUS_MAX_COUNTS 11

/* What a vendor reports about its vCPU. The functions run under vapic_vms_lock. */
struct vapic_status_ops {
	/* inhibits besides those of the VM */
	unsigned long (*inhibits)(struct vapic_vcpu_common *vcpu);
	/* why it is never accelerated, by name, or NULL */
	const char *(*never)(struct vapic_vcpu_common *vcpu);
	/* the counts and their names, in the order in which they are printed */
	void (*counts)(struct vapic_vcpu_common *vcpu, u64 *counts);
	const char *count_names[VAPIC_STATUS_MAX_COUNTS + 1];
};

/* A line for each VM that the viewer may see, followed by one for each of its vCPUs. */
int vapic_status_vms(struct seq_buf *s, const struct vapic_viewer *viewer,
		     const struct vapic_status_ops *ops);

#endif
