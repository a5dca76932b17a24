/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of the kernel's and of KVM's that are others in some of the kernels that vapic is for. The
 * glue uses what is here; which of two is meant is decided by presence.list.
 */
#ifndef VAPIC_KVM_COMPAT_H
#define VAPIC_KVM_COMPAT_H

#include <linux/cc_platform.h>
#include <linux/ftrace.h>
#include <linux/kvm_host.h>
#include <linux/rwsem.h>

#include <asm/apic.h>
#include <asm/msr.h>

#include "layout.h"
#include "presence.h"
#include "symbols.h"

#if VAPIC_HAS_cpuid_api
#include <asm/cpuid/api.h>
#endif

/* ---- ftrace ---- */

/* The sites that the filter of @ops has are to call @stub. */
static inline int vapic_register_direct(struct ftrace_ops *ops, unsigned long stub)
{
#if VAPIC_HAS_register_ftrace_direct_multi
	return register_ftrace_direct_multi(ops, stub);
#else
	return register_ftrace_direct(ops, stub);
#endif
}

/* The filter stays. */
static inline int vapic_unregister_direct(struct ftrace_ops *ops, unsigned long stub)
{
#if VAPIC_HAS_register_ftrace_direct_multi
	return unregister_ftrace_direct_multi(ops, stub);
#else
	return unregister_ftrace_direct(ops, stub, false);
#endif
}

/* ---- The host's APIC ---- */

static __always_inline void vapic_send_ipi(int cpu, int vector)
{
#if VAPIC_HAS_apic_static_calls
	vapic_call(__SCT__apic_call_send_IPI)(cpu, vector);
#else
	apic->send_IPI(cpu, vector);
#endif
}

static __always_inline void vapic_send_ipi_self(int vector)
{
#if VAPIC_HAS_apic_static_calls
	__apic_send_IPI_self(vector);
#else
	apic->send_IPI_self(vector);
#endif
}

/* ---- Encryption ---- */

#ifndef KVM_X86_SEV_VM
#define KVM_X86_DEFAULT_VM 0
#define KVM_X86_SEV_VM 2
#define KVM_X86_SEV_ES_VM 3
#define KVM_X86_SNP_VM 4
#endif

/* A kernel without types knows no VM that has been encrypted from its creation on. */
static inline unsigned long vapic_vm_type(const struct kvm *kvm)
{
#if VAPIC_HAS_vm_type
	return kvm->arch.vm_type;
#else
	return KVM_X86_DEFAULT_VM;
#endif
}

/* A kernel that does not know SEV-SNP of a host does not turn it on. */
static inline bool vapic_host_snp(void)
{
#if VAPIC_HAS_host_snp
	return cc_platform_has(CC_ATTR_HOST_SEV_SNP);
#else
	return false;
#endif
}

#ifndef X86_FEATURE_HV_INUSE_WR_ALLOWED
#define X86_FEATURE_HV_INUSE_WR_ALLOWED (19 * 32 + 30)
#endif

/* ---- KVM ---- */

#if !VAPIC_HAS_APICV_INHIBIT_REASON_DISABLED
#define APICV_INHIBIT_REASON_DISABLED APICV_INHIBIT_REASON_DISABLE
#endif

#if !VAPIC_HAS_aliased_ids
/* Of vapic, beyond those of KVM: lapic/map_glue.c sets them. */
#define APICV_INHIBIT_REASON_PHYSICAL_ID_ALIASED ((enum kvm_apicv_inhibit)30)
#define APICV_INHIBIT_REASON_LOGICAL_ID_ALIASED ((enum kvm_apicv_inhibit)31)
#endif

/* Of vapic as well: the VM's switch (vm_switches.c). */
#define APICV_INHIBIT_REASON_SWITCHED ((enum kvm_apicv_inhibit)29)

/* Said of a VM with a vCPU that the tables cannot name. */
#if VAPIC_HAS_APICV_INHIBIT_REASON_PHYSICAL_ID_TOO_BIG
#define VAPIC_INHIBIT_ID_BEYOND APICV_INHIBIT_REASON_PHYSICAL_ID_TOO_BIG
#else
#define VAPIC_INHIBIT_ID_BEYOND APICV_INHIBIT_REASON_DISABLED
#endif

/* Reasons that KVM sets and never takes back. */
#define VAPIC_LASTING_INHIBITS                                                                     \
	(BIT(APICV_INHIBIT_REASON_DISABLED) | BIT(APICV_INHIBIT_REASON_SEV) |                      \
	 BIT(APICV_INHIBIT_REASON_APIC_BASE_MODIFIED) | BIT(VAPIC_INHIBIT_ID_BEYOND))

