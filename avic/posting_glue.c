// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of assigned devices: KVM says which interrupt of the host is which of the guest, and
 * the IOMMU's driver changes the entry. Core says how (avic/posting.cpp).
 *
 * An interrupt is on the list of the vCPU that its route names, also while the vCPU is inhibited
 * and the IOMMU remaps it. The lock of the list is a raw one, since the vCPU's own task takes it
 * with preemption off. The VM has an array of its interrupts by their numbers in the host; the
 * array's lock is held while one is put on a list or taken off.
 */
#include <linux/amd-iommu.h>
#include <linux/interrupt.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/srcu.h>
#include <linux/xarray.h>

#include <asm/irq_remapping.h>

#include <vapic/host.h>

#include "../kvm/hooks.h"
#include "../kvm/log.h"
#include "glue.h"
#include "vendor.h"

/* An interrupt of an assigned device that names a vCPU. */
struct interrupt {
	struct list_head node;
	struct vapic_vcpu *vcpu;
	unsigned int host_irq;
	u8 vector;
	bool posted;
	void *entry; /* the IOMMU driver's handle, from the first time that it is posted */
};

/* VMs by the number that is in the tags of their interrupts. Found under RCU. */
static DEFINE_XARRAY_FLAGS(tagged, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ);

/* ---- One entry of the IOMMU's table ---- */

/*
 * The lock of the interrupt's descriptor, which this takes, keeps a change of the interrupt's
 * affinity from writing the host's vector and CPU into an entry that has just become the guest's.
 */
static int post(struct interrupt *irq)
{
	struct vapic_vcpu *vcpu = irq->vcpu;
	phys_addr_t regs = __sme_set(virt_to_phys(vcpu->common.kvm_vcpu->arch.apic->regs));
#if !VAPIC_HAS_amd_iommu_logs
	struct vcpu_data guest = {.vector = irq->vector};
#endif
	struct amd_iommu_pi_data how = {
		.is_guest_mode = true,
		.ga_tag = vapic_avic_ga_tag(vcpu->vm->tag, vapic_core(vcpu)),
#if VAPIC_HAS_amd_iommu_logs
		.vapic_addr = regs,
		.vector = irq->vector,
		.cpu = -1,
		.ga_log_intr = true,
#else
		.base = regs,
		.vcpu_data = &guest,
#endif
	};
	int err = irq_set_vcpu_affinity(irq->host_irq, &how);

	/* The driver may refuse without an error. */
	if (!err && !how.is_guest_mode)
		err = -EOPNOTSUPP;
	if (err)
		return err;
	irq->posted = true;
	irq->entry = how.ir_data;
	return 0;
}

/*
 * When this returns, the IOMMU writes nothing to the vCPU's registers any more for it: the driver
 * has waited, unless it was told not to (amd_iommu=irtcachedis), as under stock.
 */
static void remap(struct interrupt *irq)
{
	struct amd_iommu_pi_data how = {.is_guest_mode = false};

	if (!irq->posted)
		return;
	irq->posted = false;
	/*
	 * The driver refuses if the device has left its domain; the entry must go even so. That call
	 * does without the interrupt's lock: only user space that has ended the domain could change
	 * the interrupt's affinity meanwhile, and only its own device would interrupt a wrong CPU.
	 */
	if (irq_set_vcpu_affinity(irq->host_irq, &how))
		WARN_ON_ONCE(amd_iommu_deactivate_guest_mode(irq->entry));
}

static int treat(struct interrupt *irq, struct vapic_posting how)
{
	int err;

	if (!how.posts) {
		remap(irq);
		return 0;
	}
	err = irq->posted ? 0 : post(irq);
	if (err)
		return err;
		/* The IOMMU logs while the entry says that the vCPU does not run. This is never cached. */
#if VAPIC_HAS_amd_iommu_logs
	return amd_iommu_update_ga(irq->entry, how.rings ? (int)how.host.raw : -1, !how.rings);
#else
	/* The driver leaves the request for log entries on for good. */
	return amd_iommu_update_ga(how.rings ? (int)how.host.raw : -1, how.rings, irq->entry);
#endif
}

