// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a local APIC changes hands: user space writes it as a whole, INIT and RESET set
 * it, and acceleration goes on or off.
 *
 * Hardware's owner-side copies are RVI and SVI (Intel) and the table entries (AMD), KVM's
 * are irr_pending, isr_count, highest_isr_cache and sw_enabled. Code that
 * writes the page updates those of the present owner; code that changes the owner updates
 * those of the new one.
 */
#include <linux/jump_label_ratelimit.h>
#include <linux/preempt.h>
#include <linux/rwsem.h>

#include <asm/apicdef.h>

#include <vapic/lapic_hot.h>

#include "glue.h"

/* Of kvm.arch.apic_map_dirty. */
#define APIC_MAP_DIRTY 2

static bool x2apic_mode_of(struct kvm_vcpu *kvm_vcpu)
{
	return kvm_vcpu->arch.apic_base & X2APIC_ENABLE;
}

static struct vapic_lapic_form form_of(struct kvm_vcpu *kvm_vcpu)
{
	return (struct vapic_lapic_form){
		.x2apic = x2apic_mode_of(kvm_vcpu),
		.icr_split = vapic_data(kvm_x86_ops).x2apic_icr_is_split,
		.x2apic_ids = kvm_vcpu->kvm->arch.x2apic_format,
		.id = kvm_vcpu->vcpu_id,
	};
}

/* Others find the vCPU by its registers through a map, which is to be made anew. */
static void map_changed(struct kvm *kvm)
{
	/* After the registers; pairs with kvm_recalculate_apic_map(). */
	atomic_set_release(&kvm->arch.apic_map_dirty, APIC_MAP_DIRTY);
}

/* An upcall of a Xen guest may have waited for its APIC. */
static void xen_enabled(struct kvm_vcpu *kvm_vcpu)
{
#ifdef CONFIG_KVM_XEN
	if (kvm_vcpu->arch.xen.vcpu_info_cache.active && kvm_vcpu->arch.xen.upcall_vector &&
	    static_key_count(&vapic_data(kvm_xen_enabled).key.key) > 0 &&
	    vapic_call(__kvm_xen_has_interrupt)(kvm_vcpu))
		vapic_call(kvm_xen_inject_vcpu_vector)(kvm_vcpu);
#endif
}

/* KVM tests for disabled APICs only while the key counts one. */
static noinline void set_sw_enabled(struct kvm_vcpu *kvm_vcpu, bool enable)
{
	struct static_key_false_deferred *disabled = &vapic_data(apic_sw_disabled);

	kvm_vcpu->arch.apic->sw_enabled = enable;
	if (enable)
		static_branch_slow_dec_deferred(disabled);
	else
		static_branch_inc(&disabled->key);
	map_changed(kvm_vcpu->kvm);
}

/*
 * The spurious-interrupt vector register, whose bit 8 enables the APIC by software. Inline,
 * as what else each image goes through once: where returns are guarded, a call costs more
 * than what these do.
 */
static __always_inline void set_spiv(struct kvm_vcpu *kvm_vcpu, u32 value)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	bool enable = value & APIC_SPIV_APIC_ENABLED;

	vapic_apic_write(apic, APIC_SPIV, value);
	if (enable != apic->sw_enabled)
		set_sw_enabled(kvm_vcpu, enable);

	if (enable) {
		/* Page-ready events wait for the APIC too. */
		kvm_make_request(KVM_REQ_APF_READY, kvm_vcpu);
		xen_enabled(kvm_vcpu);
	}
}

/*
 * KVM's copies of what the page says. With acceleration the page is all that counts: then
 * irr_pending is true, isr_count 1 and the cache empty for good.
 *
 * Without, irr_pending may be too high but never too low, and it stays so from here: IPI
 * hardware and the IOMMU may not know yet that acceleration is off, and set a bit of the IRR
 * without setting the flag.
 */
static __always_inline void refresh_copies(struct kvm_lapic *apic)
{
	apic->irr_pending = true;
	apic->isr_count = vapic_apicv_active(apic) ? 1 : vapic_lapic_count(apic->regs, APIC_ISR);
	apic->highest_isr_cache = -1;
}

