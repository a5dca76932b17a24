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
#include <linux/lockdep.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>

#include <vapic/hw/cell.h>

#include "layout.h"
#include "symbols.h"

/*
 * Whether root has switched something off for a VM.
 *
 * ORDERING switched
 *   writers:  whoever writes to the VM's file
 *   order:    none: a request to all vCPUs of the VM follows
 *   pairs:    the vCPU's own task, which takes the request, and then reads
 *   barrier:  KVM's, where requests are made and taken
 *   if lost:  a vCPU goes on as before the switch
 *   checked:  selftest switches
 */
VAPIC_PLAIN_CELL(vapic_switched, bool)

/* What a vCPU's own task follows: follow_switches() of either vendor. */
enum vapic_setting {
	VAPIC_IPI_VIRTUALIZATION,
	VAPIC_IDLE_HLT,
	VAPIC_POSTING,
	VAPIC_SETTINGS,
};

/* A file of a VM's folder: vm_switches.c. */
struct vapic_switch_file {
	struct vapic_vm_common *vm;
	const struct vapic_vm_switch *what;
};

#define VAPIC_VM_SWITCHES (1 + VAPIC_SETTINGS)

struct vapic_vm_common {
	struct kref refs; /* one for the VM, one for each vCPU object */
	struct kvm *kvm;  /* NULL once the VM is being destroyed; vapic_vms_lock */
	u64 number;	  /* in the order of vapic_vms, from 1 */
	struct pid *pid;  /* of the process that vapic_vm_enter() ran in, while listed */
	kuid_t owner;	  /* its user */
	struct list_head node;
	struct list_head vcpus; /* vapic_vms_lock */
	unsigned int vcpu_count;

	/* Of vm_switches.c, from before the first vCPU on */
	struct kernfs_node *folder; /* NULL if it has none */
	bool accelerated;	    /* hardware can run it */
	struct vapic_switched off[VAPIC_SETTINGS];
	struct vapic_switch_file files[VAPIC_VM_SWITCHES];
	struct work_struct put_last;
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

/*
 * KVM destroys the VM, maybe before its vCPUs: unlist it. The caller then drops the reference. May
 * sleep.
 */
void vapic_vm_leave(struct vapic_vm_common *vm);

/* The same for a vCPU, which holds a reference on the VM's object. */
void vapic_vcpu_enter(struct vapic_vcpu_common *vcpu, struct kvm_vcpu *kvm_vcpu,
		      struct vapic_vm_common *vm);
void vapic_vcpu_leave(struct vapic_vcpu_common *vcpu, struct vapic_vm_common *vm);

/* Whether root has switched it off for the VM. */
static inline bool vapic_is_off(const struct vapic_vm_common *vm, enum vapic_setting setting)
{
	return vapic_switched_load(&vm->off[setting]);
}

/* The caller's task has the vCPU loaded. */
static inline void vapic_assert_loaded(const struct vapic_vcpu_common *vcpu)
{
	lockdep_assert(vapic_call(kvm_get_running_vcpu)() == vcpu->kvm_vcpu);
}

/*
 * Hardware's tables no longer name a vCPU of the VM: wait until no other vCPU is in the middle
 * of an IPI, in hardware or in an exit handler, that found the vCPU's entry before. Sleeps only
 * if other vCPUs may run, which they may when the creation of a vCPU has failed.
 */
void vapic_vm_wait_for_ipis(struct kvm *kvm);

/*
 * A count that status shows.
 *
 * ORDERING count
 *   writers:  the vCPU's own task, or whoever holds the lock that stands beside the count
 *   order:    none: the value counts, not when it is seen
 *   pairs:    nothing
 *   barrier:  none
 *   if lost:  status shows a count that is late
 *   checked:  selftest ipi_blocked
 */
VAPIC_PLAIN_CELL(vapic_count, u64)

static inline void vapic_count_add(struct vapic_count *count, int n)
{
	vapic_count_store(count, vapic_count_load(count) + n);
}

/* Written in the vCPU's task; others read it to decide how to deliver. */
static inline bool vapic_apicv_active(struct kvm_lapic *apic)
{
	return READ_ONCE(apic->apicv_active);
}

static inline void vapic_apicv_set_active(struct kvm_lapic *apic, bool active)
{
	WRITE_ONCE(apic->apicv_active, active);
}

/*
 * KVM's word that some bit of the IRR may be set, without which it does not look at the IRR of a
 * vCPU that is not accelerated.
 *
 * ORDERING irr-pending
 *   writers:  whoever delivers to a vCPU that is not accelerated, KVM included, sets it, and so
 *             does the vCPU's task at each switch of acceleration; KVM clears it in that task,
 *             when it takes an interrupt
 *   order:    set behind the IRR's bit
 *   pairs:    KVM's clearing of a vector: it clears the flag, then the IRR's bit by a locked
 *             operation, then looks at the IRR and sets the flag again
 *   barrier:  the locked OR that sets the IRR's bit: irr-set, or IPI hardware's
 *   if lost:  an interrupt waits in the IRR until another one comes
 *   checked:  selftest inhibit
 */
VAPIC_PLAIN_CELL(vapic_irr_pending, bool)

static inline struct vapic_irr_pending *vapic_irr_pending(struct kvm_lapic *apic)
{
	BUILD_BUG_ON(sizeof(apic->irr_pending) != sizeof(struct vapic_irr_pending));
	return (struct vapic_irr_pending *)&apic->irr_pending;
}

static inline void vapic_set_irr_pending(struct kvm_lapic *apic)
{
	vapic_irr_pending_store(vapic_irr_pending(apic), true);
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
