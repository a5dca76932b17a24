// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of a local APIC's state as a whole: user space writes it, INIT and RESET set it, and
 * it changes hands when acceleration is turned on or off.
 *
 * The owner has copies of parts of the page: RVI and SVI (Intel) and the table entries (AMD) if
 * hardware is the owner; irr_pending, isr_count, highest_isr_cache and sw_enabled if KVM is.
 * Code that writes the page updates the copies of the present owner; code that changes the owner
 * updates those of the new one.
 */
#include <linux/jump_label_ratelimit.h>
#include <linux/preempt.h>
#include <linux/rwsem.h>

#include <asm/apicdef.h>

#include <vapic/lapic_hot.h>

#include "../kvm/vm_switches.h"
#include "glue.h"

/* A value of kvm.arch.apic_map_dirty. */
#define APIC_MAP_DIRTY 2

static bool x2apic_mode_of(struct kvm_vcpu *kvm_vcpu)
{
	return kvm_vcpu->arch.apic_base & X2APIC_ENABLE;
}

/* KVM finds vCPUs by their registers through a map: mark it, so that KVM makes it anew. */
static void map_changed(struct kvm *kvm)
{
	/* Must be visible after the registers; pairs with kvm_recalculate_apic_map(). */
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
 * Set the spurious-interrupt vector register, whose bit 8 enables the APIC by software. Inline,
 * like the other functions that run once per image: where the kernel protects returns, a call
 * costs more than what they do.
 */
static __always_inline void set_spiv(struct kvm_vcpu *kvm_vcpu, u32 value)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	bool enable = value & APIC_SPIV_APIC_ENABLED;

	vapic_lapic_write(apic->regs, APIC_SPIV, value);
	if (enable != apic->sw_enabled)
		set_sw_enabled(kvm_vcpu, enable);

	if (enable) {
		/* Page-ready events wait for the APIC too. */
		kvm_make_request(KVM_REQ_APF_READY, kvm_vcpu);
		xen_enabled(kvm_vcpu);
	}
}

/*
 * Refresh KVM's copies of what the page says. With acceleration only the page counts: then
 * irr_pending stays true, isr_count 1 and the cache empty.
 *
 * Without acceleration irr_pending may be true although the IRR is empty, but never the other
 * way round. It is set here because IPI hardware and the IOMMU may not know yet that acceleration
 * is off, and may set a bit of the IRR without setting the flag.
 */
static __always_inline void refresh_copies(struct kvm_lapic *apic)
{
	vapic_set_irr_pending(apic);
	apic->isr_count = vapic_apicv_active(apic) ? 1 : vapic_lapic_count(apic->regs, APIC_ISR);
	apic->highest_isr_cache = -1;
}

/*
 * Refresh hardware's copies. Called only while acceleration is on. In a kernel without the op
 * hwapic_irr_update, RVI is refreshed before the next entry.
 */
static __always_inline void refresh_hardware(struct kvm_vcpu *kvm_vcpu)
{
	void *regs = kvm_vcpu->arch.apic->regs;

	vapic_op(apicv_post_state_restore)(kvm_vcpu);
#if VAPIC_HAS_hwapic_irr_update
	vapic_op(hwapic_irr_update)(kvm_vcpu,
				    vapic_kvm_vector(vapic_lapic_highest(regs, APIC_IRR)));
#endif
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

/* Start the timer from the registers, including the current count. */
static __always_inline void start_timer(struct kvm_lapic *apic)
{
#if VAPIC_HAS_set_target_expiration
	u32 mode = apic->lapic_timer.timer_mode;

	if ((mode != APIC_LVT_TIMER_ONESHOT && mode != APIC_LVT_TIMER_PERIODIC) ||
	    vapic_call(set_target_expiration)(apic, APIC_TMCCT))
		vapic_call(restart_apic_timer)(apic);
#else
	vapic_call(__start_apic_timer)(apic, APIC_TMCCT);
#endif
}

static void restart_timer(struct kvm_lapic *apic)
{
	stop_timer(apic);
	apic->lapic_timer.expired_tscdeadline = 0;
	vapic_call(apic_update_lvtt)(apic);
	vapic_manage_nmi_watchdog(apic);
	apic->divide_count = vapic_lapic_timer_divisor(apic->regs);
	start_timer(apic);

	/* From here on the count follows from the expiration. */
	vapic_lapic_write(apic->regs, APIC_TMCCT, 0);
}

int vapic_hook_kvm_apic_set_state(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic_state *s)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	struct kvm *kvm = kvm_vcpu->kvm;
	struct vapic_lapic_form form = {
		.x2apic = x2apic_mode_of(kvm_vcpu),
		.icr_split = vapic_data(kvm_x86_ops).x2apic_icr_is_split,
		.x2apic_ids = kvm->arch.x2apic_format,
		.id = kvm_vcpu->vcpu_id,
	};

	/* Stock checks this only after it has discarded posted interrupts and changed SPIV. */
	if (!vapic_lapic_image_fits(s->regs, &form))
		return -EINVAL;

	/* What was posted before must not get into the new state. */
	vapic_op(apicv_pre_state_restore)(kvm_vcpu);

	set_spiv(kvm_vcpu, *(u32 *)(s->regs + APIC_SPIV));
	vapic_lapic_restore(apic->regs, &form, s->regs);
	vapic_call(kvm_apic_set_version)(kvm_vcpu);
	refresh_copies(apic);
	/* PPR is right already; update what else KVM derives from it. */
	vapic_call(apic_update_ppr)(apic);

	map_changed(kvm);
	vapic_recalculate_map(kvm);
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
 * RESET: the APIC is enabled, in xAPIC mode, at the address that all APICs have. RESET comes once,
 * when the vCPU is made: the APIC is enabled already and nobody has seen the vCPU, so nothing
 * needs to be done for a change of mode.
 */
static void reset_base(struct kvm_vcpu *kvm_vcpu, bool bsp)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;

	kvm_vcpu->arch.apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE |
				   (bsp ? MSR_IA32_APICBASE_BSP : 0);
	if (apic)
		apic->base_address = APIC_DEFAULT_PHYS_BASE;
}

