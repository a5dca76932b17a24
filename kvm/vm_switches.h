/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What root may switch off and on for one VM while its guest runs: a folder for the VM in
 * /sys/kernel/vapic/vms/, with a file for each switch; described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 *
 * A folder exists from before the VM's first vCPU until KVM destroys the VM. Whoever writes holds a
 * reference on the VM meanwhile, so that KVM does not take the VM apart under the change.
 */
#ifndef VAPIC_KVM_VM_SWITCHES_H
#define VAPIC_KVM_VM_SWITCHES_H

#include <linux/types.h>

struct kernfs_node;
struct vapic_vm_common;

/* One switch; a vendor has an array of pointers to those of its VMs, with NULL at the end. */
struct vapic_vm_switch {
	const char *name;
	bool (*is_on)(const struct vapic_vm_common *vm);
	/* May sleep, and may run in several tasks at once. 0 or a negative errno. */
	int (*set)(struct vapic_vm_common *vm, bool on);
};

/* Off: the VM is inhibited, with APICV_INHIBIT_REASON_SWITCHED. */
extern const struct vapic_vm_switch vapic_switch_acceleration;

/*
 * Make the VM's folder unless it has one. Without memory for it the VM goes without. KVM has made the
 * VM, and the caller holds kvm->lock. @accelerated: hardware can run the VM; otherwise each write says
 * EOPNOTSUPP.
 */
void vapic_vm_switches_make(struct vapic_vm_common *vm,
			    const struct vapic_vm_switch *const *switches, bool accelerated);

/* Remove it, and wait for tasks that read or write. The VM has no user any more. */
void vapic_vm_switches_remove(struct vapic_vm_common *vm);

/* Make and forget the folder vms in @parent, with which it is removed; 0 or a negative errno. */
int vapic_vm_switches_begin(struct kernfs_node *parent);
void vapic_vm_switches_end(void);

#endif
