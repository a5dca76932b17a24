/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the glue keeps for a VM and a vCPU, and how to get from KVM's structures to it.
 *
 * Fields of the stock structures that only replaced functions read point to both objects
 * (Documentation/borrowed-fields.rst lists all readers):
 *   kvm_svm.avic_physical_id_table_page   struct vapic_vm
 *   vcpu_svm.avic_backing_page            struct vapic_vcpu
 *   vcpu_svm.avic_physical_id_cache       the same, or NULL if the vCPU is never accelerated
 * Newer kernels do not have these. There avic_logical_id_table, ir_list.next and
 * avic_physical_id_entry do the same (kvm/layout.list), under the names above.
 * While vapic is loaded, no stock code that reads them runs except avic_vm_destroy(); the first
 * field is NULL again by then. The other two are NULL again before KVM frees their structure.
 */
#ifndef VAPIC_AVIC_GLUE_H
#define VAPIC_AVIC_GLUE_H

#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <asm/cpufeature.h>
#include <asm/svm.h>

#include <vapic/avic.h>
#include <vapic/eligibility.h>
#include <vapic/hw/cell.h>

#include "../kvm/compat.h"
#include "../kvm/objects.h"
#include "../kvm/layout.h"
#include "../kvm/symbols.h"
#include "../kvm/tracing.h"

/* The PIT of a VM, while KVM reinjects its ticks: pit_glue.c. */
struct vapic_pit {
	struct mutex lock; /* of all below; outside of KVM's lock of inhibits */
	bool reinjects;
	bool inhibits;
	bool behind;	     /* some tick has found the last one not taken since calm_down() ran */
	int backlog;	     /* ticks that were due when calm_down() ran */
	struct kvm_pit *pit; /* valid while it reinjects, once it has ticked */
	u64 ticks;	     /* that have come */
	u64 suspect;	     /* how many had when look_again was queued */
	struct work_struct look_again;
	struct delayed_work calm_down;
};

/* The page at the address of a VM's APICs: apic_page_glue.c. */
struct vapic_apic_page {
	bool going; /* somebody has begun to remove it */
	bool gone;  /* for good; kvm->slots_lock */
	struct kvm *kvm;
	struct callback_head work;
};

/*
 * Core's object of a VM, NULL until there is one.
 *
 * ORDERING tables-made
 *   writers:  vapic_svm_vcpu_precreate(), under kvm->lock, before the first vCPU; the end of the VM
 *   order:    none: vCPUs, which use the object, are made after it, by whom holds the lock. The PIT's
 *             thread asks only whether there is one
 *   pairs:    nothing
 *   barrier:  none
 *   if lost:  a tick of the PIT is not looked for, as before there was a vCPU
 *   checked:  selftest pit_ticks
 */
VAPIC_POINTER_CELL(vapic_avic_vm_at, struct vapic_avic_vm)

struct vapic_vm {
	struct vapic_vm_common common;

	/* From its first vCPU on, if any may be accelerated; NULL until then. */
	struct vapic_avic_vm_at core;
	void *physical_table;
	void *logical_table;
	u32 ids; /* how many APIC IDs the tables can name */

	/*
	 * How many vCPUs have the whole VM inhibited for their interrupt windows. The lock
	 * makes the count and KVM's inhibit change together.
	 */
	struct mutex irq_window_lock;
	unsigned int irq_windows;

	struct vapic_pit pit;

#if !VAPIC_HAS_inhibited_apic_page
	struct vapic_apic_page apic_page;
#endif

	/* Of assigned devices: posting_glue.c. The first's lock protects changes of both. */
	struct xarray interrupts; /* by their numbers in the host */
	u32 tag;		  /* the VM's number in tags, kept from the first interrupt on */
};

