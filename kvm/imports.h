/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every symbol of the running kernel that vapic finds by name.
 *
 * Each list is a macro that is given a macro for every kind of symbol:
 *
 *   FUNC(module, return type, name, (prototype))
 *       use: vapic_call(name)(arguments)
 *   DATA(module, type, name)
 *       use: vapic_data(name), an lvalue of that type
 *   TRACE(module, name, TP_PROTO(...), TP_ARGS(...))
 *       use: vapic_trace_<name>(arguments)
 *   CALL(op)
 *       a member of kvm_x86_ops, vapic's or stock's, as it is while vapic is loaded
 *       use: vapic_op(op)(arguments)
 *
 * The module is the one that holds the symbol: vmlinux, kvm, kvm_amd or kvm_intel. vapic.ko does
 * not link against any of them, so init runs far enough to say in its own words what is missing.
 * VAPIC_IF() and VAPIC_UNLESS() are around entries for some of the kernels (presence.h). What
 * depends on an option of the kernel is a list of its own, which is empty for kernels without.
 */
#ifndef VAPIC_KVM_IMPORTS_H
#define VAPIC_KVM_IMPORTS_H

#include "presence.h"

/* What kernfs takes for a namespace. */
#if VAPIC_HAS_kernfs_ns_common
#define VAPIC_KERNFS_NS struct ns_common
#else
#define VAPIC_KERNFS_NS void
#endif

/* clang-format off */

