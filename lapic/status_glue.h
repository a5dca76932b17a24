/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines of /sys/kernel/vapic/vcpus that both vendors print the same way; described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#ifndef VAPIC_LAPIC_STATUS_GLUE_H
#define VAPIC_LAPIC_STATUS_GLUE_H

#include <linux/kvm_host.h>
#include <linux/seq_buf.h>

/* The line of a VM: @pid as the vCPUs' lines have it, @reasons its inhibits. */
void vapic_status_vm(struct seq_buf *s, pid_t pid, unsigned long reasons);

/*
 * How the line of a vCPU begins; the caller adds counters and the end. @reasons are the
 * inhibits of the VM and of the vCPU.
 */
void vapic_status_vcpu(struct seq_buf *s, pid_t pid, int vcpu_id, bool active,
		       unsigned long reasons);

#endif
