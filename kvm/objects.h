/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the objects of either vendor's VMs and vCPUs have in common: they are counted and
 * listed. A vendor's object has the struct of this file as its member common. Also what both
 * vendors read from KVM's structures.
 */
#ifndef VAPIC_KVM_OBJECTS_H
#define VAPIC_KVM_OBJECTS_H

#include <linux/kref.h>
#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>

#include "layout.h"

struct vapic_vm_common {
	struct kref refs; /* one for the VM, one for each vCPU object */
	struct kvm *kvm;  /* NULL once the VM is being destroyed; vapic_vms_lock */
	u64 number;	  /* in the order of vapic_vms, from 1 */
	struct pid *pid;  /* of the process that vapic_vm_enter() ran in, while listed */
	kuid_t owner;	  /* its user */
	struct list_head node;
	struct list_head vcpus; /* vapic_vms_lock */
	unsigned int vcpu_count;
};

struct vapic_vcpu_common {
	struct kvm_vcpu *kvm_vcpu;
	struct list_head node;
};

/*
 * Protects the list for status. Taken after all other locks. VM creation waits for it, so it is
 * held only for a look at one VM, and with preemption off, so that no preempted reader holds it.
 */
extern spinlock_t vapic_vms_lock;
extern struct list_head vapic_vms;

/* KVM is making the VM: list the object, with its first reference. */
void vapic_vm_enter(struct vapic_vm_common *vm, struct kvm *kvm);

/* KVM destroys the VM, maybe before its vCPUs: unlist it. The caller then drops the reference. */
void vapic_vm_leave(struct vapic_vm_common *vm);

/* The same for a vCPU, which holds a reference on the VM's object. */
void vapic_vcpu_enter(struct vapic_vcpu_common *vcpu, struct kvm_vcpu *kvm_vcpu,
		      struct vapic_vm_common *vm);
void vapic_vcpu_leave(struct vapic_vcpu_common *vcpu, struct vapic_vm_common *vm);

/*
 * Hardware's tables no longer name a vCPU of the VM: wait until no other vCPU is in the middle
 * of an IPI, in hardware or in an exit handler, that found the vCPU's entry before. Sleeps only
 * if other vCPUs may run, which they may when the creation of a vCPU has failed.
 */
void vapic_vm_wait_for_ipis(struct kvm *kvm);

/* Written in the vCPU's task; others read it to decide how to deliver. */
static inline bool vapic_apicv_active(struct kvm_lapic *apic)
{
	return READ_ONCE(apic->apicv_active);
}

static inline void vapic_apicv_set_active(struct kvm_lapic *apic, bool active)
{
	WRITE_ONCE(apic->apicv_active, active);
}

static inline bool vapic_irqchip_in_kernel(struct kvm *kvm)
{
	/* Pairs with KVM's write barrier before irqchip_mode. */
	return smp_load_acquire(&kvm->arch.irqchip_mode) != KVM_IRQCHIP_NONE;
}

static inline bool vapic_guest_mode(struct kvm_vcpu *kvm_vcpu)
{
	return kvm_vcpu->arch.hflags & HF_GUEST_MASK;
}

#endif