#define VAPIC_ALWAYS_IMPORTS(FUNC, DATA, TRACE) \
	/* Wake-ups, exits to emulation, interrupts */ \
	FUNC(kvm, bool, kvm_vcpu_wake_up, (struct kvm_vcpu *vcpu)) \
	VAPIC_IF(kvm_vcpu_kick, FUNC(kvm, void, kvm_vcpu_kick, (struct kvm_vcpu *vcpu))) \
	VAPIC_UNLESS(kvm_vcpu_kick, \
		FUNC(kvm, void, __kvm_vcpu_kick, (struct kvm_vcpu *vcpu, bool wait))) \
	FUNC(kvm, int, kvm_emulate_instruction, \
		(struct kvm_vcpu *vcpu, int emulation_type)) \
	VAPIC_IF(kvm_alloc_apic_access_page, \
		FUNC(kvm, int, kvm_alloc_apic_access_page, (struct kvm *kvm))) \
	VAPIC_UNLESS(kvm_alloc_apic_access_page, \
		FUNC(kvm, void __user *, __x86_set_memory_region, \
			(struct kvm *kvm, int id, gpa_t gpa, u32 size))) \
	FUNC(kvm, void, kvm_put_kvm, (struct kvm *kvm)) \
	VAPIC_UNLESS(inhibited_apic_page, \
		FUNC(vmlinux, int, task_work_add, \
			(struct task_struct *task, struct callback_head *work, \
			enum task_work_notify_mode notify))) \
	FUNC(kvm, void, kvm_set_or_clear_apicv_inhibit, \
		(struct kvm *kvm, enum kvm_apicv_inhibit reason, bool set)) \
	FUNC(kvm, void, __kvm_set_or_clear_apicv_inhibit, \
		(struct kvm *kvm, enum kvm_apicv_inhibit reason, bool set)) \
	FUNC(kvm, struct kvm_vcpu *, kvm_get_running_vcpu, (void)) \
	FUNC(kvm, bool, kvm_make_all_cpus_request, (struct kvm *kvm, unsigned int req)) \
	/* Routes of interrupts */ \
	VAPIC_IF(kvm_set_msi_irq, \
		FUNC(kvm, void, kvm_set_msi_irq, \
			(struct kvm *kvm, struct kvm_kernel_irq_routing_entry *entry, \
			struct kvm_lapic_irq *irq)) \
		FUNC(kvm, bool, kvm_intr_is_single_vcpu, \
			(struct kvm *kvm, struct kvm_lapic_irq *irq, struct kvm_vcpu **vcpu))) \
	FUNC(kvm, int, kvm_set_irq, \
		(struct kvm *kvm, int irq_source_id, u32 irq, int level, bool line_status)) \
	FUNC(kvm, bool, kvm_apic_match_dest, \
		(struct kvm_vcpu *vcpu, struct kvm_lapic *source, int shorthand, unsigned int dest, \
		int dest_mode)) \
	FUNC(kvm, void, kvm_apic_nmi_wd_deliver, (struct kvm_vcpu *vcpu)) \
	/* Local APIC */ \
	FUNC(kvm, void, kvm_apic_write_nodecode, \
		(struct kvm_vcpu *vcpu, u32 offset)) \
	FUNC(kvm, void, kvm_apic_send_ipi, \
		(struct kvm_lapic *apic, u32 icr_low, u32 icr_high)) \
	FUNC(kvm, void, kvm_lapic_set_eoi, (struct kvm_vcpu *vcpu)) \
	FUNC(kvm, void, kvm_apic_set_eoi_accelerated, \
		(struct kvm_vcpu *vcpu, int vector)) \
	VAPIC_IF(kvm_lapic_readable_reg_mask, \
		FUNC(kvm, u64, kvm_lapic_readable_reg_mask, (struct kvm_lapic *apic))) \
	VAPIC_IF(kvm_x2apic_disable_read_intercept_reg_mask, \
		FUNC(kvm, u64, kvm_x2apic_disable_read_intercept_reg_mask, \
			(struct kvm_vcpu *vcpu))) \
	FUNC(kvm, int, kvm_skip_emulated_instruction, (struct kvm_vcpu *vcpu)) \
	/* Local APIC: its state as a whole */ \
	FUNC(kvm, void, kvm_apic_set_version, (struct kvm_vcpu *vcpu)) \
	FUNC(kvm, int, kvm_cpu_has_extint, (struct kvm_vcpu *vcpu)) \
	VAPIC_IF(aliased_ids, \
		FUNC(kvm, void, kvm_recalculate_apic_map, (struct kvm *kvm))) \
	FUNC(kvm, void, kvm_rtc_eoi_tracking_restore_one, (struct kvm_vcpu *vcpu)) \
	FUNC(kvm, void, apic_update_lvtt, (struct kvm_lapic *apic)) \
	VAPIC_IF(apic_manage_nmi_watchdog, \
		FUNC(kvm, void, apic_manage_nmi_watchdog, (struct kvm_lapic *apic, u32 lvt0))) \
	VAPIC_IF(set_target_expiration, \
		FUNC(kvm, bool, set_target_expiration, (struct kvm_lapic *apic, u32 count_reg)) \
		FUNC(kvm, void, restart_apic_timer, (struct kvm_lapic *apic))) \
	VAPIC_UNLESS(set_target_expiration, \
		FUNC(kvm, void, __start_apic_timer, (struct kvm_lapic *apic, u32 count_reg))) \
	FUNC(kvm, void, cancel_hv_timer, (struct kvm_lapic *apic)) \
	DATA(kvm, struct static_key_false_deferred, apic_sw_disabled) \
	FUNC(kvm, int, apic_set_eoi, (struct kvm_lapic *apic)) \
	FUNC(kvm, void, apic_update_ppr, (struct kvm_lapic *apic)) \
	FUNC(kvm, int, kvm_read_guest_cached, \
		(struct kvm *kvm, struct gfn_to_hva_cache *cache, void *data, unsigned long length)) \
	FUNC(kvm, int, kvm_write_guest_cached, \
		(struct kvm *kvm, struct gfn_to_hva_cache *cache, void *data, unsigned long length)) \
	/* Data of kvm.ko */ \
	DATA(kvm, struct kvm_x86_ops, kvm_x86_ops) \
	DATA(kvm, bool, enable_apicv) \
	VAPIC_IF(enable_device_posted_irqs, DATA(kvm, bool, enable_device_posted_irqs)) \
	DATA(kvm, struct list_head, vm_list) \
	DATA(kvm, struct mutex, kvm_lock) \
	/* kvm_amd */ \
	VAPIC_IF(recalc_intercepts, \
		FUNC(kvm_amd, void, recalc_intercepts, (struct vcpu_svm *svm))) \
	VAPIC_UNLESS(recalc_intercepts, \
		FUNC(kvm_amd, void, nested_vmcb02_recalc_intercepts, (struct vcpu_svm *svm))) \
	FUNC(kvm_amd, void, svm_clear_vintr, (struct vcpu_svm *svm)) \
	DATA(kvm_amd, bool, npt_enabled) \
	DATA(kvm_amd, int, vgif) \
	/* kvm_intel */ \
	FUNC(kvm_intel, bool, vmx_interrupt_blocked, (struct kvm_vcpu *vcpu)) \
	VAPIC_UNLESS(nested_defers, \
		FUNC(kvm_intel, void, vmx_vcpu_load_vmcs, (struct kvm_vcpu *vcpu, int cpu))) \
	DATA(kvm_intel, struct vmcs_config, vmcs_config) \
	DATA(kvm_intel, bool, flexpriority_enabled) \
	DATA(kvm_intel, bool, fasteoi) \
	VAPIC_IF(enable_ipiv_in_kvm_intel, DATA(kvm_intel, bool, enable_ipiv)) \
	VAPIC_UNLESS(enable_ipiv_in_kvm_intel, DATA(kvm, bool, enable_ipiv)) \
	DATA(kvm_intel, u8, pi_wakeup_handler) \
	/* Tracepoints of kvm.ko that users of stock AVIC already watch */ \
	TRACE(kvm, kvm_avic_incomplete_ipi, \
		TP_PROTO(u32 vcpu, u32 icrh, u32 icrl, u32 id, u32 index), \
		TP_ARGS(vcpu, icrh, icrl, id, index)) \
	TRACE(kvm, kvm_avic_unaccelerated_access, \
		TP_PROTO(u32 vcpu, u32 offset, bool ft, bool rw, u32 vec), \
		TP_ARGS(vcpu, offset, ft, rw, vec)) \
	TRACE(kvm, kvm_avic_kick_vcpu_slowpath, \
		TP_PROTO(u32 icrh, u32 icrl, u32 index), \
		TP_ARGS(icrh, icrl, index)) \
	TRACE(kvm, kvm_avic_doorbell, \
		TP_PROTO(u32 vcpuid, u32 apicid), \
		TP_ARGS(vcpuid, apicid)) \
	TRACE(kvm, kvm_avic_ga_log, \
		TP_PROTO(u32 vmid, u32 vcpuid), \
		TP_ARGS(vmid, vcpuid)) \
	TRACE(kvm, kvm_apicv_accept_irq, \
		TP_PROTO(u32 apicid, u16 dm, u16 tm, u8 vec), \
		TP_ARGS(apicid, dm, tm, vec)) \
	VAPIC_UNLESS(pi_update_irte_by_vcpu, \
		TRACE(kvm, kvm_pi_irte_update, \
			TP_PROTO(unsigned int host_irq, unsigned int vcpu, unsigned int gsi, \
			unsigned int vector, u64 descriptor, bool set), \
			TP_ARGS(host_irq, vcpu, gsi, vector, descriptor, set))) \
	TRACE(kvm, kvm_pv_eoi, \
		TP_PROTO(struct kvm_lapic *apic, int vector), \
		TP_ARGS(apic, vector)) \
	/* The kernel itself */ \
	FUNC(vmlinux, int, ftrace_is_dead, (void)) \
	DATA(vmlinux, u8, ftrace_regs_caller) \
	DATA(vmlinux, struct mutex, text_mutex) \
	FUNC(vmlinux, void, do_group_exit, (int code)) \
	FUNC(vmlinux, unsigned long, ftrace_find_rec_direct, \
		(unsigned long ip)) \
	FUNC(vmlinux, unsigned long, ftrace_location, (unsigned long ip)) \
	FUNC(vmlinux, struct kernfs_node *, __kernfs_create_file, \
		(struct kernfs_node *parent, const char *name, umode_t mode, kuid_t uid, kgid_t gid, \
		loff_t size, const struct kernfs_ops *ops, void *priv, const VAPIC_KERNFS_NS *ns, \
		struct lock_class_key *key)) \
	FUNC(vmlinux, struct kernfs_node *, kernfs_create_dir_ns, \
		(struct kernfs_node *parent, const char *name, umode_t mode, kuid_t uid, kgid_t gid, \
		void *priv, const VAPIC_KERNFS_NS *ns)) \
	FUNC(vmlinux, void, kernfs_remove, (struct kernfs_node *node)) \
	FUNC(vmlinux, struct module *, find_module, (const char *name)) \
	/* The static call apic_call_send_IPI; modules get only the one for masks of CPUs. */ \
	VAPIC_IF(apic_static_calls, \
		FUNC(vmlinux, void, __SCT__apic_call_send_IPI, (int cpu, int vector))) \
	FUNC(vmlinux, void, kvm_set_posted_intr_wakeup_handler, (void (*handler)(void))) \
	DATA(vmlinux, unsigned long, kvm_posted_intr_wakeup_handler)

