// SPDX-License-Identifier: GPL-2.0-only
/*
 * The paths of a running vCPU: load and put, blocking, interrupt delivery, and turning
 * acceleration on and off.
 */
#include <vapic/avic_hot.h>
#include <vapic/lapic_hot.h>

#include "../kvm/hooks.h"
#include "glue.h"

static struct vapic_host_id host_id(int cpu)
{
	return (struct vapic_host_id){vapic_kvm_apic_id(cpu)};
}

/* Nothing tells software what VMRUN finds; this is what the vCPU comes back to its CPU for. */
static noinline void load_traced(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu, int cpu)
{
	if (vapic_apicv_active(kvm_vcpu->arch.apic))
		vapic_trace_found(kvm_vcpu, NULL, VAPIC_FOUND_BY_LOAD);
	vapic_avic_vcpu_load(vapic_on_cpu(vcpu), host_id(cpu));
}

/*
 * This and the op vcpu_put run in vcpu_load(), vcpu_put() and the preemption notifiers, always
 * in the vCPU's task (or its creator's).
 */
void vapic_hook_avic_vcpu_load(struct kvm_vcpu *kvm_vcpu, int cpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));

	if (!vcpu)
		return;
	if (trace_vapic_found_enabled())
		load_traced(kvm_vcpu, vcpu, cpu);
	else
		vapic_avic_vcpu_load(vapic_on_cpu(vcpu), host_id(cpu));
}

/*
 * Stock's svm_vcpu_put() without its part for AVIC. What remains tells stock that the processor
 * holds the host's state.
 */
void vapic_svm_vcpu_put(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(svm);

	svm->guest_state_loaded = false;
	kvm_vcpu->stat.host_state_reload++;
	if (vcpu)
		vapic_avic_vcpu_put(vapic_on_cpu(vcpu));
}

/* KVM calls blocking before it looks for pending interrupts, and sleeps only then. */
void vapic_svm_vcpu_blocking(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));

	if (vcpu)
		vapic_avic_vcpu_block(vapic_on_cpu(vcpu));
}

void vapic_svm_vcpu_unblocking(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));

	if (vcpu)
		vapic_avic_vcpu_unblock(vapic_on_cpu(vcpu), host_id(kvm_vcpu->cpu));
}

/*
 * If the vCPU was last on this CPU, it cannot be in the guest here any more, even if this task has
 * only just moved here, so its next VMRUN finds the interrupt.
 */
static __always_inline bool was_here(struct kvm_vcpu *kvm_vcpu)
{
	return READ_ONCE(kvm_vcpu->cpu) == raw_smp_processor_id();
}

/*
 * The vCPU may move meanwhile. Then the old CPU ignores the doorbell, and VMRUN on the new CPU
 * finds the interrupt.
 */
static __always_inline enum vapic_announcement ring_and_say(struct kvm_vcpu *kvm_vcpu,
							    struct vapic_vcpu *vcpu)
{
	u32 host = vapic_avic_vcpu_host_id(vapic_core(vcpu));

	if (unlikely(host == VAPIC_AVIC_NO_CPU)) {
		/* The vCPU looks at its IRR before it enters the guest again. */
		vapic_kvm_kick(kvm_vcpu);
		return VAPIC_ANNOUNCED_BY_KICK;
	}
	wrmsrq(MSR_AMD64_SVM_AVIC_DOORBELL, host);
	vapic_trace_kvm_avic_doorbell(kvm_vcpu->vcpu_id, host);
	return VAPIC_ANNOUNCED_BY_DOORBELL;
}

static noinline void ring(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	ring_and_say(kvm_vcpu, vcpu);
}

enum vapic_announcement vapic_avic_ring_doorbell(struct kvm_vcpu *kvm_vcpu)
{
	if (was_here(kvm_vcpu))
		return VAPIC_ANNOUNCED_BY_ENTRY;
	return ring_and_say(kvm_vcpu, vapic_vcpu_of(to_svm(kvm_vcpu)));
}

/* KVM delivers to a vCPU that is not accelerated: make it look at the IRR. */
static __always_inline enum vapic_announcement kick(struct kvm_vcpu *kvm_vcpu)
{
	kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
	vapic_kvm_kick(kvm_vcpu);
	return VAPIC_ANNOUNCED_BY_KICK;
}

