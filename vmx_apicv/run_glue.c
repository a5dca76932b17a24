// SPDX-License-Identifier: GPL-2.0-only
/*
 * The paths of every interrupt: delivery, and what a vCPU does before it enters the guest.
 */
#include <asm/apic.h>
#include <asm/irq_vectors.h>

#include <vapic/lapic_hot.h>
#include <vapic/vmx_hot.h>

#include "../kvm/hooks.h"
#include "glue.h"
#include "vmcs_glue.h"

/*
 * On this CPU the vCPU cannot be in the guest any more, and looks before it is again, even if
 * this task has only now come here. If it moves meanwhile, the interrupt does nothing where it
 * arrives.
 */
static noinline void interrupt(struct kvm_vcpu *kvm_vcpu, int vector)
{
	int cpu = READ_ONCE(kvm_vcpu->cpu);

	if (cpu == raw_smp_processor_id())
		return;
	vapic_call(__SCT__apic_call_send_IPI)(cpu, vector);
	atomic64_inc(&vapic_vcpu_of(to_vmx(kvm_vcpu))->notifications);
}

/*
 * Something was posted, with a full barrier behind it. A vCPU that is neither in the guest
 * nor asleep looks before it becomes either: after it has written its mode, or that it
 * waits.
 */
static __always_inline void notify(struct kvm_vcpu *kvm_vcpu, int vector)
{
	if (READ_ONCE(kvm_vcpu->mode) == IN_GUEST_MODE)
		interrupt(kvm_vcpu, vector);
	else if (kvm_vcpu_is_blocking(kvm_vcpu))
		vapic_call(kvm_vcpu_wake_up)(kvm_vcpu);
}

/*
 * The notification vector that a nested guest's own hypervisor has chosen: what is posted
 * is in that one's descriptor. posted_intr_nv is -1 unless it uses posted interrupts.
 */
static noinline bool deliver_nested(struct kvm_vcpu *kvm_vcpu, struct vcpu_vmx *vmx, int vector)
{
	if (vector != READ_ONCE(vmx->nested.posted_intr_nv))
		return false;

	/* If hardware does not take it in time, KVM does at the next entry. */
	vmx->nested.pi_pending = true;
	kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	/* The request, then the look at kvm_vcpu->mode. */
	smp_mb__after_atomic();
	notify(kvm_vcpu, POSTED_INTR_NESTED_VECTOR);
	return true;
}

/* KVM delivers to a vCPU that is not accelerated; make it look. */
static noinline void deliver_inactive(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic, int vector)
{
	vapic_lapic_set_irr(apic->regs, vector);
	/* After the bit: KVM clears the flag, looks at the IRR, and sets it again. */
	apic->irr_pending = true;
	/* It may be accelerated again by now. */
	vapic_pi_vcpu_unsettle(vapic_core(vapic_vcpu_of(to_vmx(kvm_vcpu))));
	kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	vapic_call(kvm_vcpu_kick)(kvm_vcpu);
}

/* False if the vCPU is not accelerated. */
static __always_inline bool deliver(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic, int vector)
{
	if (unlikely(!vapic_apicv_active(apic))) {
		deliver_inactive(kvm_vcpu, apic, vector);
		return false;
	}
	if (vapic_pi_post(vapic_descriptor(to_vmx(kvm_vcpu)), vector))
		notify(kvm_vcpu, POSTED_INTR_VECTOR);
	return true;
}

static noinline void deliver_rare(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic,
				  int delivery_mode, int trig_mode, int vector)
{
	if ((vapic_guest_mode(kvm_vcpu) && deliver_nested(kvm_vcpu, to_vmx(kvm_vcpu), vector)) ||
	    deliver(kvm_vcpu, apic, vector))
		vapic_trace_kvm_apicv_accept_irq(kvm_vcpu->vcpu_id, delivery_mode, trig_mode,
						 vector);
}

void vapic_vmx_deliver_interrupt(struct kvm_lapic *apic, int delivery_mode, int trig_mode,
				 int vector)
{
	struct kvm_vcpu *kvm_vcpu = apic->vcpu;

	/* Apart, as all that is not a jump at the end: else everybody would save registers. */
	if (unlikely(vapic_traced_kvm_apicv_accept_irq()) || unlikely(vapic_guest_mode(kvm_vcpu)))
		deliver_rare(kvm_vcpu, apic, delivery_mode, trig_mode, vector);
	else
		deliver(kvm_vcpu, apic, vector);
}

