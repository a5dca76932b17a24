// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets up the VMCS fields of APICv, switches them on and off, and changes them with the mode of
 * the guest's APIC. KVM keeps shadows of the controls; field and shadow change together.
 */
#include <asm/apicdef.h>

#include <vapic/lapic_hot.h>

#include "../kvm/hooks.h"
#include "glue.h"
#include "vmcs_glue.h"

/* Values of vcpu_vmx.x2apic_msr_bitmap_mode, which nobody else reads. */
enum msr_bitmap_mode {
	MSR_BITMAP_X2APIC = BIT(0),
	MSR_BITMAP_APICV = BIT(1),
	MSR_BITMAP_IPIV = BIT(2),
};

static struct vmcs_controls_shadow *shadow(struct vcpu_vmx *vmx)
{
	return &vmx->loaded_vmcs->controls_shadow;
}

static struct vapic_vmx_controls controls_get(struct vcpu_vmx *vmx)
{
	return (struct vapic_vmx_controls){
		.pin = shadow(vmx)->pin,
		.secondary = shadow(vmx)->secondary_exec,
		.tertiary = shadow(vmx)->tertiary_exec,
	};
}

static void controls_set(struct vcpu_vmx *vmx, const struct vapic_vmx_controls *controls)
{
	if (shadow(vmx)->pin != controls->pin) {
		vapic_vmcs_write(PIN_BASED_VM_EXEC_CONTROL, controls->pin);
		shadow(vmx)->pin = controls->pin;
	}
	if (shadow(vmx)->secondary_exec != controls->secondary) {
		vapic_vmcs_write(SECONDARY_VM_EXEC_CONTROL, controls->secondary);
		shadow(vmx)->secondary_exec = controls->secondary;
	}
	if (shadow(vmx)->tertiary_exec != controls->tertiary) {
		vapic_vmcs_write(TERTIARY_VM_EXEC_CONTROL, controls->tertiary);
		shadow(vmx)->tertiary_exec = controls->tertiary;
	}
}

/* The word for MSRs 800h to 83Fh in the half of the MSR bitmap for reads or writes. */
static u64 *bitmap_word(struct vcpu_vmx *vmx, bool write)
{
	struct loaded_vmcs *vmcs01 = &vmx->vmcs01;
	void *bitmap = vmcs01->msr_bitmap;

	return bitmap + (write ? 0x800 : 0) + APIC_BASE_MSR / BITS_PER_BYTE;
}

static void update_msr_bitmap(struct kvm_vcpu *kvm_vcpu, struct vcpu_vmx *vmx,
			      const struct vapic_vmx_controls *controls)
{
	struct vapic_vmx_msrs exits;
	u8 mode = 0;

	if (controls->secondary & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE)
		mode = MSR_BITMAP_X2APIC |
		       (controls->secondary & SECONDARY_EXEC_APIC_REGISTER_VIRT ? MSR_BITMAP_APICV :
										  0) |
		       (controls->tertiary & TERTIARY_EXEC_IPI_VIRT ? MSR_BITMAP_IPIV : 0);
	if (mode == vmx->x2apic_msr_bitmap_mode)
		return;
	vmx->x2apic_msr_bitmap_mode = mode;

	exits = vapic_vmx_x2apic_msrs(controls, vapic_kvm_readable(kvm_vcpu));
	*bitmap_word(vmx, false) = exits.read;
	*bitmap_word(vmx, true) = exits.write;
	/* KVM has computed the nested guest's bitmap from this one. */
	vmx->nested.force_msr_bitmap_recalc = true;
}

/* An event makes KVM compute the TPR threshold only if this is true. */
static bool apic_enabled(struct kvm_vcpu *kvm_vcpu)
{
	return (kvm_vcpu->arch.apic_base & MSR_IA32_APICBASE_ENABLE) &&
	       kvm_vcpu->arch.apic->sw_enabled;
}

static enum vapic_apic_mode apic_mode(struct kvm_vcpu *kvm_vcpu)
{
	switch (kvm_vcpu->arch.apic_base & (X2APIC_ENABLE | MSR_IA32_APICBASE_ENABLE)) {
	case X2APIC_ENABLE | MSR_IA32_APICBASE_ENABLE:
		return VAPIC_APIC_X2APIC;
	case MSR_IA32_APICBASE_ENABLE:
		return VAPIC_APIC_XAPIC;
	case X2APIC_ENABLE:
		WARN_ONCE(1, "vapic: the guest's APIC is in a mode that does not exist\n");
		return VAPIC_APIC_INVALID;
	default:
		return VAPIC_APIC_DISABLED;
	}
}