/* Why KVM does not accelerate a VM, with names, as some kernels have it in a header. */
#ifndef APICV_INHIBIT_REASONS
#define VAPIC_INHIBIT(reason)                                                                      \
	{                                                                                          \
		BIT(APICV_INHIBIT_REASON_##reason), #reason                                        \
	}
#if VAPIC_HAS_APICV_INHIBIT_REASON_PHYSICAL_ID_TOO_BIG
#define VAPIC_INHIBIT_TOO_BIG , VAPIC_INHIBIT(PHYSICAL_ID_TOO_BIG)
#else
#define VAPIC_INHIBIT_TOO_BIG
#endif
#define APICV_INHIBIT_REASONS                                                                      \
	VAPIC_INHIBIT(DISABLED), VAPIC_INHIBIT(HYPERV), VAPIC_INHIBIT(ABSENT),                     \
		VAPIC_INHIBIT(BLOCKIRQ), VAPIC_INHIBIT(PHYSICAL_ID_ALIASED),                       \
		VAPIC_INHIBIT(APIC_ID_MODIFIED), VAPIC_INHIBIT(APIC_BASE_MODIFIED),                \
		VAPIC_INHIBIT(NESTED), VAPIC_INHIBIT(IRQWIN), VAPIC_INHIBIT(PIT_REINJ),            \
		VAPIC_INHIBIT(SEV), VAPIC_INHIBIT(LOGICAL_ID_ALIASED) VAPIC_INHIBIT_TOO_BIG
#endif

#if !VAPIC_HAS_wrmsrq
#define wrmsrq wrmsrl
#define rdmsrq_safe rdmsrl_safe
#endif

/* Bits of kvm_vcpu_arch.apic_attention. */
#ifndef KVM_APIC_CHECK_VAPIC
#define KVM_APIC_CHECK_VAPIC 0
#define KVM_APIC_PV_EOI_PENDING 1
#endif

/* Make the vCPU look at its requests: wake it if it sleeps, interrupt it if it is in the guest. */
static __always_inline void vapic_kvm_kick(struct kvm_vcpu *vcpu)
{
#if VAPIC_HAS_kvm_vcpu_kick
	vapic_call(kvm_vcpu_kick)(vcpu);
#else
	vapic_call(__kvm_vcpu_kick)(vcpu, false);
#endif
}

/* Set or clear a reason for which the whole VM is inhibited. May sleep. */
static inline void vapic_kvm_change_inhibit(struct kvm *kvm, enum kvm_apicv_inhibit reason,
					    bool set)
{
	down_write(&kvm->arch.apicv_update_lock);
#if VAPIC_HAS_apicv_nr_irq_window_req
	/* KVM counts requests, and looks at the count alone. Ours all count as one. */
	if (reason == APICV_INHIBIT_REASON_IRQWIN)
		atomic_set(&kvm->arch.apicv_nr_irq_window_req, set);
#endif
	vapic_call(__kvm_set_or_clear_apicv_inhibit)(kvm, reason, set);
	up_write(&kvm->arch.apicv_update_lock);
}

/* The ID of a CPU's own APIC. */
static __always_inline u32 vapic_kvm_apic_id(int cpu)
{
#if VAPIC_HAS_kvm_cpu_get_apicid
	return kvm_cpu_get_apicid(cpu);
#else
	return cpu_physical_id(cpu);
#endif
}

/* HLT does not exit, as user space has asked. */
static __always_inline bool vapic_kvm_hlt_in_guest(struct kvm *kvm)
{
#if VAPIC_HAS_hlt_in_guest
	return kvm->arch.hlt_in_guest;
#else
	return kvm->arch.disabled_exits & KVM_X86_DISABLE_EXITS_HLT;
#endif
}

/* Whether the cached exit qualification is that of the last exit; from now on it is. */
static __always_inline bool vapic_kvm_exit_info_cached(struct kvm_vcpu *vcpu)
{
#if VAPIC_HAS_VCPU_REG_EXIT_INFO_1
	return __test_and_set_bit(VCPU_REG_EXIT_INFO_1, vcpu->arch.regs_avail);
#else
	return __test_and_set_bit(VCPU_EXREG_EXIT_INFO_1, (unsigned long *)&vcpu->arch.regs_avail);
#endif
}

/* A bit for each register that the guest may read in x2APIC mode, TMCCT or not. */
static __always_inline u64 vapic_kvm_readable(struct kvm_vcpu *vcpu)
{
#if VAPIC_HAS_kvm_lapic_readable_reg_mask
	return vapic_call(kvm_lapic_readable_reg_mask)(vcpu->arch.apic);
#elif VAPIC_HAS_kvm_x2apic_disable_read_intercept_reg_mask
	return vapic_call(kvm_x2apic_disable_read_intercept_reg_mask)(vcpu);
#else
	u64 ids = BIT_ULL(0x02) | BIT_ULL(0x03) | BIT_ULL(0x0d);
	u64 priorities = BIT_ULL(0x08) | BIT_ULL(0x0a) | BIT_ULL(0x0f);
	u64 interrupts = GENMASK_ULL(0x28, 0x10) | BIT_ULL(0x30);
	u64 timer = BIT_ULL(0x38) | BIT_ULL(0x39) | BIT_ULL(0x3e);
	u64 local = GENMASK_ULL(0x37, 0x32);

	if (vcpu->arch.apic->nr_lvt_entries > 6)
		local |= BIT_ULL(0x2f);
	return ids | priorities | interrupts | local | timer;
#endif
}

/* Whether the IOMMU posts to the VM, or will. */
static __always_inline bool vapic_kvm_has_devices(struct kvm *kvm)
{
#if VAPIC_HAS_nr_possible_bypass_irqs
	return READ_ONCE(kvm->arch.nr_possible_bypass_irqs);
#else
	return atomic_read(&kvm->arch.assigned_device_count);
#endif
}

#endif
