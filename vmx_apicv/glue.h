/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the glue keeps for a VM and a vCPU on Intel, and how to get from KVM's structures
 * to it.
 *
 * A field of the stock structure points to each object:
 *   kvm_vmx.pid_table              struct vapic_vm
 *   vcpu_vmx.pi_wakeup_list.next   struct vapic_vcpu
 * Stock functions that read the first: vcpu_precreate is replaced; vcpu_create and init_vmcs read
 * it only if enable_ipiv is set, which it is not while vapic is loaded; vm_destroy is wrapped and
 * finds NULL. Those that read the second, pi_load, pi_put and the wakeup handler, are replaced;
 * vcpu_create writes it before vapic stores its pointer there.
 */
#ifndef VAPIC_VMX_APICV_GLUE_H
#define VAPIC_VMX_APICV_GLUE_H

#include <linux/kvm_host.h>
#include <linux/lockdep.h>

#include <asm/vmx.h>

#include <vapic/eligibility.h>
#include <vapic/vmx.h>

#include "../kvm/compat.h"
#include "../kvm/objects.h"
#include "../kvm/layout.h"
#include "../kvm/symbols.h"
#include "../kvm/tracing.h"

struct vapic_vm {
	struct vapic_vm_common common;

	void *pid_table; /* NULL without IPI virtualization */
	u32 pid_entries;
};

/*
 * The CPU among whose waiters a vCPU is, -1 if none.
 *
 * ORDERING waits-on
 *   writers:  the vCPU's own task sets it; that task, the CPU's wakeup handler and a CPU that
 *             dies reset it; all under the lock of that CPU
 *   order:    the handler and the CPU that dies publish -1 as their last access to the vCPU
 *   pairs:    vapic_vmx_stop_waiting(), which reads it first; if it reads -1, the vCPU may be
 *             freed
 *   barrier:  let_go()
 *   if lost:  the handler wakes a vCPU that is freed
 *   checked:  selftest ipi_blocked; selftest host_hotplug
 */
VAPIC_PLAIN_CELL(vapic_vmx_waits_on, int)

struct vapic_vcpu {
	struct vapic_vcpu_common common;
	struct vapic_vm *vm;

	struct vapic_vmx_waits_on waits_on;

	/* The vCPU has yet to enter the VM's PID-pointer table. Its own task only. */
	bool outside;

	/* IPIs that it sends are to exit. Its own task only. */
	bool ipis_exit;

	/* The EOI-exit bitmap that the VMCS holds, and whether KVM has had a newer one. */
	u64 eoi_exits[4];
	bool eoi_exits_stale;

	/* Counts. Only the vCPU's own task writes the first three. */
	struct vapic_count apic_accesses;
	struct vapic_count apic_writes;
	struct vapic_count eoi_exits_taken;
	struct vapic_count wakeups; /* by the wakeup vector; under the lock of CPU waits_on */
	atomic64_t notifications;   /* sent by software */
} __aligned(VAPIC_PI_ALIGN);

/* kvm/host.c relies on common being first. */
static_assert(!offsetof(struct vapic_vcpu, common));

/* Core's part of the object, right behind the glue's. */
static inline struct vapic_pi_vcpu *vapic_core(struct vapic_vcpu *vcpu)
{
	return (struct vapic_pi_vcpu *)(vcpu + 1);
}

/* The caller's task has the vCPU loaded: the vCPU's own task, or the one that makes it. */
static inline struct vapic_pi_loaded vapic_loaded(struct vapic_vcpu *vcpu)
{
	vapic_assert_loaded(&vcpu->common);
	return (struct vapic_pi_loaded){vapic_core(vcpu)};
}

/* The same, with preemption off. */
static inline struct vapic_pi_on_cpu vapic_on_cpu(struct vapic_vcpu *vcpu)
{
	lockdep_assert_preemption_disabled();
	vapic_assert_loaded(&vcpu->common);
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

/* NULL for a vCPU whose local APIC KVM does not emulate. */
static inline struct vapic_vcpu *vapic_vcpu_of(struct vcpu_vmx *vmx)
{
	return (struct vapic_vcpu *)vmx->pi_wakeup_list.next;
}

/* KVM's pi_desc, which the VMCS names. */
static inline struct vapic_pi_descriptor *vapic_descriptor(struct vcpu_vmx *vmx)
{
	return &vmx->pi_desc;
}

static inline void vapic_set_vcpu_of(struct vcpu_vmx *vmx, struct vapic_vcpu *vcpu)
{
	vmx->pi_wakeup_list.next = (struct list_head *)vcpu;
}

/* When the vCPU is loaded: enter the table if KVM has accepted the vCPU. */
void vapic_vmx_enter_table(struct vapic_vcpu *vcpu);

/* As vapic_follow_switches() of kvm/vm_switches.h. */
void vapic_vmx_follow_switches(struct kvm_vcpu *kvm_vcpu);

/* Remove the vCPU from the waiters of the CPU that it waits on, if any. */
void vapic_vmx_stop_waiting(struct vapic_vcpu *vcpu);

/* Make room for one more vCPU among the waiters of every CPU; release that room. */
int vapic_vmx_waiters_reserve(void);
void vapic_vmx_waiters_release(void);

/* For init and exit. Creation returns 0 or a negative errno. */
int vapic_vmx_waiters_create(void);
void vapic_vmx_waiters_destroy(void);

#endif