/* Stock leaves the preemption timer running and keeps the period of a stopped timer. */
static void reset_timer(struct kvm_lapic *apic)
{
	apic->lapic_timer.period = 0;
	apic->lapic_timer.target_expiration = 0;
	apic->lapic_timer.tscdeadline = 0;
	apic->lapic_timer.expired_tscdeadline = 0;
	apic->divide_count = vapic_lapic_timer_divisor(apic->regs);
	vapic_call(apic_update_lvtt)(apic);
}

/* INIT (@init_event), or RESET when the vCPU is made. KVM requests an event afterwards. */
void vapic_hook_kvm_lapic_reset(struct kvm_vcpu *kvm_vcpu, bool init_event)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	struct kvm *kvm = kvm_vcpu->kvm;
	bool bsp = kvm_vcpu->vcpu_id == kvm->arch.bsp_vcpu_id;
	struct vapic_lapic_initial how;

	vapic_op(apicv_pre_state_restore)(kvm_vcpu);
	/* An earlier paravirtual kick must not end a halt of what runs from now on. */
	kvm_vcpu->arch.pv.pv_unhalted = false;
	if (!init_event)
		reset_base(kvm_vcpu, bsp);
	if (!apic)
		return;

	/* While the timer runs, its interrupt may still get into the registers. */
	stop_timer(apic);
	how = (struct vapic_lapic_initial){
		.x2apic = x2apic_mode_of(kvm_vcpu),
		.reset = !init_event,
		.lint0_pic = bsp && !(kvm->arch.disabled_quirks & KVM_X86_QUIRK_LINT0_REENABLED),
		.id = kvm_vcpu->vcpu_id,
		.lvts = apic->nr_lvt_entries,
	};
	vapic_lapic_reset(apic->regs, &how);
	set_spiv(kvm_vcpu, vapic_lapic_read(apic->regs, APIC_SPIV));
	vapic_call(kvm_apic_set_version)(kvm_vcpu);
	vapic_manage_nmi_watchdog(apic);
	reset_timer(apic);
	refresh_copies(apic);
	vapic_call(apic_update_ppr)(apic);
	if (vapic_apicv_active(apic))
		refresh_hardware(kvm_vcpu);

	kvm_vcpu->arch.pv_eoi.msr_val = 0;
	kvm_vcpu->arch.apic_arb_prio = 0;
	kvm_vcpu->arch.apic_attention = 0;

	map_changed(kvm);
	vapic_recalculate_map(kvm);
}

/* True if the VM, the vendor and the APIC's mode allow that the vCPU is accelerated. */
static bool may_be_active(struct kvm_vcpu *kvm_vcpu)
{
	return !READ_ONCE(kvm_vcpu->kvm->arch.apicv_inhibit_reasons) &&
	       !vapic_op(vcpu_get_apicv_inhibit_reasons)(kvm_vcpu) &&
	       (kvm_vcpu->arch.apic_base & (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE));
}

static noinline void trace_active(struct kvm_vcpu *kvm_vcpu, bool active)
{
	trace_vapic_active(kvm_vcpu, active, READ_ONCE(kvm_vcpu->kvm->arch.apicv_inhibit_reasons),
			   vapic_op(vcpu_get_apicv_inhibit_reasons)(kvm_vcpu));
}

/* Hand the page over. Runs in the vCPU's task, between two entries to the guest. */
static void set_active(struct kvm_vcpu *kvm_vcpu, bool active)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	u32 vector;

	if (trace_vapic_active_enabled())
		trace_active(kvm_vcpu, active);
	vapic_apicv_set_active(apic, active);
	refresh_copies(apic);
	vapic_op(refresh_apicv_exec_ctrl)(kvm_vcpu);

	/*
	 * On: an EOI ends the vector in SVI, which did not follow the ISR while acceleration
	 * was off; nor did PPR follow a TPR that the guest has set without an exit. Off: from
	 * now on KVM must inject the interrupts that hardware had accepted, and nobody has told
	 * KVM of them.
	 */
	if (active) {
		vector = vapic_lapic_highest(apic->regs, APIC_ISR);
		vapic_lapic_write(apic->regs, APIC_PROCPRI, vapic_lapic_ppr(apic->regs, vector));
		vapic_op(hwapic_isr_update)(kvm_vcpu, vapic_kvm_vector(vector));
	} else {
		kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	}
}

static void update_active(struct kvm_vcpu *kvm_vcpu)
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
	else
		/* Some requests are for the vendor to see anew where the vCPU, which is awake, runs. */
		vapic_op(vcpu_unblocking)(kvm_vcpu);
	vapic_follow_switches(kvm_vcpu);
	preempt_enable();
	up_read(lock);
}

#if VAPIC_HAS___kvm_vcpu_update_apicv
void vapic_hook___kvm_vcpu_update_apicv(struct kvm_vcpu *kvm_vcpu)
{
	update_active(kvm_vcpu);
}
#else
void vapic_hook_kvm_vcpu_update_apicv(struct kvm_vcpu *kvm_vcpu)
{
	update_active(kvm_vcpu);
}
#endif
