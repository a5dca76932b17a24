// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says whether an interrupt is pending. KVM asks before each sleep and in each round of polling
 * for an interrupt, in the vCPU's task.
 *
 * Stock computes the processor's priority first, from a scan of the ISR, then scans the IRR,
 * though the IRR is nearly always empty. Here the IRR comes first, and the priority is computed
 * only if the IRR holds something.
 */
#include <asm/apicdef.h>

#include <vapic/lapic_hot.h>

#include "glue.h"

static __always_inline bool enabled(struct kvm_vcpu *kvm_vcpu)
{
	return kvm_vcpu->arch.apic_base & MSR_IA32_APICBASE_ENABLE;
}

/* An interrupt that bypasses the APIC: from a PIC, or for Xen. The APIC must be enabled. */
static __always_inline bool has_extint(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic)
{
	u32 lint0 = vapic_lapic_read(apic->regs, APIC_LVT0);

#ifdef CONFIG_KVM_XEN
	if (unlikely(kvm_vcpu->arch.xen.vcpu_info_cache.active))
		return vapic_call(kvm_cpu_has_extint)(kvm_vcpu);
#endif
	if ((lint0 & (APIC_LVT_MASKED | APIC_MODE_MASK)) != APIC_DM_EXTINT)
		return false;
	/* LINT0 is as RESET leaves it: the guest does not use the APIC for its devices. */
	if (likely(READ_ONCE(kvm_vcpu->kvm->arch.irqchip_mode) == KVM_IRQCHIP_KERNEL))
		return READ_ONCE(kvm_vcpu->kvm->arch.vpic->output);
	return vapic_call(kvm_cpu_has_extint)(kvm_vcpu);
}

/*
 * A pending interrupt waits for the priority to fall. KVM notices that by comparing with the
 * PPR in the page, so bring PPR up to date: even without acceleration hardware may have written
 * TPR, and PPR does not follow TPR by itself. While no interrupt waits, PPR may be stale:
 * whoever makes an interrupt pending makes KVM ask again.
 */
static noinline int hold(struct kvm_lapic *apic)
{
	vapic_lapic_update_ppr(apic->regs);
	return -1;
}

static __always_inline int highest_irr(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic)
{
	if (vapic_lapic_posted)
		return vapic_op(sync_pir_to_irr)(kvm_vcpu);
	if (!vapic_irr_pending_load(vapic_irr_pending(apic)))
		return -1;
	return vapic_kvm_vector(vapic_lapic_highest(apic->regs, APIC_IRR));
}

/* The vector to inject now, or -1. */
static __always_inline int deliverable(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic)
{
	int vector = highest_irr(kvm_vcpu, apic);

	if (likely(vector < 0))
		return -1;
	if (!vapic_lapic_takes(apic->regs, vector, vapic_apic_in_service(apic)))
		return hold(apic);
	return vector;
}

/* The APIC is not KVM's, or is disabled: only an interrupt that bypasses it can be pending. */
static noinline bool has_only_extint(struct kvm_vcpu *kvm_vcpu)
{
	return vapic_call(kvm_cpu_has_extint)(kvm_vcpu);
}

static noinline int has_interrupt_traced(struct kvm_vcpu *kvm_vcpu)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	int vector;

	if (has_extint(kvm_vcpu, apic))
		return true;
	vector = deliverable(kvm_vcpu, apic);
	/* Where interrupts are posted, what takes them from there has said so. */
	if (vector >= 0 && !vapic_lapic_posted && vapic_apicv_active(apic))
		trace_vapic_found(kvm_vcpu, vector, VAPIC_FOUND_BY_CHECK);
	return vector >= 0;
}

int vapic_hook_kvm_cpu_has_interrupt(struct kvm_vcpu *kvm_vcpu)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;

	if (unlikely(!apic) || unlikely(!enabled(kvm_vcpu)))
		return has_only_extint(kvm_vcpu);
	if (trace_vapic_found_enabled())
		return has_interrupt_traced(kvm_vcpu);
	return has_extint(kvm_vcpu, apic) || deliverable(kvm_vcpu, apic) >= 0;
}