/* ---- The vCPU's own task ---- */

void vapic_host_posting(struct vapic_vcpu *vcpu, struct vapic_posting how)
{
	struct interrupt *irq;
	unsigned long flags;

	raw_spin_lock_irqsave(&vcpu->posting_lock, flags);
	/* The driver refuses to post for a device that has left its domain: that is remapped. */
	list_for_each_entry(irq, &vcpu->interrupts, node)
		treat(irq, how);
	vapic_avic_posting_set(vapic_avic_posting_locked(vcpu), how);
	raw_spin_unlock_irqrestore(&vcpu->posting_lock, flags);
}

/* ---- Routes ---- */

static struct vapic_host_id here(void)
{
	return (struct vapic_host_id){vapic_kvm_apic_id(raw_smp_processor_id())};
}

/* Put the interrupt on its vCPU's list, and have it posted if the vCPU is accelerated. */
static int name(struct interrupt *irq)
{
	struct vapic_vcpu *vcpu = irq->vcpu;
	struct vapic_posting how;
	unsigned long flags;
	int err;

	raw_spin_lock_irqsave(&vcpu->posting_lock, flags);
	how = vapic_avic_posting_add(vapic_avic_posting_locked(vcpu), here());
	err = treat(irq, how);
	if (!err) {
		list_add_tail(&irq->node, &vcpu->interrupts);
		vapic_count_add(&vcpu->interrupt_count, 1);
		vapic_avic_posting_set(vapic_avic_posting_locked(vcpu), how);
	} else {
		remap(irq);
		if (list_empty(&vcpu->interrupts))
			vapic_avic_posting_end(vapic_avic_posting_locked(vcpu));
	}
	raw_spin_unlock_irqrestore(&vcpu->posting_lock, flags);
	return err;
}

/* The reverse. From here on the interrupt is remapped. */
static void unname(struct interrupt *irq)
{
	struct vapic_vcpu *vcpu = irq->vcpu;
	unsigned long flags;

	raw_spin_lock_irqsave(&vcpu->posting_lock, flags);
	remap(irq);
	list_del(&irq->node);
	vapic_count_add(&vcpu->interrupt_count, -1);
	if (list_empty(&vcpu->interrupts))
		vapic_avic_posting_end(vapic_avic_posting_locked(vcpu));
	raw_spin_unlock_irqrestore(&vcpu->posting_lock, flags);
}

/*
 * Have the vCPU's own task look whether the IOMMU treats its interrupts rightly, and then at the
 * IRR, before it enters the guest again. The answer is in vapic_hook___kvm_vcpu_update_apicv().
 */
static void have_a_look(struct kvm_vcpu *kvm_vcpu)
{
	kvm_make_request(KVM_REQ_APICV_UPDATE, kvm_vcpu);
	vapic_kvm_kick(kvm_vcpu);
}

/* Give the VM a number for tags, with its first interrupt. */
static int give_tag(struct vapic_vm *vm)
{
	static u32 next;
	unsigned long flags;
	u32 tag; /* is written even if the array cannot grow */
	int err;

	if (vm->tag)
		return 0;
	xa_lock_irqsave(&tagged, flags);
	err = __xa_alloc_cyclic(&tagged, &tag, vm, XA_LIMIT(1, VAPIC_AVIC_GA_TAG_VMS), &next,
				GFP_ATOMIC | __GFP_ACCOUNT);
	xa_unlock_irqrestore(&tagged, flags);
	if (err < 0)
		return err;
	vm->tag = tag;
	return 0;
}

/* Interrupt @host_irq is to name @vcpu; the VM's array is locked. */
static int assign(struct vapic_vm *vm, unsigned int host_irq, struct vapic_vcpu *vcpu, u8 vector)
{
	struct interrupt *irq;
	int err = give_tag(vm);

	if (err)
		return err;
	irq = kzalloc(sizeof(*irq), GFP_ATOMIC | __GFP_ACCOUNT);
	if (!irq)
		return -ENOMEM;
	irq->vcpu = vcpu;
	irq->host_irq = host_irq;
	irq->vector = vector;
	err = xa_err(__xa_store(&vm->interrupts, host_irq, irq, GFP_ATOMIC | __GFP_ACCOUNT));
	if (!err) {
		err = name(irq);
		if (err)
			__xa_erase(&vm->interrupts, host_irq);
	}
	if (err)
		kfree(irq);
	return err;
}