/*
 * Make @kvm_vcpu notice an IRR bit that was just set, with a full barrier after it. What this
 * returns means something only if the caller wants it to @say how, which costs more.
 */
static __always_inline enum vapic_announcement announce(struct kvm_vcpu *kvm_vcpu,
							struct kvm_lapic *apic, bool say)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));
	/* Read this before apicv_active, which KVM writes before it enters guest mode. */
	bool in_guest = smp_load_acquire(&kvm_vcpu->mode) == IN_GUEST_MODE;

	if (!vapic_apicv_active(apic))
		return kick(kvm_vcpu);

	/* vcpu is not NULL from here on: a vCPU without it is inhibited for good. */
	if (in_guest) {
		if (was_here(kvm_vcpu))
			return VAPIC_ANNOUNCED_BY_ENTRY;
		if (say)
			return ring_and_say(kvm_vcpu, vcpu);
		ring(kvm_vcpu, vcpu);
		return VAPIC_ANNOUNCED_BY_DOORBELL;
	}
	if (!vapic_avic_vcpu_must_wake(vapic_core(vcpu)))
		return VAPIC_ANNOUNCED_BY_ENTRY;
	vapic_call(kvm_vcpu_wake_up)(kvm_vcpu);
	return VAPIC_ANNOUNCED_BY_WAKEUP;
}

static __always_inline void request(struct kvm_lapic *apic, int vector)
{
	vapic_lapic_set_irr(apic->regs, vector);
	/* Set after the bit: KVM clears the flag, looks at the IRR, and sets the flag again. */
	vapic_set_irr_pending(apic);
}

/* Either vapic's events or stock's are on, or both. */
static noinline void deliver_traced(struct kvm_lapic *apic, int delivery_mode, int trig_mode,
				    int vector)
{
	struct kvm_vcpu *kvm_vcpu = apic->vcpu;

	vapic_trace_handed_over(kvm_vcpu, vector, trig_mode);
	request(apic, vector);
	if (vapic_apicv_active(apic))
		vapic_trace_kvm_apicv_accept_irq(kvm_vcpu->vcpu_id, delivery_mode, trig_mode,
						 vector);
	vapic_trace_announced(kvm_vcpu, vector, announce(kvm_vcpu, apic, true));
}

void vapic_svm_deliver_interrupt(struct kvm_lapic *apic, int delivery_mode, int trig_mode,
				 int vector)
{
	if (vapic_interrupt_is_traced() || unlikely(vapic_traced_kvm_apicv_accept_irq()))
		return deliver_traced(apic, delivery_mode, trig_mode, vector);
	request(apic, vector);
	announce(apic->vcpu, apic, false);
}

static void set_intercept(struct vmcb *vmcb, unsigned int intercept, bool on)
{
	unsigned long *words = (unsigned long *)vmcb->control.intercepts;

	if (on)
		__set_bit(intercept, words);
	else
		__clear_bit(intercept, words);
}

/* Intercept what KVM must see while AVIC is off, and hardware carries out while it is on. */
static void set_intercepts(struct vcpu_svm *svm, struct vmcb *vmcb, bool accelerated)
{
	struct kvm *kvm = svm->vcpu.kvm;
	bool idle_hlt;

	/* With AVIC, a CR8 write goes to the register page. For SEV-ES there is another trap. */
	if (accelerated || !vapic_is_sev_es(kvm))
		set_intercept(vmcb, INTERCEPT_CR8_WRITE, !accelerated);
	/* HLT's own intercept comes first, so that it must be off. */
	if (vapic_has_idle_hlt() && !vapic_kvm_hlt_in_guest(kvm)) {
		idle_hlt = accelerated && !vapic_vcpu_of(svm)->each_hlt_exits;
		set_intercept(vmcb, INTERCEPT_HLT, !idle_hlt);
		set_intercept(vmcb, VAPIC_INTERCEPT_IDLE_HLT, idle_hlt);
	}
	vapic_recalc_intercepts(svm);
}

