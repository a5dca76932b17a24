/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that vapic takes over from KVM, in the order of init.
 *
 * A list for kvm itself and one for each vendor's module. Each is a macro that is given a macro
 * for every kind of takeover, VAPIC_SKIP for those that its caller has no use for:
 *
 *   REDIRECT(module, function, return type, (prototype))
 *       a function that KVM calls directly, redirected at its ftrace site to
 *       vapic_hook_<function>
 *   OP(vendor, op)
 *       a member of kvm_x86_ops that vapic_<vendor>_<op> replaces
 *   WRAP(vendor, op)
 *       a member of kvm_x86_ops that vapic_<vendor>_<op> surrounds: it calls
 *       vapic_<vendor>_stock(op)
 *   GATE(vendor, op)
 *       the member that VMs are created by, surrounded by the gate (takeover/gate.c)
 *   SWITCH(module, variable)
 *       a variable that has another value while vapic is loaded (struct vapic_switch)
 *
 * VAPIC_IF() and VAPIC_UNLESS() are around an entry that is for some of the kernels (presence.h).
 * The prototypes are stock's. C, the assembler and tools read this, hence one entry a line and
 * nothing but entries in a list.
 *
 * takeover/reasons says why each is taken over, how often it runs and what it would cost
 * otherwise, and what is left to stock because a redirection would cost more than it saves;
 * tools/takeovers compares the two files.
 *
 * Some functions of kvm sleep, and Tasks RCU takes a task that sleeps for one that has left.
 * Nevertheless no task is in one of them while vapic is removed: each is called for a VM that
 * exists or for one of its vCPUs, and a VM pins vapic from vm_init (takeover/gate.c) until the
 * last of its objects is gone. vapic_redirect_wait() waits for tasks on the last instructions of
 * one, as it does for all others.
 */
#ifndef VAPIC_KVM_TAKEOVERS_H
#define VAPIC_KVM_TAKEOVERS_H

#include "presence.h"

#define VAPIC_SKIP(...)

/* clang-format off */

/* kvm: the gate, and the state of the local APIC, the same for both vendors. */
#define VAPIC_KVM_TAKEOVERS(REDIRECT, GATE, SWITCH) \
	GATE(kvm, vm_init) \
	REDIRECT(kvm, kvm_apic_set_state, int, (struct kvm_vcpu *vcpu, struct kvm_lapic_state *s)) \
	REDIRECT(kvm, kvm_lapic_reset, void, (struct kvm_vcpu *vcpu, bool init_event)) \
	VAPIC_IF(__kvm_vcpu_update_apicv, REDIRECT(kvm, __kvm_vcpu_update_apicv, void, (struct kvm_vcpu *vcpu))) \
	VAPIC_UNLESS(__kvm_vcpu_update_apicv, REDIRECT(kvm, kvm_vcpu_update_apicv, void, (struct kvm_vcpu *vcpu))) \
	VAPIC_UNLESS(aliased_ids, REDIRECT(kvm, kvm_recalculate_apic_map, void, (struct kvm *kvm))) \
	REDIRECT(kvm, kvm_set_or_clear_apicv_inhibit, void, (struct kvm *kvm, enum kvm_apicv_inhibit reason, bool set)) \
	REDIRECT(kvm, kvm_cpu_has_interrupt, int, (struct kvm_vcpu *vcpu)) \
	REDIRECT(kvm, kvm_lapic_sync_from_vapic, void, (struct kvm_vcpu *vcpu)) \
	SWITCH(kvm, enable_apicv) \
	VAPIC_UNLESS(check_apicv_inhibit_reasons, SWITCH(kvm, required_apicv_inhibits)) \
	VAPIC_IF(enable_device_posted_irqs, SWITCH(kvm, enable_device_posted_irqs))

/*
 * kvm_amd, and the PIT, which only AVIC has trouble with. The hook for
 * kvm_set_or_clear_apicv_inhibit above is in avic/window_glue.c, because only for AVIC it differs
 * from stock.
 */