/* Returns whose it was, or NULL. */
static struct vapic_vcpu *take_away(struct vapic_vm *vm, unsigned int host_irq)
{
	struct interrupt *irq = __xa_erase(&vm->interrupts, host_irq);
	struct vapic_vcpu *vcpu;

	if (!irq)
		return NULL;
	vcpu = irq->vcpu;
	unname(irq);
	kfree(irq);
	return vcpu;
}

/*
 * The guest's route of @host_irq has changed, or is gone (@vcpu is NULL). Between the old and the
 * new one the interrupt is remapped, and VFIO's handler delivers it by KVM's present route.
 */
static void reassign(struct vapic_vm *vm, unsigned int host_irq, struct vapic_vcpu *vcpu, u8 vector)
{
	struct vapic_vcpu *before;
	unsigned long flags;
	int err = 0;

	xa_lock_irqsave(&vm->interrupts, flags);
	before = take_away(vm, host_irq);
	if (vcpu)
		err = assign(vm, host_irq, vcpu, vector);
	xa_unlock_irqrestore(&vm->interrupts, flags);

	/*
	 * While the entry went, the IOMMU may have posted by what it had cached, and told nobody:
	 * whom, it reads from the entry as it is by then.
	 */
	if (before && before != vcpu)
		have_a_look(before->common.kvm_vcpu);
	/* Even if it failed: the interrupt may have been posted for a moment. */
	if (vcpu)
		have_a_look(vcpu->common.kvm_vcpu);
	if (err)
		pr_info_once("vapic: interrupt %u of an assigned device stays remapped (error "
			     "%d)\n",
			     host_irq, err);
}

#if VAPIC_HAS_pi_update_irte_by_vcpu
/*
 * KVM connects the interrupt @host_irq of an assigned device with the guest's @vector, which can be
 * posted to @kvm_vcpu, or ends that, if it is NULL. KVM holds a spinlock, with interrupts off, and
 * reports the change. An interrupt that cannot be posted stays remapped: that is no error.
 */
int vapic_svm_pi_update_irte(struct kvm_kernel_irqfd *irqfd, struct kvm *kvm, unsigned int host_irq,
			     u32 guest_irq, struct kvm_vcpu *kvm_vcpu, u32 vector)
{
	struct vapic_vcpu *vcpu = kvm_vcpu ? vapic_vcpu_of(to_svm(kvm_vcpu)) : NULL;

	reassign(vapic_vm_of(kvm), host_irq, vcpu, vcpu ? vector : 0);
	return 0;
}
#else
/* The vCPU to which alone the route leads, if its interrupts can be posted. */
static struct kvm_vcpu *target(struct kvm *kvm, struct kvm_kernel_irq_routing_entry *route,
			       struct kvm_lapic_irq *irq)
{
	struct kvm_vcpu *kvm_vcpu;

	vapic_call(kvm_set_msi_irq)(kvm, route, irq);
	if (!vapic_call(kvm_intr_is_single_vcpu)(kvm, irq, &kvm_vcpu) || !kvm_irq_is_postable(irq))
		return NULL;
	return kvm_vcpu;
}

/* A GSI has no other route beside that of an MSI. NULL if it has none for an MSI. */
static struct kvm_kernel_irq_routing_entry *msi_route(struct kvm *kvm, u32 guest_irq)
{
	struct kvm_irq_routing_table *routes = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);
	struct kvm_kernel_irq_routing_entry *route;

	if (guest_irq >= routes->nr_rt_entries)
		return NULL;
	hlist_for_each_entry(route, &routes->map[guest_irq], link)
	{
		if (route->type == KVM_IRQ_ROUTING_MSI)
			return route;
	}
	return NULL;
}