/* Hardware's, while acceleration is on. */
static __always_inline void refresh_hardware(struct kvm_vcpu *kvm_vcpu)
{
	void *regs = kvm_vcpu->arch.apic->regs;

	vapic_op(apicv_post_state_restore)(kvm_vcpu);
	vapic_op(hwapic_irr_update)(kvm_vcpu,
				    vapic_kvm_vector(vapic_lapic_highest(regs, APIC_IRR)));
	vapic_op(hwapic_isr_update)(kvm_vcpu,
				    vapic_kvm_vector(vapic_lapic_highest(regs, APIC_ISR)));
}

static __always_inline void stop_timer(struct kvm_lapic *apic)
{
	hrtimer_cancel(&apic->lapic_timer.timer);

	preempt_disable();
	if (apic->lapic_timer.hv_timer_in_use)
		vapic_call(cancel_hv_timer)(apic);
	preempt_enable();

	atomic_set(&apic->lapic_timer.pending, 0);
}

/* From the registers, the current count among them. */
static void restart_timer(struct kvm_lapic *apic)
{
	u32 mode;

	stop_timer(apic);
	apic->lapic_timer.expired_tscdeadline = 0;
	vapic_call(apic_update_lvtt)(apic);
	vapic_call(apic_manage_nmi_watchdog)(apic, vapic_apic_read(apic, APIC_LVT0));
	apic->divide_count = vapic_lapic_timer_divisor(apic->regs);

	mode = apic->lapic_timer.timer_mode;
	if ((mode != APIC_LVT_TIMER_ONESHOT && mode != APIC_LVT_TIMER_PERIODIC) ||
	    vapic_call(set_target_expiration)(apic, APIC_TMCCT))
		vapic_call(restart_apic_timer)(apic);

	/* From here it follows from the expiration. */
	vapic_apic_write(apic, APIC_TMCCT, 0);
}

int vapic_hook_kvm_apic_set_state(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic_state *s)
{
	struct vapic_lapic_form form = form_of(kvm_vcpu);
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	struct kvm *kvm = kvm_vcpu->kvm;

	/* Stock finds out when it has discarded posted interrupts and changed SPIV. */
	if (!vapic_lapic_image_fits(s->regs, &form))
		return -EINVAL;

	/* What was posted before must not get into the new state. */
	vapic_op(apicv_pre_state_restore)(kvm_vcpu);

	set_spiv(kvm_vcpu, *(u32 *)(s->regs + APIC_SPIV));
	vapic_lapic_restore(apic->regs, &form, s->regs);
	vapic_call(kvm_apic_set_version)(kvm_vcpu);
	refresh_copies(apic);
	/* PPR is right; what else KVM derives from it. */
	vapic_call(apic_update_ppr)(apic);

	map_changed(kvm);
	vapic_call(kvm_recalculate_apic_map)(kvm);
	restart_timer(apic);

	if (vapic_apicv_active(apic))
		refresh_hardware(kvm_vcpu);

	kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	if (smp_load_acquire(&kvm->arch.irqchip_mode) == KVM_IRQCHIP_KERNEL)
		vapic_call(kvm_rtc_eoi_tracking_restore_one)(kvm_vcpu);
	kvm_vcpu->arch.apic_arb_prio = 0;
	return 0;
}

/*
 * RESET: enabled, in xAPIC mode, where all APICs are. It comes once, when the vCPU is made: its
 * APIC is enabled by then and nobody has seen it, so what a change of mode takes is not due.
 */
static void reset_base(struct kvm_vcpu *kvm_vcpu, bool bsp)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;

	kvm_vcpu->arch.apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE |
				   (bsp ? MSR_IA32_APICBASE_BSP : 0);
	if (apic)
		apic->base_address = APIC_DEFAULT_PHYS_BASE;
}

/* Stock leaves the preemption timer running, and the period of a timer that has stopped. */
static void reset_timer(struct kvm_lapic *apic)
{
	apic->lapic_timer.period = 0;
	apic->lapic_timer.target_expiration = 0;
	apic->lapic_timer.tscdeadline = 0;
	apic->lapic_timer.expired_tscdeadline = 0;
	apic->divide_count = vapic_lapic_timer_divisor(apic->regs);
	vapic_call(apic_update_lvtt)(apic);
}