struct vapic_vcpu {
	struct vapic_vcpu_common common;
	struct vapic_vm *vm;
	enum vapic_decision never; /* why it is never accelerated, or VAPIC_ACCELERATED */
	bool irq_window;	   /* counted in irq_windows; read by the vCPU's own task only */
	bool hidden;		   /* IPIs to it are to exit; likewise */
	bool each_hlt_exits;	   /* likewise */

	/* Interrupts of assigned devices that name it: posting_glue.c. */
	raw_spinlock_t posting_lock; /* of the list and the count; inside of the VM's interrupts */
	struct list_head interrupts;
	struct vapic_count interrupt_count;
	atomic64_t logged; /* entries in the IOMMU's log */
} __aligned(VAPIC_AVIC_ALIGN);

/* kvm/host.c relies on common being first. */
static_assert(!offsetof(struct vapic_vcpu, common));

/* Core's part of the object, right behind the glue's. */
static inline struct vapic_avic_vcpu *vapic_core(struct vapic_vcpu *vcpu)
{
	return (struct vapic_avic_vcpu *)(vcpu + 1);
}

/* The caller's task has the vCPU loaded, and preemption is off. */
static inline struct vapic_avic_on_cpu vapic_on_cpu(struct vapic_vcpu *vcpu)
{
	lockdep_assert_preemption_disabled();
	vapic_assert_loaded(&vcpu->common);
	return (struct vapic_avic_on_cpu){vapic_core(vcpu)};
}

/* The caller makes the vCPU, which nobody else knows yet, and preemption is off. */
static inline struct vapic_avic_on_cpu vapic_new_on_cpu(struct vapic_vcpu *vcpu)
{
	lockdep_assert_preemption_disabled();
	lockdep_assert(!vcpu->common.kvm_vcpu);
	return (struct vapic_avic_on_cpu){vapic_core(vcpu)};
}

/* The caller holds the vCPU's posting lock. */
static inline struct vapic_avic_posting_locked vapic_avic_posting_locked(struct vapic_vcpu *vcpu)
{
	lockdep_assert_held(&vcpu->posting_lock);
	return (struct vapic_avic_posting_locked){vapic_core(vcpu)};
}

static inline struct vcpu_svm *to_svm(struct kvm_vcpu *kvm_vcpu)
{
	return container_of(kvm_vcpu, struct vcpu_svm, vcpu);
}

static inline struct kvm_svm *to_kvm_svm(struct kvm *kvm)
{
	return container_of(kvm, struct kvm_svm, kvm);
}

/* Whether the guest's memory is encrypted, and its registers, too. */
static inline bool vapic_is_sev(struct kvm *kvm)
{
#if VAPIC_HAS_kvm_svm__sev_info
	return to_kvm_svm(kvm)->sev_info.active;
#else
	return false;
#endif
}

static inline bool vapic_is_sev_es(struct kvm *kvm)
{
#if VAPIC_HAS_kvm_svm__sev_info
	return to_kvm_svm(kvm)->sev_info.es_active;
#else
	return false;
#endif
}

static inline struct vapic_vm *vapic_vm_of(struct kvm *kvm)
{
	return to_kvm_svm(kvm)->avic_physical_id_table_page;
}

/* NULL for a vCPU whose local APIC KVM does not emulate. */
static inline struct vapic_vcpu *vapic_listed_vcpu_of(struct vcpu_svm *svm)
{
	return svm->avic_backing_page;
}

/* NULL for a vCPU that has no entry in the tables, which is never accelerated. */
static inline struct vapic_vcpu *vapic_vcpu_of(struct vcpu_svm *svm)
{
	return svm->avic_physical_id_cache;
}

/* Whether the processor accelerates x2APIC mode. */
static inline bool vapic_has_x2avic(void)
{
	return boot_cpu_has(X86_FEATURE_X2AVIC);
}

/* What not all kernels have names for. */
#define VAPIC_FEATURE_IDLE_HLT (15 * 32 + 30)
#define VAPIC_INTERCEPT_IDLE_HLT 166
#define VAPIC_EXIT_IDLE_HLT 0xa6

