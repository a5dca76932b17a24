/* SPDX-License-Identifier: GPL-2.0-only */
/* APICv as takeover/ sees it, besides the hooks. */
#ifndef VAPIC_VMX_APICV_VENDOR_H
#define VAPIC_VMX_APICV_VENDOR_H

#include <linux/seq_buf.h>
#include <linux/types.h>

#include "../kvm/status.h"

/*
 * True if kvm_intel found APICv at its own init. It leaves all of APICv out if a part is
 * missing, or if it runs on Hyper-V with an enlightened VMCS, which is not a VMCS.
 */
bool vapic_vmx_apicv_usable(void);

/*
 * Called at init after symbols are resolved and before anything is taken over, with whether
 * the user wants IPI virtualization; 0 or a negative errno, with the reason logged, which
 * fails the init.  May sleep.
 */
int vapic_vmx_init(bool want_ipiv);

/* Called at exit, and by a failed init, when no hook can run any more. */
void vapic_vmx_exit(void);

/* IPI virtualization is wanted and available.  Set by vapic_vmx_init(). */
extern bool vapic_vmx_ipiv;

/* The IOMMU can post interrupts of assigned devices.  Set by vapic_vmx_init(). */
extern bool vapic_vmx_iommu_posts;

/* For the log line at init, after vapic_vmx_init(). */
const char *vapic_vmx_mode(void);

/* Content of /sys/kernel/vapic/vcpus, as the viewer may see it.  0 or -ENOMEM.  May sleep. */
int vapic_vmx_status(struct seq_buf *s, const struct vapic_viewer *viewer);

/*
 * Handler of the wakeup vector, for kvm_set_posted_intr_wakeup_handler().  Runs in an
 * interrupt of the host, with interrupts off.
 */
void vapic_vmx_wakeup_handler(void);

#endif