static u32 traced_mode(struct kvm_vcpu *kvm_vcpu)
{
	if (!vapic_apicv_active(kvm_vcpu->arch.apic))
		return VAPIC_MODE_OFF;
	switch (apic_mode(kvm_vcpu)) {
	case VAPIC_APIC_X2APIC:
		return VAPIC_MODE_X2APIC;
	case VAPIC_APIC_XAPIC:
		return VAPIC_MODE_XAPIC;
	default:
		return VAPIC_MODE_DISABLED;
	}
}

/* The controls have been set. */
static __always_inline void trace_mode(struct kvm_vcpu *kvm_vcpu)
{
	if (trace_vapic_mode_enabled())
		trace_vapic_mode(kvm_vcpu, traced_mode(kvm_vcpu));
}

static bool virtualizes_ipis(const struct vapic_vcpu *vcpu)
{
	return vcpu->vm->pid_table && !vcpu->ipis_exit;
}

/*
 * KVM has turned acceleration on or off. The outer VMCS is loaded. @event: KVM handles an event
 * before it enters the guest, nested or not.
 */
static __always_inline void refresh_outer(struct kvm_vcpu *kvm_vcpu, bool event)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(vmx);
	struct vapic_vmx_controls controls;

	/* While acceleration was off, RVI did not follow the IRR. */
	vapic_pi_vcpu_unsettle(vapic_core(vcpu));
	controls = controls_get(vmx);
	vapic_vmx_activate(&controls, vapic_apicv_active(kvm_vcpu->arch.apic),
			   virtualizes_ipis(vcpu));
	controls_set(vmx, &controls);
	update_msr_bitmap(kvm_vcpu, vmx, &controls);

	trace_mode(kvm_vcpu);
	/* Routes may have changed while it was off: make KVM load their EOI-exit bitmap. */
	if (vapic_apicv_active(kvm_vcpu->arch.apic) && vcpu->eoi_exits_stale) {
		vcpu->eoi_exits_stale = false;
		kvm_make_request(KVM_REQ_LOAD_EOI_EXITMAP, kvm_vcpu);
	}

	/*
	 * From now on the processor compares TPR with a threshold, which KVM did not update while
	 * acceleration was on; in x2APIC mode the entry fails if TPR is below it. The event makes
	 * KVM compute the threshold, but not if the APIC is disabled.
	 */
	if (!vapic_apicv_active(kvm_vcpu->arch.apic) && (!event || !apic_enabled(kvm_vcpu)))
		vapic_vmcs_write(TPR_THRESHOLD, 0);
}

/* The guest's APIC is in this mode from now on. The outer VMCS is loaded. */
static __always_inline void set_mode_outer(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	u32 may = vapic_data(vmcs_config).cpu_based_2nd_exec_ctrl;
	struct vapic_vmx_controls controls;

	if (!vapic_data(flexpriority_enabled))
		may &= ~SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	controls = controls_get(vmx);
	vapic_vmx_set_mode(&controls, apic_mode(kvm_vcpu), may);
	controls_set(vmx, &controls);
	update_msr_bitmap(kvm_vcpu, vmx, &controls);

	trace_mode(kvm_vcpu);
	/*
	 * While accesses were not virtualized, KVM may have left the address of the APIC access
	 * page unset, and the TLB may have cached what is at the APIC's address as memory.
	 */
	if (controls.secondary & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) {
		kvm_make_request(KVM_REQ_APIC_PAGE_RELOAD, kvm_vcpu);
		kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, kvm_vcpu);
	}
}

/*
 * A nested guest runs, whose VMCS is loaded. KVM either calls again once it has exited, or wants
 * the outer VMCS changed now.
 */
#if VAPIC_HAS_nested_defers
static void refresh_nested(struct kvm_vcpu *kvm_vcpu)
{
	to_vmx(kvm_vcpu)->nested.update_vmcs01_apicv_status = true;
}

static void set_mode_nested(struct kvm_vcpu *kvm_vcpu)
{
	to_vmx(kvm_vcpu)->nested.change_vmcs01_virtual_apic_mode = true;
}
#else
static void load_vmcs(struct kvm_vcpu *kvm_vcpu, struct loaded_vmcs *vmcs)
{
	guard(preempt)();
	to_vmx(kvm_vcpu)->loaded_vmcs = vmcs;
	vapic_call(vmx_vcpu_load_vmcs)(kvm_vcpu, smp_processor_id());
}

/*
 * At or below which TPR an interrupt waits, by its upper half; 0 if none does. KVM does not compute
 * it for the event that follows if the nested guest has a threshold of its own.
 */
static u32 tpr_threshold(struct kvm_lapic *apic)
{
	u32 irr = vapic_lapic_highest(apic->regs, APIC_IRR) >> 4;
	u32 tpr = vapic_lapic_read(apic->regs, APIC_TASKPRI) >> 4;

	return irr <= tpr ? irr : 0;
}