/* INIT, or else RESET, which comes when the vCPU is made. KVM requests an event after it. */
void vapic_hook_kvm_lapic_reset(struct kvm_vcpu *kvm_vcpu, bool init_event)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	struct kvm *kvm = kvm_vcpu->kvm;
	bool bsp = kvm_vcpu->vcpu_id == kvm->arch.bsp_vcpu_id;
	struct vapic_lapic_initial how;

	vapic_op(apicv_pre_state_restore)(kvm_vcpu);
	/* A kick from before is not to end a halt of what runs from now on. */
	kvm_vcpu->arch.pv.pv_unhalted = false;
	if (!init_event)
		reset_base(kvm_vcpu, bsp);
	if (!apic)
		return;

	/* While it runs, an interrupt of it may still get into the registers. */
	stop_timer(apic);
	how = (struct vapic_lapic_initial){
		.x2apic = x2apic_mode_of(kvm_vcpu),
		.reset = !init_event,
		.lint0_pic = bsp && !(kvm->arch.disabled_quirks & KVM_X86_QUIRK_LINT0_REENABLED),
		.id = kvm_vcpu->vcpu_id,
		.lvts = apic->nr_lvt_entries,
	};
	vapic_lapic_reset(apic->regs, &how);
	set_spiv(kvm_vcpu, vapic_apic_read(apic, APIC_SPIV));
	vapic_call(kvm_apic_set_version)(kvm_vcpu);
	vapic_call(apic_manage_nmi_watchdog)(apic, vapic_apic_read(apic, APIC_LVT0));
	reset_timer(apic);
	refresh_copies(apic);
	vapic_call(apic_update_ppr)(apic);
	if (vapic_apicv_active(apic))
		refresh_hardware(kvm_vcpu);

	kvm_vcpu->arch.pv_eoi.msr_val = 0;
	kvm_vcpu->arch.apic_arb_prio = 0;
	kvm_vcpu->arch.apic_attention = 0;

	map_changed(kvm);
	vapic_call(kvm_recalculate_apic_map)(kvm);
}

/* Whether the vCPU is to be accelerated, by the VM, the vendor and the APIC's mode. */
static bool may_be_active(struct kvm_vcpu *kvm_vcpu)
{
	return !READ_ONCE(kvm_vcpu->kvm->arch.apicv_inhibit_reasons) &&
	       !vapic_op(vcpu_get_apicv_inhibit_reasons)(kvm_vcpu) &&
	       (kvm_vcpu->arch.apic_base & (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE));
}

/* The page changes hands; in the vCPU's task, between two of its entries to the guest. */
static void set_active(struct kvm_vcpu *kvm_vcpu, bool active)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	u32 vector;

	vapic_apicv_set_active(apic, active);
	refresh_copies(apic);
	vapic_op(refresh_apicv_exec_ctrl)(kvm_vcpu);

	/*
	 * An EOI ends what SVI says, which did not follow the ISR while acceleration was
	 * off; nor did PPR follow a TPR that the guest has set without an exit. Interrupts
	 * that hardware had accepted are KVM's to inject from now on, and nobody has told it
	 * of them.
	 */
	if (active) {
		vector = vapic_lapic_highest(apic->regs, APIC_ISR);
		vapic_apic_write(apic, APIC_PROCPRI, vapic_lapic_ppr(apic->regs, vector));
		vapic_op(hwapic_isr_update)(kvm_vcpu, vapic_kvm_vector(vector));
	} else {
		kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	}
}

void vapic_hook___kvm_vcpu_update_apicv(struct kvm_vcpu *kvm_vcpu)
{
	struct rw_semaphore *lock = &kvm_vcpu->kvm->arch.apicv_update_lock;
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	bool active;

	if (!apic)
		return;

	/* Nobody changes the inhibits meanwhile, and the vCPU stays on its CPU. */
	down_read(lock);
	preempt_disable();
	active = may_be_active(kvm_vcpu);
	if (active != vapic_apicv_active(apic))
		set_active(kvm_vcpu, active);
	preempt_enable();
	up_read(lock);
}
