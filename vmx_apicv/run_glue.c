// SPDX-License-Identifier: GPL-2.0-only
/*
 * What runs for every interrupt: its delivery, and what a vCPU does before it enters the guest.
 */
#include <asm/apic.h>
#include <asm/irq_vectors.h>

#include <vapic/lapic_hot.h>
#include <vapic/vmx_hot.h>

#include "../kvm/hooks.h"
#include "../lapic/glue.h"
#include "glue.h"
#include "vmcs_glue.h"

/*
 * If the vCPU was last on this CPU, it cannot be in the guest here any more, even if this task
 * has only just moved here, and it looks at ON before it enters the guest again. If it moves
 * meanwhile, the interrupt does nothing on the CPU where it arrives.
 */
static __always_inline enum vapic_announcement interrupt_and_say(struct kvm_vcpu *kvm_vcpu,
								 int vector)
{
	int cpu = READ_ONCE(kvm_vcpu->cpu);

	if (cpu == raw_smp_processor_id())
		return VAPIC_ANNOUNCED_BY_ENTRY;
	vapic_send_ipi(cpu, vector);
	atomic64_inc(&vapic_vcpu_of(to_vmx(kvm_vcpu))->notifications);
	return VAPIC_ANNOUNCED_BY_NOTIFICATION;
}

static noinline void interrupt(struct kvm_vcpu *kvm_vcpu, int vector)
{
	interrupt_and_say(kvm_vcpu, vector);
}

/*
 * Something was posted, with a full barrier after it. A vCPU that is neither in the guest nor
 * asleep looks at ON before it becomes either, but after it has written kvm_vcpu->mode or
 * kvm_vcpu->wait. What this returns means something only if the caller wants it to @say how, which
 * costs more.
 */
static __always_inline enum vapic_announcement notify(struct kvm_vcpu *kvm_vcpu, int vector,
						      bool say)
{
	bool in_guest = READ_ONCE(kvm_vcpu->mode) == IN_GUEST_MODE;

	if (in_guest && say)
		return interrupt_and_say(kvm_vcpu, vector);
	if (in_guest) {
		interrupt(kvm_vcpu, vector);
		return VAPIC_ANNOUNCED_BY_NOTIFICATION;
	}
	if (!kvm_vcpu_is_blocking(kvm_vcpu))
		return VAPIC_ANNOUNCED_BY_ENTRY;
	vapic_call(kvm_vcpu_wake_up)(kvm_vcpu);
	return VAPIC_ANNOUNCED_BY_WAKEUP;
}

/*
 * True if @vector is the notification vector that the nested guest's hypervisor has chosen: the
 * posted interrupt is in that hypervisor's descriptor, which KVM has mapped. A nested guest that
 * uses no posted interrupts has no descriptor; posted_intr_nv is -1 then, but 6.1 keeps that of the
 * nested guest before.
 */
static noinline bool deliver_nested(struct kvm_vcpu *kvm_vcpu, struct vcpu_vmx *vmx, int vector,
				    enum vapic_announcement *how)
{
	if (vector != READ_ONCE(vmx->nested.posted_intr_nv) || !READ_ONCE(vmx->nested.pi_desc))
		return false;

	/* If hardware does not take it in time, KVM takes it at the next entry. */
	vmx->nested.pi_pending = true;
	kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	/* The request must be visible before kvm_vcpu->mode is read. */
	smp_mb__after_atomic();
	*how = notify(kvm_vcpu, POSTED_INTR_NESTED_VECTOR, true);
	return true;
}

/* KVM delivers to a vCPU that is not accelerated: make it look at the IRR. */
static noinline void deliver_inactive(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic, int vector)
{
	vapic_lapic_set_irr(apic->regs, vector);
	/* Set after the bit: KVM clears the flag, looks at the IRR, and sets the flag again. */
	vapic_set_irr_pending(apic);
	/* The vCPU may be accelerated again by now. */
	vapic_pi_vcpu_unsettle(vapic_core(vapic_vcpu_of(to_vmx(kvm_vcpu))));
	kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	vapic_kvm_kick(kvm_vcpu);
}