/* Whether the processor has an intercept of HLT that spares a vCPU with an interrupt pending. */
static inline bool vapic_has_idle_hlt(void)
{
	return boot_cpu_has(VAPIC_FEATURE_IDLE_HLT);
}

/* Bits of the VMCB's clean field, named after the words that each covers. */
enum vmcb_clean_bits {
	VMCB_CLEAN_INTERCEPTS = 0,
	VMCB_CLEAN_INT_CTL = 3,
	VMCB_CLEAN_AVIC = 11,
};

/* Intercepts in the VMCB of the outer guest have changed: make the current VMCB follow. */
static inline void vapic_recalc_intercepts(struct vcpu_svm *svm)
{
#if VAPIC_HAS_recalc_intercepts
	vapic_call(recalc_intercepts)(svm);
#else
	svm->vmcb01.ptr->control.clean &= ~BIT(VMCB_CLEAN_INTERCEPTS);
	if (vapic_guest_mode(&svm->vcpu))
		vapic_call(nested_vmcb02_recalc_intercepts)(svm);
#endif
}

static inline bool vapic_x2apic_mode(struct kvm_vcpu *kvm_vcpu)
{
	return kvm_vcpu->arch.apic_base & X2APIC_ENABLE;
}

/*
 * A vCPU is in x2APIC mode. Unless hardware accelerates that, take away what is mapped at the
 * address of the VM's APICs, before the task enters a guest again.
 */
#if VAPIC_HAS_inhibited_apic_page
static inline void vapic_avic_remove_apic_page(struct vapic_vm *vm, struct kvm *kvm) {}
#else
void vapic_avic_remove_apic_page(struct vapic_vm *vm, struct kvm *kvm);
#endif

/* Make the CPU that runs @kvm_vcpu look at its IRR; do nothing if that is this CPU. Says how. */
enum vapic_announcement vapic_avic_ring_doorbell(struct kvm_vcpu *kvm_vcpu);

/* Bring the vCPU's logical entry in line with its registers: vapic_avic_vcpu_sync_logical(). */
static inline void vapic_avic_sync_logical(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	vapic_avic_vcpu_sync_logical(vapic_core(vcpu), vapic_x2apic_mode(kvm_vcpu));
	if (trace_vapic_table_enabled())
		vapic_trace_logical(kvm_vcpu);
}

/* As vapic_follow_switches() of kvm/vm_switches.h. */
void vapic_avic_follow_switches(struct kvm_vcpu *kvm_vcpu);

/* KVM begins or ends to reinject the PIT's ticks; ends before it destroys the PIT. May sleep. */
void vapic_avic_pit_set_reinject(struct kvm *kvm, bool on);
void vapic_avic_pit_end_vm(struct vapic_vm *vm);
void vapic_avic_pit_init(struct vapic_vm *vm);

/*
 * Interrupts of assigned devices. A vCPU's end comes before it leaves the tables. The VM's comes
 * before any vCPU that was in the tables is freed: behind it nobody finds one by the IOMMU's log.
 * The ends may sleep.
 */
void vapic_avic_posting_init_vm(struct vapic_vm *vm);
void vapic_avic_posting_end_vm(struct vapic_vm *vm);
void vapic_avic_posting_init_vcpu(struct vapic_vcpu *vcpu);
void vapic_avic_posting_end_vcpu(struct vapic_vcpu *vcpu);

/* Stop inhibiting the VM for an interrupt window of the vCPU, if it is. May sleep. */
void vapic_avic_irq_window_close(struct vapic_vcpu *vcpu);

/*
 * Called in the vCPU's own task when AVIC is on again. Hardware would ignore a window that KVM
 * has asked for meanwhile, so withdraw the request and make KVM look for interrupts anew.
 */
void vapic_avic_irq_window_ask_again(struct kvm_vcpu *kvm_vcpu);

#endif