/* The byte of the guest interrupt status that means a vector, or 0 for none. */
static void set_rvi(int vector)
{
	u16 old = vapic_vmcs_read(GUEST_INTR_STATUS);
	u16 new = (old & ~VAPIC_PI_RVI) | (vector < 0 ? 0 : vector);

	if (new != old)
		vapic_vmcs_write(GUEST_INTR_STATUS, new);
}

/* Something was posted, or RVI is not known, or RVI is not what counts. */
static noinline int sync(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	bool active = vapic_apicv_active(apic);
	bool to_rvi = active && !vapic_guest_mode(kvm_vcpu);
	struct vapic_pi_irr irr = vapic_pi_vcpu_sync(vapic_core(vcpu), to_rvi);

	if (to_rvi) {
		set_rvi(irr.highest);
		return irr.highest;
	}

	/* Without virtual-interrupt delivery KVM has to be told, and its flag kept true. */
	if (irr.fresh) {
		if (!active)
			apic->irr_pending = true;
		kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	}
	return irr.highest;
}

int vapic_vmx_sync_pir_to_irr(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));
	int rvi;

	if (unlikely(vapic_guest_mode(kvm_vcpu)) || !vapic_pi_vcpu_settled(vapic_core(vcpu)))
		return sync(kvm_vcpu, vcpu);

	/* Sync without APICv leaves RVI unknown, so it is on here. */
	rvi = vapic_vmcs_read(GUEST_INTR_STATUS) & VAPIC_PI_RVI;
	return rvi ?: -1;
}

/*
 * KVM has changed the IRR of the page and says what is highest now. With a nested guest
 * running, the current VMCS is that one's.
 */
void vapic_vmx_hwapic_irr_update(struct kvm_vcpu *kvm_vcpu, int max_irr)
{
	if (vapic_guest_mode(kvm_vcpu))
		vapic_pi_vcpu_unsettle(vapic_core(vapic_vcpu_of(to_vmx(kvm_vcpu))));
	else
		set_rvi(max_irr);
}

/* The page is about to be written from outside: nothing older may get into it. */
void vapic_vmx_apicv_pre_state_restore(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));

	if (vcpu)
		vapic_pi_vcpu_discard(vapic_core(vcpu));
}

void vapic_vmx_load_eoi_exitmap(struct kvm_vcpu *kvm_vcpu, u64 *eoi_exit_bitmap)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));
	int i;

	/* KVM asks only for vCPUs whose local APIC is its own, and only once. */
	if (!vapic_apicv_active(kvm_vcpu->arch.apic)) {
		vcpu->eoi_exits_stale = true;
		return;
	}
	/* Not into the nested guest's VMCS; KVM asks again when that has exited. */
	if (vapic_guest_mode(kvm_vcpu)) {
		kvm_vcpu->arch.load_eoi_exitmap_pending = true;
		return;
	}

	/* Nearly always four comparisons and no more. */
#pragma GCC unroll 4
	for (i = 0; i < ARRAY_SIZE(vcpu->eoi_exits); i++) {
		if (vcpu->eoi_exits[i] == eoi_exit_bitmap[i])
			continue;
		vcpu->eoi_exits[i] = eoi_exit_bitmap[i];
		/* One field of 64 bits takes two encodings. */
		vapic_vmcs_write(EOI_EXIT_BITMAP0 + 2 * i, eoi_exit_bitmap[i]);
	}
}

/* Interrupts of assigned devices stay remapped: the IOMMU posts nothing. */
int vapic_vmx_pi_update_irte(struct kvm *kvm, unsigned int host_irq, u32 guest_irq, bool set)
{
	if (set)
		pr_info_once("vapic: interrupts of assigned devices are remapped, not posted\n");
	vapic_trace_remapped(kvm, host_irq, guest_irq);
	return 0;
}

/* So no vCPU that sleeps needs to get ready for their posts. */
void vapic_vmx_pi_start_assignment(struct kvm *kvm) {}

/* SIPI. Forget a paravirtual kick from before, so that it does not end a later halt. */
void vapic_vmx_vcpu_deliver_sipi_vector(struct kvm_vcpu *kvm_vcpu, u8 vector)
{
	kvm_vcpu->arch.pv.pv_unhalted = false;
	vapic_vmx_stock(vcpu_deliver_sipi_vector)(kvm_vcpu, vector);
}