/* BY_KICK means that the vCPU is not accelerated; the rest is as with notify(). */
static __always_inline enum vapic_announcement deliver(struct kvm_vcpu *kvm_vcpu,
						       struct kvm_lapic *apic, int vector, bool say)
{
	if (unlikely(!vapic_apicv_active(apic))) {
		deliver_inactive(kvm_vcpu, apic, vector);
		return VAPIC_ANNOUNCED_BY_KICK;
	}
	if (!vapic_pi_post(vapic_descriptor(to_vmx(kvm_vcpu)), vector))
		return VAPIC_ANNOUNCED_BEFORE;
	return notify(kvm_vcpu, POSTED_INTR_VECTOR, say);
}

static noinline void deliver_rare(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic,
				  int delivery_mode, int trig_mode, int vector)
{
	bool traced = vapic_interrupt_is_traced();
	enum vapic_announcement how;

	if (traced)
		vapic_trace_handed_over(kvm_vcpu, vector, trig_mode);
	if (!vapic_guest_mode(kvm_vcpu) ||
	    !deliver_nested(kvm_vcpu, to_vmx(kvm_vcpu), vector, &how))
		how = deliver(kvm_vcpu, apic, vector, true);
	if (how != VAPIC_ANNOUNCED_BY_KICK)
		vapic_trace_kvm_apicv_accept_irq(kvm_vcpu->vcpu_id, delivery_mode, trig_mode,
						 vector);
	if (traced)
		vapic_trace_announced(kvm_vcpu, vector, how);
}

void vapic_vmx_deliver_interrupt(struct kvm_lapic *apic, int delivery_mode, int trig_mode,
				 int vector)
{
	struct kvm_vcpu *kvm_vcpu = apic->vcpu;

	/* Kept apart, like all that is not a tail call: else each delivery would save registers. */
	if (vapic_interrupt_is_traced() || unlikely(vapic_traced_kvm_apicv_accept_irq()) ||
	    unlikely(vapic_guest_mode(kvm_vcpu)))
		deliver_rare(kvm_vcpu, apic, delivery_mode, trig_mode, vector);
	else
		deliver(kvm_vcpu, apic, vector, false);
}

/* Set RVI, a byte of the guest interrupt status, to @vector, or to 0 if @vector is -1. */
static void set_rvi(int vector)
{
	u16 old = vapic_vmcs_read(GUEST_INTR_STATUS);
	u16 new = (old & ~VAPIC_PI_RVI) | (vector < 0 ? 0 : vector);

	if (new != old)
		vapic_vmcs_write(GUEST_INTR_STATUS, new);
}

/*
 * Without virtual-interrupt delivery the processor compares TPR with a threshold, and in x2APIC
 * mode the entry fails if TPR is below it. When the guest lowers TPR that far, it exits, and KVM
 * computes PPR; but 6.1 leaves the threshold alone if no interrupt can be injected because another
 * one is in service. Before each entry this brings it down, but with an APIC that is disabled, of
 * which KVM asks nothing: there the threshold may stay stale, as in stock 6.1. @highest is that of
 * the IRR.
 */
static void lower_threshold(struct kvm_lapic *apic, int highest)
{
#if !VAPIC_HAS_kvm_lapic_update_cr8_intercept
	u32 tpr = vapic_lapic_read(apic->regs, APIC_TASKPRI) >> 4;

	if (vapic_vmcs_read(TPR_THRESHOLD) > tpr)
		vapic_vmcs_write(TPR_THRESHOLD,
				 highest >= 0 && highest >> 4 <= tpr ? highest >> 4 : 0);
#endif
}

/* KVM writes that the vCPU is in the guest before it asks for the last time. */
static noinline struct vapic_pi_irr sync_traced(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu,
						bool to_rvi)
{
	enum vapic_place by = READ_ONCE(kvm_vcpu->mode) == IN_GUEST_MODE ? VAPIC_FOUND_BY_ENTRY :
									   VAPIC_FOUND_BY_CHECK;
	struct vapic_traced_irr before = vapic_trace_irr(kvm_vcpu);
	struct vapic_pi_irr irr = vapic_pi_vcpu_sync(vapic_loaded(vcpu), to_rvi);

	vapic_trace_found(kvm_vcpu, &before, by);
	return irr;
}