#if !VAPIC_HAS_idle_hlt
/* KVM does not know the exit of an idle HLT, which is to do the same as the other. */
int vapic_svm_handle_exit(struct kvm_vcpu *kvm_vcpu, enum exit_fastpath_completion fastpath)
{
	struct vmcb_control_area *control = &to_svm(kvm_vcpu)->vmcb->control;

	if (unlikely(control->exit_code == VAPIC_EXIT_IDLE_HLT))
		control->exit_code = SVM_EXIT_HLT;
	return vapic_svm_stock(handle_exit)(kvm_vcpu, fastpath);
}
#endif

/* What the map of intercepts has for MSR 800h and on: two bits for each MSR. */
static u32 *x2apic_msr_intercepts(struct vcpu_svm *svm)
{
	return svm->msrpm + APIC_BASE_MSR * 2 / 32;
}

/* Let the vCPU access the MSRs of x2APIC mode that need no exit, or none. */
static void set_x2apic_msr_intercepts(struct vcpu_svm *svm, bool accelerated)
{
	vapic_avic_x2apic_msrs(vapic_kvm_readable(&svm->vcpu), accelerated,
			       x2apic_msr_intercepts(svm));
}

static enum vapic_avic_mode mode(struct kvm_vcpu *kvm_vcpu)
{
	if (!vapic_apicv_active(kvm_vcpu->arch.apic))
		return VAPIC_AVIC_OFF;
	return vapic_x2apic_mode(kvm_vcpu) && vapic_has_x2avic() ? VAPIC_AVIC_X2APIC :
								   VAPIC_AVIC_XAPIC;
}

#if VAPIC_HAS_msr_filter_changed
/*
 * Stock sets the intercepts of all MSRs in its list anew, and leaves those of x2APIC mode
 * intercepted. Filters of user space do not apply to these MSRs.
 */
void vapic_svm_msr_filter_changed(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);

	vapic_svm_stock(msr_filter_changed)(kvm_vcpu);
	if (vapic_vcpu_of(svm) && vapic_has_x2avic())
		set_x2apic_msr_intercepts(svm, mode(kvm_vcpu) == VAPIC_AVIC_X2APIC);
}
#endif

static u32 traced_mode(enum vapic_avic_mode mode)
{
	static const u8 traced[] = {
		[VAPIC_AVIC_OFF] = VAPIC_MODE_OFF,
		[VAPIC_AVIC_XAPIC] = VAPIC_MODE_XAPIC,
		[VAPIC_AVIC_X2APIC] = VAPIC_MODE_X2APIC,
	};

	return traced[mode];
}

/* Store the VMCB words of AVIC, on or off, and do all that goes with the change. */
void vapic_hook_avic_init_vmcb(struct vcpu_svm *svm, struct vmcb *vmcb)
{
	struct kvm_vcpu *kvm_vcpu = &svm->vcpu;
	struct vapic_vcpu *vcpu = vapic_vcpu_of(svm);
	enum vapic_avic_mode now = mode(kvm_vcpu);
	struct vapic_avic_vmcb words;

	/* The vCPU is never accelerated, so the VMCB stays as reset left it. */
	if (!vcpu)
		return;

	vapic_avic_vcpu_vmcb_words(vapic_core(vcpu), vmcb->control.int_ctl, now, &words);
	vmcb->control.avic_vapic_bar = words.apic_bar;
	vmcb->control.avic_backing_page = words.backing_page;
	vmcb->control.avic_logical_id = words.logical_table;
	vmcb->control.avic_physical_id = words.physical_table;
	vmcb->control.int_ctl = words.int_ctl;
	set_intercepts(svm, vmcb, now != VAPIC_AVIC_OFF);
	/* They are many, and those of a guest in xAPIC mode never change. */
	if (vapic_has_x2avic() &&
	    vapic_avic_x2apic_msrs_pass(x2apic_msr_intercepts(svm)) != (now == VAPIC_AVIC_X2APIC))
		set_x2apic_msr_intercepts(svm, now == VAPIC_AVIC_X2APIC);
	vmcb->control.clean &=
		~(BIT(VMCB_CLEAN_INTERCEPTS) | BIT(VMCB_CLEAN_INT_CTL) | BIT(VMCB_CLEAN_AVIC));

	if (trace_vapic_mode_enabled())
		trace_vapic_mode(kvm_vcpu, traced_mode(now));
	/*
	 * While AVIC was off, or the guest's APIC was in x2APIC mode, the TLB may have cached
	 * the page at the APIC's address as memory, and in xAPIC mode as the register page.
	 */
	if (now != VAPIC_AVIC_OFF)
		kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, kvm_vcpu);
}

