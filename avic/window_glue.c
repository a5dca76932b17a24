// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt window: KVM has an interrupt for a vCPU that does not take interrupts now, and
 * wants an exit as soon as it does.
 *
 * KVM gets the exit by a dummy interrupt in the VMCB, V_IRQ, which hardware ignores while AVIC is
 * on in that VMCB.  Therefore:
 *
 * - If AVIC is off for the vCPU, for whatever reason, it is enough to set V_IRQ.  That takes no
 *   lock and involves no other vCPU.  If the reason ends before the window opens, the vCPU's own
 *   task turns AVIC on (refresh_apicv_exec_ctrl), withdraws V_IRQ and makes KVM look for
 *   interrupts anew (vapic_avic_irq_window_ask_again()).
 *
 * - If AVIC is on, only an interrupt of the PIC, an ExtINT, needs a window, because hardware
 *   delivers all others.  AVIC must be off for a while, for the whole VM: its vCPUs share the page
 *   tables, and a vCPU without AVIC must not find the APIC page mapped there.  The VM counts the
 *   vCPUs that asked for this, and the last one ends the inhibit when KVM injects its interrupt.
 *
 * So the vCPU's own state decides, not the inhibits of the VM, which may change at any time: AVIC
 * stays on for the vCPU until its own task turns it off.
 */
#include "../kvm/hooks.h"
#include "glue.h"

/* Inhibit AVIC.  Counts a vCPU once, however often KVM asks before the window opens. */
static void inhibit_vm(struct vapic_vcpu *vcpu)
{
	struct vapic_vm *vm = vcpu->vm;

	if (vcpu->irq_window)
		return;
	mutex_lock(&vm->irq_window_lock);
	vcpu->irq_window = true;
	if (!vm->irq_windows++)
		vapic_kvm_change_inhibit(vcpu->common.kvm_vcpu->kvm, APICV_INHIBIT_REASON_IRQWIN,
					 true);
	mutex_unlock(&vm->irq_window_lock);
}

void vapic_avic_irq_window_close(struct vapic_vcpu *vcpu)
{
	struct vapic_vm *vm = vcpu->vm;

	if (likely(!vcpu->irq_window))
		return;
	mutex_lock(&vm->irq_window_lock);
	vcpu->irq_window = false;
	if (!--vm->irq_windows)
		vapic_kvm_change_inhibit(vcpu->common.kvm_vcpu->kvm, APICV_INHIBIT_REASON_IRQWIN,
					 false);
	mutex_unlock(&vm->irq_window_lock);
}

/* Close the window unless an ExtINT still waits for it. */
static void close_if_over(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));

	if (vcpu && unlikely(vcpu->irq_window) && !vapic_call(kvm_cpu_has_extint)(kvm_vcpu))
		vapic_avic_irq_window_close(vcpu);
}

/* Set V_IRQ, with lowest vector and highest priority: it exits and is never delivered. */
static void request_exit(struct vcpu_svm *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	__set_bit(INTERCEPT_VINTR, (unsigned long *)svm->vmcb01.ptr->control.intercepts);
	vapic_recalc_intercepts(svm);
	/*
	 * KVM leaves it out while a nested guest runs whose hypervisor has interrupts off. KVM of 6.1
	 * leaves it out for any hypervisor that masks interrupts by V_INTR_MASKING, but one that has
	 * them on and does not intercept them waits for them.
	 */
	if (!test_bit(INTERCEPT_VINTR, (unsigned long *)vmcb->control.intercepts)) {
		if (!(svm->vmcb01.ptr->save.rflags & X86_EFLAGS_IF))
			return;
		__set_bit(INTERCEPT_VINTR, (unsigned long *)vmcb->control.intercepts);
		vmcb->control.clean &= ~BIT(VMCB_CLEAN_INTERCEPTS);
	}

	vmcb->control.int_vector = 0;
	vmcb->control.int_ctl |= V_IRQ_MASK | V_INTR_PRIO_MASK;
	vmcb->control.clean &= ~BIT(VMCB_CLEAN_INT_CTL);
}

/* The guest's GIF, where KVM emulates it. */
static bool takes_interrupts(struct vcpu_svm *svm)
{
#if VAPIC_HAS_vcpu_svm__guest_gif
	return svm->guest_gif;
#else
	return svm->vcpu.arch.hflags & HF_GIF_MASK;
#endif
}

void vapic_svm_enable_irq_window(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;

	/* Without virtual GIF, the STGI that sets GIF exits, and KVM then asks again. */
	if (unlikely(!vapic_data(vgif)) && !takes_interrupts(svm))
		return;
	/* AVIC is never on in the VMCB of a nested guest. */
	if (apic && unlikely(vapic_apicv_active(apic)) && !vapic_guest_mode(kvm_vcpu))
		inhibit_vm(vapic_vcpu_of(svm));
	request_exit(svm);
}

void vapic_avic_irq_window_ask_again(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);

	if (likely(!(svm->vmcb01.ptr->control.int_ctl & V_IRQ_MASK)))
		return;
	vapic_call(svm_clear_vintr)(svm);
	kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
}

/*
 * Stock ends its inhibit at every exit for a window.  The compiler inlines that handler into
 * svm_invoke_exit_handler(), so the handler's own ftrace site is not passed, and the site of this
 * function is the first one that is.  Here the exit does not end the inhibit, the injection does;
 * only if the interrupt has been withdrawn meanwhile, the exit ends it.
 *
 * A PIT that reinjects does not inhibit either, but what it finds at its ticks may (pit_glue.c).
 *
 * Intel uses neither reason; there this function only does what stock does.
 */
void vapic_hook_kvm_set_or_clear_apicv_inhibit(struct kvm *kvm, enum kvm_apicv_inhibit reason,
					       bool set)
{
	if (likely(reason == APICV_INHIBIT_REASON_IRQWIN)) {
		if (unlikely(READ_ONCE(kvm->arch.apicv_inhibit_reasons) & BIT(reason)))
			close_if_over(vapic_call(kvm_get_running_vcpu)());
		return;
	}
	/* lapic/map_glue.c sets this one, and takes it back. */
	if (!VAPIC_HAS_aliased_ids && reason == APICV_INHIBIT_REASON_APIC_ID_MODIFIED)
		return;
	if (reason == APICV_INHIBIT_REASON_PIT_REINJ && boot_cpu_has(X86_FEATURE_SVM))
		return vapic_avic_pit_set_reinject(kvm, set);
	if (vapic_data(enable_apicv))
		vapic_kvm_change_inhibit(kvm, reason, set);
}

/*
 * KVM injects an interrupt, after an exit for the window or without one.  While the vCPU is
 * inhibited, every interrupt comes this way, so an inhibit for a window that is not needed any
 * more ends with the vCPU's next interrupt at the latest.
 */
void vapic_svm_inject_irq(struct kvm_vcpu *kvm_vcpu, bool reinjected)
{
	close_if_over(kvm_vcpu);
	vapic_svm_stock(inject_irq)(kvm_vcpu, reinjected);
}

/* The APIC is about to be reset or overwritten; KVM looks for interrupts anew afterwards. */
void vapic_svm_apicv_pre_state_restore(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_svm(kvm_vcpu));

	if (vcpu)
		vapic_avic_irq_window_close(vcpu);
}
