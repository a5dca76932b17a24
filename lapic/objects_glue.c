// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of VMs and vCPUs, and who keeps a VM's object alive: KVM destroys a VM before
 * its vCPUs, so the object lives until the last vCPU's is gone.
 */
#include <linux/sched.h>
#include <linux/srcu.h>

#include "../takeover/symbols.h"
#include "objects_glue.h"

DEFINE_MUTEX(vapic_vms_lock);
LIST_HEAD(vapic_vms);

void vapic_vm_enter(struct vapic_vm_common *vm, struct kvm *kvm)
{
	kref_init(&vm->refs);
	INIT_LIST_HEAD(&vm->vcpus);
	vm->kvm = kvm;
	vm->pid = task_tgid_nr(current);

	mutex_lock(&vapic_vms_lock);
	list_add_tail(&vm->node, &vapic_vms);
	mutex_unlock(&vapic_vms_lock);
}

void vapic_vm_leave(struct vapic_vm_common *vm)
{
	mutex_lock(&vapic_vms_lock);
	list_del(&vm->node);
	vm->kvm = NULL;
	mutex_unlock(&vapic_vms_lock);
}

void vapic_vcpu_enter(struct vapic_vcpu_common *ours, struct kvm_vcpu *vcpu,
		      struct vapic_vm_common *vm)
{
	kref_get(&vm->refs);
	ours->vcpu = vcpu;

	mutex_lock(&vapic_vms_lock);
	list_add_tail(&ours->node, &vm->vcpus);
	mutex_unlock(&vapic_vms_lock);
}

void vapic_vcpu_leave(struct vapic_vcpu_common *ours)
{
	mutex_lock(&vapic_vms_lock);
	list_del(&ours->node);
	mutex_unlock(&vapic_vms_lock);
}

void vapic_vm_wait_for_ipis(struct kvm *kvm)
{
	if (!refcount_read(&kvm->users_count))
		return;
	vapic_call(kvm_make_all_cpus_request)(kvm, KVM_REQ_OUTSIDE_GUEST_MODE);
	synchronize_srcu(&kvm->srcu);
}