/* Something was posted, or RVI is unknown, or RVI does not count (in a nested guest). */
static noinline int sync(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	bool active = vapic_apicv_active(apic);
	bool to_rvi = active && !vapic_guest_mode(kvm_vcpu);
	struct vapic_pi_irr irr;
	int highest;

	if (trace_vapic_found_enabled())
		irr = sync_traced(kvm_vcpu, vcpu, to_rvi);
	else
		irr = vapic_pi_vcpu_sync(vapic_loaded(vcpu), to_rvi);
	highest = vapic_kvm_vector(irr.highest);
	if (to_rvi) {
		set_rvi(highest);
		return highest;
	}

	if (!active && !vapic_guest_mode(kvm_vcpu))
		lower_threshold(apic, highest);
	/* Without virtual-interrupt delivery, tell KVM and keep its irr_pending true. */
	if (irr.fresh) {
		if (!active)
			vapic_set_irr_pending(apic);
		kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	}
	return highest;
}

int vapic_vmx_sync_pir_to_irr(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));
	int rvi;

	if (unlikely(vapic_guest_mode(kvm_vcpu)) || !vapic_pi_vcpu_settled(vapic_core(vcpu)))
		return sync(kvm_vcpu, vcpu);

	/* Sync without APICv leaves RVI unknown, so APICv is on here. */
	rvi = vapic_vmcs_read(GUEST_INTR_STATUS) & VAPIC_PI_RVI;
	return rvi ?: -1;
}

#if VAPIC_HAS_hwapic_irr_update
/*
 * KVM has changed the IRR in the page; @max_irr is its highest vector now. While a nested guest
 * runs, the current VMCS is the nested guest's.
 */
void vapic_vmx_hwapic_irr_update(struct kvm_vcpu *kvm_vcpu, int max_irr)
{
	if (vapic_guest_mode(kvm_vcpu))
		vapic_pi_vcpu_unsettle(vapic_core(vapic_vcpu_of(to_vmx(kvm_vcpu))));
	else
		set_rvi(max_irr);
}
#endif

/* KVM is about to write the page anew: nothing posted before may get into it. */
void vapic_vmx_apicv_pre_state_restore(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));

	if (vcpu)
		vapic_pi_vcpu_discard(vapic_loaded(vcpu));
}

void vapic_vmx_load_eoi_exitmap(struct kvm_vcpu *kvm_vcpu, u64 *eoi_exit_bitmap)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));
	int i;

	/* KVM calls this only for vCPUs whose local APIC it emulates, and once per bitmap. */
	if (!vapic_apicv_active(kvm_vcpu->arch.apic)) {
		vcpu->eoi_exits_stale = true;
		return;
	}
	/* Do not write the nested guest's VMCS; KVM calls again when that guest has exited. */
	if (vapic_guest_mode(kvm_vcpu)) {
		kvm_vcpu->arch.load_eoi_exitmap_pending = true;
		return;
	}

	/* Nearly always this is four comparisons and no more. */
#pragma GCC unroll 4
	for (i = 0; i < ARRAY_SIZE(vcpu->eoi_exits); i++) {
		if (vcpu->eoi_exits[i] == eoi_exit_bitmap[i])
			continue;
		vcpu->eoi_exits[i] = eoi_exit_bitmap[i];
		/* One field of 64 bits takes two encodings. */
		vapic_vmcs_write(EOI_EXIT_BITMAP0 + 2 * i, eoi_exit_bitmap[i]);
	}
}

#if VAPIC_HAS_check_apicv_inhibit_reasons
/*
 * Whether a reason counts. That for aliased IDs is vapic's, and so is the switch. Logical IDs need
 * none: hardware sends no IPIs by them, or only in x2APIC mode, where they follow from the physical
 * ones.
 */
bool vapic_vmx_check_apicv_inhibit_reasons(enum kvm_apicv_inhibit reason)
{
	return reason == APICV_INHIBIT_REASON_PHYSICAL_ID_ALIASED ||
	       reason == APICV_INHIBIT_REASON_SWITCHED ||
	       vapic_vmx_stock(check_apicv_inhibit_reasons)(reason);
}
#endif

/* On a SIPI, forget an earlier paravirtual kick, so that it does not end a later halt. */
void vapic_vmx_vcpu_deliver_sipi_vector(struct kvm_vcpu *kvm_vcpu, u8 vector)
{
	kvm_vcpu->arch.pv.pv_unhalted = false;
	vapic_vmx_stock(vcpu_deliver_sipi_vector)(kvm_vcpu, vector);
}