#define VAPIC_SVM_TAKEOVERS(REDIRECT, OP, WRAP, SWITCH) \
	REDIRECT(kvm_amd, avic_vcpu_load, void, (struct kvm_vcpu *vcpu, int cpu)) \
	REDIRECT(kvm_amd, avic_incomplete_ipi_interception, int, (struct kvm_vcpu *vcpu)) \
	REDIRECT(kvm_amd, avic_unaccelerated_access_interception, int, (struct kvm_vcpu *vcpu)) \
	REDIRECT(kvm_amd, avic_init_vmcb, void, (struct vcpu_svm *svm, struct vmcb *vmcb)) \
	REDIRECT(kvm_amd, avic_init_vcpu, int, (struct vcpu_svm *svm)) \
	VAPIC_IF(avic_vm_init, REDIRECT(kvm_amd, avic_vm_init, int, (struct kvm *kvm))) \
	REDIRECT(kvm, pit_do_work, void, (struct kthread_work *work)) \
	OP(svm, vcpu_precreate) \
	OP(svm, vcpu_put) \
	OP(svm, vcpu_blocking) \
	OP(svm, vcpu_unblocking) \
	OP(svm, vcpu_get_apicv_inhibit_reasons) \
	OP(svm, set_virtual_apic_mode) \
	OP(svm, refresh_apicv_exec_ctrl) \
	OP(svm, apicv_pre_state_restore) \
	OP(svm, apicv_post_state_restore) \
	OP(svm, pi_update_irte) \
	OP(svm, deliver_interrupt) \
	OP(svm, enable_irq_window) \
	WRAP(svm, vcpu_create) \
	WRAP(svm, vcpu_free) \
	WRAP(svm, vm_destroy) \
	VAPIC_IF(msr_filter_changed, WRAP(svm, msr_filter_changed)) \
	WRAP(svm, inject_irq) \
	VAPIC_UNLESS(idle_hlt, WRAP(svm, handle_exit)) \
	WRAP(svm, vcpu_deliver_sipi_vector) \
	VAPIC_IF(check_apicv_inhibit_reasons, WRAP(svm, check_apicv_inhibit_reasons)) \
	VAPIC_IF(inhibited_apic_page, SWITCH(kvm, allow_apicv_in_x2apic_without_x2apic_virtualization)) \
	VAPIC_IOMMU_SVM_TAKEOVERS(SWITCH)

#ifdef CONFIG_AMD_IOMMU
#define VAPIC_IOMMU_SVM_TAKEOVERS(SWITCH) \
	SWITCH(vmlinux, iommu_ga_log_notifier)
#else
#define VAPIC_IOMMU_SVM_TAKEOVERS(SWITCH)
#endif

/*
 * kvm_intel. Two of its functions are redirected and are ops, too: KVM calls the ops, and
 * kvm_intel calls the functions directly when a nested guest exits.
 */
#define VAPIC_VMX_TAKEOVERS(REDIRECT, OP, WRAP, SWITCH) \
	REDIRECT(kvm_intel, vmx_vcpu_pi_load, void, (struct kvm_vcpu *vcpu, int cpu)) \
	REDIRECT(kvm_intel, vmx_vcpu_pi_put, void, (struct kvm_vcpu *vcpu)) \
	REDIRECT(kvm_intel, handle_apic_access, int, (struct kvm_vcpu *vcpu)) \
	REDIRECT(kvm_intel, handle_apic_write, int, (struct kvm_vcpu *vcpu)) \
	REDIRECT(kvm_intel, handle_apic_eoi_induced, int, (struct kvm_vcpu *vcpu)) \
	VAPIC_IF(nested_defers, REDIRECT(kvm_intel, vmx_refresh_apicv_exec_ctrl, void, (struct kvm_vcpu *vcpu))) \
	VAPIC_IF(nested_defers, REDIRECT(kvm_intel, vmx_set_virtual_apic_mode, void, (struct kvm_vcpu *vcpu))) \
	OP(vmx, deliver_interrupt) \
	OP(vmx, sync_pir_to_irr) \
	VAPIC_IF(hwapic_irr_update, OP(vmx, hwapic_irr_update)) \
	OP(vmx, load_eoi_exitmap) \
	OP(vmx, apicv_pre_state_restore) \
	OP(vmx, refresh_apicv_exec_ctrl) \
	OP(vmx, set_virtual_apic_mode) \
	OP(vmx, vcpu_precreate) \
	VAPIC_IF(check_processor_compatibility, WRAP(vmx, check_processor_compatibility)) \
	VAPIC_IF(check_apicv_inhibit_reasons, WRAP(vmx, check_apicv_inhibit_reasons)) \
	WRAP(vmx, vcpu_create) \
	WRAP(vmx, vcpu_reset) \
	WRAP(vmx, vcpu_free) \
	WRAP(vmx, vm_destroy) \
	WRAP(vmx, vcpu_deliver_sipi_vector) \
	VAPIC_IF(enable_ipiv_in_kvm_intel, SWITCH(kvm_intel, enable_ipiv)) \
	VAPIC_UNLESS(enable_ipiv_in_kvm_intel, SWITCH(kvm, enable_ipiv)) \
	SWITCH(vmlinux, kvm_posted_intr_wakeup_handler)

/* clang-format on */

#endif