static noinline void refresh_nested(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct loaded_vmcs *inner = vmx->loaded_vmcs;

	load_vmcs(kvm_vcpu, &vmx->vmcs01);
	refresh_outer(kvm_vcpu, false);
	if (!vapic_apicv_active(kvm_vcpu->arch.apic))
		vapic_vmcs_write(TPR_THRESHOLD, tpr_threshold(kvm_vcpu->arch.apic));
	load_vmcs(kvm_vcpu, inner);
}

static noinline void set_mode_nested(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct loaded_vmcs *inner = vmx->loaded_vmcs;

	load_vmcs(kvm_vcpu, &vmx->vmcs01);
	set_mode_outer(kvm_vcpu);
	load_vmcs(kvm_vcpu, inner);
	/* The current TLB is the nested guest's. */
	kvm_make_request(KVM_REQ_TLB_FLUSH, kvm_vcpu);
}
#endif

/* In the vCPU's task. */
static __always_inline void refresh(struct kvm_vcpu *kvm_vcpu, bool event)
{
	if (!vapic_vcpu_of(to_vmx(kvm_vcpu)))
		return;
	if (vapic_guest_mode(kvm_vcpu))
		refresh_nested(kvm_vcpu);
	else
		refresh_outer(kvm_vcpu, event);
}

/* With preemption off. */
void vapic_vmx_refresh_apicv_exec_ctrl(struct kvm_vcpu *kvm_vcpu)
{
	refresh(kvm_vcpu, true);
}

void vapic_vmx_follow_switches(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_vcpu *vcpu = vapic_vcpu_of(to_vmx(kvm_vcpu));
	bool off;

	if (!vcpu)
		return;
	off = vapic_is_off(&vcpu->vm->common, VAPIC_IPI_VIRTUALIZATION);
	if (off == vcpu->ipis_exit)
		return;
	vcpu->ipis_exit = off;
	/* Without acceleration IPIs exit anyhow, and its return comes here by itself. */
	if (vapic_apicv_active(kvm_vcpu->arch.apic))
		refresh(kvm_vcpu, true);
}

#if VAPIC_HAS_nested_defers
/*
 * kvm_intel calls this when a nested guest has exited. KVM may enter another nested guest before
 * it handles the event, and does not compute the threshold for that one.
 */
void vapic_hook_vmx_refresh_apicv_exec_ctrl(struct kvm_vcpu *kvm_vcpu)
{
	refresh(kvm_vcpu, false);
	if (!vapic_apicv_active(kvm_vcpu->arch.apic))
		kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
}
#endif

/* The guest switched between xAPIC and x2APIC mode, or its APIC off or on. */
static void set_mode(struct kvm_vcpu *kvm_vcpu)
{
	if (!vapic_vcpu_of(to_vmx(kvm_vcpu)))
		return;
	if (vapic_guest_mode(kvm_vcpu))
		set_mode_nested(kvm_vcpu);
	else
		set_mode_outer(kvm_vcpu);
}

#if VAPIC_HAS_nested_defers
void vapic_hook_vmx_set_virtual_apic_mode(struct kvm_vcpu *kvm_vcpu)
{
	set_mode(kvm_vcpu);
}
#endif

void vapic_vmx_set_virtual_apic_mode(struct kvm_vcpu *kvm_vcpu)
{
	set_mode(kvm_vcpu);
}

/* Stock sets up the VMCS, as if there were no IPI virtualization, and the descriptor. */
void vapic_vmx_vcpu_reset(struct kvm_vcpu *kvm_vcpu, bool init_event)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(vmx);
	struct vapic_vmx_controls controls;
	struct vapic_vm *vm;

	vapic_vmx_stock(vcpu_reset)(kvm_vcpu, init_event);
	if (!vcpu)
		return;
	/*
	 * INIT leaves the VMCS as it is, but not IRR and TPR. While the APIC is disabled KVM
	 * computes no threshold, and 6.1 does not do that amid the reset either: one that is above
	 * TPR makes the entry fail.
	 */
	if (init_event) {
		if (!vapic_apicv_active(kvm_vcpu->arch.apic))
			vapic_vmcs_write(TPR_THRESHOLD, 0);
		return;
	}

	memset(vcpu->eoi_exits, 0, sizeof(vcpu->eoi_exits));
	vapic_pi_vcpu_unsettle(vapic_core(vcpu));

	vm = vcpu->vm;
	if (!vm->pid_table)
		return;
	vapic_vmcs_write(PID_POINTER_TABLE, __pa(vm->pid_table));
	vapic_vmcs_write(LAST_PID_POINTER_INDEX, vm->pid_entries - 1);
	controls = controls_get(vmx);
	vapic_vmx_activate(&controls, vapic_apicv_active(kvm_vcpu->arch.apic),
			   virtualizes_ipis(vcpu));
	controls_set(vmx, &controls);
}
