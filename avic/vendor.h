/* SPDX-License-Identifier: GPL-2.0-only */
/* AVIC as takeover/ sees it, besides the hooks. */
#ifndef VAPIC_AVIC_VENDOR_H
#define VAPIC_AVIC_VENDOR_H

#include <linux/kvm_host.h>
#include <linux/seq_buf.h>

#include <vapic/eligibility.h>

#include "../kvm/status.h"

/* Fill in what the kernel knows about the machine, and assume that nested paging is in use. */
void vapic_avic_host_facts(struct vapic_avic_host *host);

/*
 * Called at init after symbols are resolved and before anything is taken over; 0 or a
 * negative errno, which fails the init.  @hide_running: hide it from IPI hardware, so that it
 * exits for each IPI between vCPUs.  May sleep.
 */
int vapic_avic_init(bool hide_running);

/*
 * Called by the gate before stock's op vm_init, where that calls no function that is redirected:
 * make the VM's object.  0 or a negative errno.  Cancelled if stock's then fails.  May sleep.
 */
int vapic_avic_create_vm(struct kvm *kvm);
void vapic_avic_cancel_vm(struct kvm *kvm);

/* Called at exit, and by a failed init, when no hook can run any more. */
void vapic_avic_exit(void);

/* For the log line at init: "x2AVIC, 512 vCPUs, IPI virtualization on, IOMMU posting on". */
const char *vapic_avic_mode(void);

/* What the driver of AMD's IOMMU calls for each entry in the log of posted interrupts. */
int vapic_avic_ga_log_notifier(u32 tag);

/* Content of /sys/kernel/vapic/vcpus, as the viewer may see it.  0 or -ENOMEM.  May sleep. */
int vapic_avic_status(struct seq_buf *s, const struct vapic_viewer *viewer);

#endif
