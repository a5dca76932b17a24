/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the glue keeps for a VM and a vCPU on Intel, and how to get from KVM's structures
 * to it.
 *
 * Both objects are found through a field of the stock structure:
 *   kvm_vmx.pid_table              our struct vapic_vm
 *   vcpu_vmx.pi_wakeup_list.next   our struct vapic_vcpu
 * The first is read by vcpu_precreate, which is replaced, by vcpu_create and init_vmcs if
 * stock's enable_ipiv is set, which it is not while vapic is loaded, and by vm_destroy,
 * which is wrapped and finds NULL. The second is read by pi_load, pi_put and the wakeup
 * handler, which are replaced, and written by vcpu_create, before our pointer is put there.
 */
#ifndef VAPIC_VMX_APICV_GLUE_H
#define VAPIC_VMX_APICV_GLUE_H

#include <linux/kvm_host.h>
#include <linux/lockdep.h>

#include <asm/posted_intr.h>
#include <asm/vmx.h>

#include <vapic/eligibility.h>
#include <vapic/vmx.h>

#include "../kvm/objects.h"
#include "../kvm/layout.h"
#include "../kvm/symbols.h"

struct vapic_vm {
	struct vapic_vm_common common;

	void *pid_table; /* NULL without IPI virtualization */
	u32 pid_entries;
};

struct vapic_vcpu {
	struct vapic_vcpu_common common;
	struct vapic_vm *vm;

	/*
	 * The CPU among whose waiters the vCPU is, -1 if none. Set by its own task, reset
	 * by that and by the CPU's wakeup handler, both under the CPU's lock, and by the
	 * handler as its last access to the vCPU.
	 */
	int waits_on;

	/* Still to enter the VM's PID-pointer table. The vCPU's own task. */
	bool outside;

	/* What the EOI-exit bitmap of the VMCS holds, and whether KVM has had a newer one. */
	u64 eoi_exits[4];
	bool eoi_exits_stale;

	/* Counts. The first three have the vCPU's own task as only writer. */
	u64 apic_accesses;
	u64 apic_writes;
	u64 eoi_exits_taken;
	u64 wakeups;		  /* by the wakeup vector; the lock of waits_on */
	atomic64_t notifications; /* sent by software */
} __aligned(VAPIC_PI_ALIGN);

/* kvm/host.c reads it there. */
static_assert(!offsetof(struct vapic_vcpu, common));

/* Core's part of the object, right behind the glue's. */
static inline struct vapic_pi_vcpu *vapic_core(struct vapic_vcpu *vcpu)
{
	return (struct vapic_pi_vcpu *)(vcpu + 1);
}

/* The caller is the vCPU's own task, with preemption off. */
static inline struct vapic_pi_on_cpu vapic_on_cpu(struct vapic_vcpu *vcpu)
{
	lockdep_assert_preemption_disabled();
	return (struct vapic_pi_on_cpu){vapic_core(vcpu)};
}

static inline struct vcpu_vmx *to_vmx(struct kvm_vcpu *kvm_vcpu)
{
	return container_of(kvm_vcpu, struct vcpu_vmx, vcpu);
}

static inline struct kvm_vmx *to_kvm_vmx(struct kvm *kvm)
{
	return container_of(kvm, struct kvm_vmx, kvm);
}

static inline struct vapic_vm *vapic_vm_of(struct kvm *kvm)
{
	return to_kvm_vmx(kvm)->pid_table;
}

/* NULL for a vCPU whose local APIC is not KVM's. */
static inline struct vapic_vcpu *vapic_vcpu_of(struct vcpu_vmx *vmx)
{
	return (struct vapic_vcpu *)vmx->pi_wakeup_list.next;
}

/* KVM's pi_desc, which the VMCS names. */
static inline struct vapic_pi_descriptor *vapic_descriptor(struct vcpu_vmx *vmx)
{
	BUILD_BUG_ON(sizeof(vmx->pi_desc) != sizeof(struct vapic_pi_descriptor));
	return (struct vapic_pi_descriptor *)&vmx->pi_desc;
}

static inline void vapic_set_vcpu_of(struct vcpu_vmx *vmx, struct vapic_vcpu *vcpu)
{
	vmx->pi_wakeup_list.next = (struct list_head *)vcpu;
}

/* Enter the table if KVM has accepted the vCPU, which is being loaded. */
void vapic_vmx_enter_table(struct vapic_vcpu *vcpu);

/* Take the vCPU from the waiters of the CPU it is on, if any. */
void vapic_vmx_stop_waiting(struct vapic_vcpu *vcpu);

/* Make room for one more vCPU among the waiters of every CPU; give it back. */
int vapic_vmx_waiters_reserve(void);
void vapic_vmx_waiters_release(void);

/* For init and exit; 0 or an error of the kernel. */
int vapic_vmx_waiters_create(void);
void vapic_vmx_waiters_destroy(void);

#endif
