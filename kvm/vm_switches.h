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

#include "objects.h"

struct kernfs_node;

/* One switch; a vendor has an array of pointers to those of its VMs, with NULL at the end. */
struct vapic_vm_switch {
	const char *name;
	enum vapic_setting setting; /* for the functions */
	bool (*is_on)(const struct vapic_vm_common *vm, enum vapic_setting setting);
	/* May sleep, and may run in several tasks at once. */
	void (*set)(struct vapic_vm_common *vm, enum vapic_setting setting, bool on);
};

/* Off: the VM is inhibited, with APICV_INHIBIT_REASON_SWITCHED. */
extern const struct vapic_vm_switch vapic_switch_acceleration;

/* By setting; off: vapic_is_off() says so, and each vCPU of the VM has got a request. */
extern const struct vapic_vm_switch vapic_switches[VAPIC_SETTINGS];

/*
 * What a vCPU's own task does when it has got such a request, or one that is for something else.
 * Called between two entries to the guest, with preemption off and the inhibits as they are to be.
 * Set by the vendor's init.
 */
extern void (*vapic_follow_switches)(struct kvm_vcpu *kvm_vcpu);

/*
 * Make the VM's folder unless it has one. Without memory for it the VM goes without. KVM has made the
 * VM, and the caller holds kvm->lock. @accelerated: hardware can run the VM; otherwise each write says
 * EOPNOTSUPP.
 */
void vapic_vm_switches_make(struct vapic_vm_common *vm,
			    const struct vapic_vm_switch *const *switches, bool accelerated);

/* Remove it, and wait for tasks that read or write. The VM has no user any more. */
void vapic_vm_switches_remove(struct vapic_vm_common *vm);

/* The name of switch @n of the VM, of VAPIC_VM_SWITCHES, if there is one and it is off, else NULL. */
const char *vapic_vm_switch_off(const struct vapic_vm_common *vm, unsigned int n);

/* Make and forget the folder vms in @parent, with which it is removed; 0 or a negative errno. */
int vapic_vm_switches_begin(struct kernfs_node *parent);
void vapic_vm_switches_end(void);

#endif