#ifdef CONFIG_KVM_XEN
#define VAPIC_XEN_IMPORTS(FUNC, DATA, TRACE) \
	FUNC(kvm, int, __kvm_xen_has_interrupt, (struct kvm_vcpu *vcpu)) \
	FUNC(kvm, void, kvm_xen_inject_vcpu_vector, (struct kvm_vcpu *vcpu)) \
	DATA(kvm, struct static_key_false_deferred, kvm_xen_enabled)
#else
#define VAPIC_XEN_IMPORTS(FUNC, DATA, TRACE)
#endif

#ifdef CONFIG_AMD_IOMMU
#define VAPIC_AMD_IOMMU_IMPORTS(FUNC, DATA, TRACE) \
	DATA(vmlinux, unsigned long, iommu_ga_log_notifier)
#else
#define VAPIC_AMD_IOMMU_IMPORTS(FUNC, DATA, TRACE)
#endif

#define VAPIC_IMPORTS(FUNC, DATA, TRACE) \
	VAPIC_ALWAYS_IMPORTS(FUNC, DATA, TRACE) \
	VAPIC_XEN_IMPORTS(FUNC, DATA, TRACE) \
	VAPIC_AMD_IOMMU_IMPORTS(FUNC, DATA, TRACE)

/* The ops of either vendor that the glue of the local APIC calls. */
#define VAPIC_OP_CALLS(CALL) \
	CALL(sync_pir_to_irr) \
	CALL(apicv_pre_state_restore) \
	CALL(apicv_post_state_restore) \
	VAPIC_IF(hwapic_irr_update, CALL(hwapic_irr_update)) \
	CALL(hwapic_isr_update) \
	CALL(vcpu_get_apicv_inhibit_reasons) \
	CALL(vcpu_unblocking) \
	CALL(refresh_apicv_exec_ctrl)

/* clang-format on */

#endif