/* The guest switched between xAPIC and x2APIC mode, or its APIC off or on. */
void vapic_svm_set_virtual_apic_mode(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(svm);

	if (!vcpu)
		return;
	if (vapic_x2apic_mode(kvm_vcpu))
		vapic_avic_remove_apic_page(vcpu->vm, kvm_vcpu->kvm);
	/* The entry depends on acceleration and mode, and LDR and DFR may have changed unseen. */
	vapic_avic_sync_logical(kvm_vcpu, vcpu);
	vapic_hook_avic_init_vmcb(svm, svm->vmcb01.ptr);
}

/* KVM has turned acceleration on or off. Called in the vCPU's task, with preemption off. */
void vapic_svm_refresh_apicv_exec_ctrl(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));

	if (!vcpu)
		return;
	if (vapic_apicv_active(kvm_vcpu->arch.apic)) {
		vapic_avic_vcpu_activate(vapic_on_cpu(vcpu));
		vapic_svm_set_virtual_apic_mode(kvm_vcpu);
		vapic_avic_vcpu_load(vapic_on_cpu(vcpu), host_id(kvm_vcpu->cpu));
		vapic_avic_irq_window_ask_again(kvm_vcpu);
	} else {
		vapic_avic_vcpu_deactivate(vapic_on_cpu(vcpu));
		vapic_svm_set_virtual_apic_mode(kvm_vcpu);
	}
}

/* The IOMMU follows whenever the vCPU is loaded. */
void vapic_avic_follow_switches(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(svm);
	bool off;

	if (!vcpu)
		return;
	off = vapic_is_off(&vcpu->vm->common, VAPIC_IPI_VIRTUALIZATION);
	if (off != vcpu->hidden) {
		vcpu->hidden = off;
		vapic_avic_vcpu_show_running(vapic_on_cpu(vcpu), !off);
		vapic_avic_vcpu_load(vapic_on_cpu(vcpu), host_id(kvm_vcpu->cpu));
	}
	off = vapic_is_off(&vcpu->vm->common, VAPIC_IDLE_HLT);
	if (off != vcpu->each_hlt_exits) {
		vcpu->each_hlt_exits = off;
		set_intercepts(svm, svm->vmcb01.ptr, vapic_apicv_active(kvm_vcpu->arch.apic));
		svm->vmcb01.ptr->control.clean &= ~BIT(VMCB_CLEAN_INTERCEPTS);
	}
}

void vapic_svm_apicv_post_state_restore(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));

	if (vcpu)
		vapic_avic_sync_logical(kvm_vcpu, vcpu);
}

unsigned long vapic_svm_vcpu_get_apicv_inhibit_reasons(struct kvm_vcpu *kvm_vcpu)
{
	unsigned long reasons = 0;

	if (!vapic_vcpu_of(to_svm(kvm_vcpu)))
		reasons |= BIT(APICV_INHIBIT_REASON_DISABLED);
	/* Other vCPUs cannot ring a vCPU while it runs a nested guest. */
	if (vapic_guest_mode(kvm_vcpu))
		reasons |= BIT(APICV_INHIBIT_REASON_NESTED);
	return reasons;
}

#if VAPIC_HAS_check_apicv_inhibit_reasons
/* Whether a reason counts. Those for aliased IDs are vapic's, and so is the switch. */
bool vapic_svm_check_apicv_inhibit_reasons(enum kvm_apicv_inhibit reason)
{
	return reason == APICV_INHIBIT_REASON_PHYSICAL_ID_ALIASED ||
	       reason == APICV_INHIBIT_REASON_LOGICAL_ID_ALIASED ||
	       reason == APICV_INHIBIT_REASON_SWITCHED ||
	       vapic_svm_stock(check_apicv_inhibit_reasons)(reason);
}
#endif

/* On a SIPI, forget an earlier paravirtual kick, so that it does not end a later halt. */
void vapic_svm_vcpu_deliver_sipi_vector(struct kvm_vcpu *kvm_vcpu, u8 vector)
{
	kvm_vcpu->arch.pv.pv_unhalted = false;
	vapic_svm_stock(vcpu_deliver_sipi_vector)(kvm_vcpu, vector);
}
