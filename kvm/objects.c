// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of VMs and vCPUs, and the lifetime of a VM's object: kernels differ in whether
 * they destroy a VM or its vCPUs first, so the object lives until all of them are gone.
 */
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/srcu.h>

#include "symbols.h"
#include "objects.h"
#include "vm_switches.h"

DEFINE_SPINLOCK(vapic_vms_lock);
LIST_HEAD(vapic_vms);
static u64 last_number;

void vapic_vm_enter(struct vapic_vm_common *vm, struct kvm *kvm)
{
	kref_init(&vm->refs);
	INIT_LIST_HEAD(&vm->vcpus);
	vm->kvm = kvm;
	vm->folder = NULL;
	vm->pid = get_pid(task_tgid(current));
	vm->owner = current_euid();

	spin_lock(&vapic_vms_lock);
	vm->number = ++last_number;
	list_add_tail(&vm->node, &vapic_vms);
	spin_unlock(&vapic_vms_lock);
}

void vapic_vm_leave(struct vapic_vm_common *vm)
{
	vapic_vm_switches_remove(vm);
	spin_lock(&vapic_vms_lock);
	list_del(&vm->node);
	vm->kvm = NULL;
	spin_unlock(&vapic_vms_lock);
	put_pid(vm->pid);
}

void vapic_vcpu_enter(struct vapic_vcpu_common *vcpu, struct kvm_vcpu *kvm_vcpu,
		      struct vapic_vm_common *vm)
{
	kref_get(&vm->refs);
	vcpu->kvm_vcpu = kvm_vcpu;

	spin_lock(&vapic_vms_lock);
	list_add_tail(&vcpu->node, &vm->vcpus);
	vm->vcpu_count++;
	spin_unlock(&vapic_vms_lock);
}

void vapic_vcpu_leave(struct vapic_vcpu_common *vcpu, struct vapic_vm_common *vm)
{
	spin_lock(&vapic_vms_lock);
	list_del(&vcpu->node);
	vm->vcpu_count--;
	spin_unlock(&vapic_vms_lock);
}

void vapic_vm_wait_for_ipis(struct kvm *kvm)
{
	if (!refcount_read(&kvm->users_count))
		return;
	vapic_call(kvm_make_all_cpus_request)(kvm, KVM_REQ_OUTSIDE_GUEST_MODE);
	synchronize_srcu(&kvm->srcu);
}