/*
 * KVM connects the interrupt @host_irq of an assigned device with the guest's, or changes that
 * one's route (@set), or ends it. KVM holds a spinlock, with interrupts off. An interrupt that
 * cannot be posted stays remapped: that is no error.
 */
int vapic_svm_pi_update_irte(struct kvm *kvm, unsigned int host_irq, u32 guest_irq, bool set)
{
	struct kvm_kernel_irq_routing_entry *route;
	struct kvm_vcpu *kvm_vcpu = NULL;
	struct vapic_vcpu *vcpu = NULL;
	struct kvm_lapic_irq irq;
	int idx;

	if (!irq_remapping_cap(IRQ_POSTING_CAP))
		return 0;

	idx = srcu_read_lock(&kvm->irq_srcu);
	route = msi_route(kvm, guest_irq);
	if (route)
		kvm_vcpu = target(kvm, route, &irq);
	if (kvm_vcpu)
		vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));

	reassign(vapic_vm_of(kvm), host_irq, set ? vcpu : NULL, vcpu ? irq.vector : 0);

	/* As stock: posting is asked for, though an inhibited vCPU's interrupts are remapped. */
	if (kvm_vcpu)
		vapic_trace_kvm_pi_irte_update(
			host_irq, kvm_vcpu->vcpu_id, route->gsi, irq.vector,
			vcpu ? __sme_set(virt_to_phys(kvm_vcpu->arch.apic->regs)) : 0, set && vcpu);
	srcu_read_unlock(&kvm->irq_srcu, idx);
	return 0;
}
#endif

/* ---- The IOMMU's log ---- */

/*
 * The IOMMU has posted to a vCPU that does not run. In the thread of the IOMMU's interrupt. The
 * VM's tag goes before its vCPUs, and waits for this.
 */
int vapic_avic_ga_log_notifier(u32 tag)
{
	u32 id = vapic_avic_ga_tag_vcpu(tag);
	struct vapic_vcpu *vcpu;
	struct vapic_vm *vm;

	vapic_trace_kvm_avic_ga_log(vapic_avic_ga_tag_vm(tag), id);

	guard(rcu)();
	vm = xa_load(&tagged, vapic_avic_ga_tag_vm(tag));
	vcpu = vm ? vapic_avic_vm_find(vapic_avic_vm_at_load(&vm->core), id) : NULL;
	trace_vapic_ga_log(vcpu ? vcpu->common.kvm_vcpu->kvm->userspace_pid : 0, id, tag);
	if (vcpu) {
		atomic64_inc(&vcpu->logged);
		vapic_call(kvm_vcpu_wake_up)(vcpu->common.kvm_vcpu);
	}
	return 0;
}

/* ---- VM and vCPU come and go ---- */

void vapic_avic_posting_init_vm(struct vapic_vm *vm)
{
	xa_init_flags(&vm->interrupts, XA_FLAGS_LOCK_IRQ);
}

void vapic_avic_posting_init_vcpu(struct vapic_vcpu *vcpu)
{
	raw_spin_lock_init(&vcpu->posting_lock);
	INIT_LIST_HEAD(&vcpu->interrupts);
}

void vapic_avic_posting_end_vcpu(struct vapic_vcpu *vcpu)
{
	struct vapic_vm *vm = vcpu->vm;
	struct interrupt *irq;
	unsigned long flags;

	/* KVM takes all devices away before. The IOMMU must not write to memory that is freed. */
	while (WARN_ON_ONCE(!list_empty(&vcpu->interrupts))) {
		irq = list_first_entry(&vcpu->interrupts, struct interrupt, node);
		xa_lock_irqsave(&vm->interrupts, flags);
		take_away(vm, irq->host_irq);
		xa_unlock_irqrestore(&vm->interrupts, flags);
	}
}

void vapic_avic_posting_end_vm(struct vapic_vm *vm)
{
	if (!vm->tag)
		return;
	xa_erase_irq(&tagged, vm->tag);
	vm->tag = 0;
	synchronize_rcu();
}
