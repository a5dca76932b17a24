// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two exits of AVIC.
 */
#include <vapic/host.h>

#include <asm/apicdef.h>

#include "../kvm/hooks.h"
#include "glue.h"

/* The index in EXITINFO2 of exit 401h, as wide as the extension to 4,096 entries makes it. */
#define IPI_INDEX_MASK 0xfff

static __always_inline enum vapic_announcement announce(struct kvm_vcpu *kvm_vcpu, u32 icr_low,
							enum vapic_avic_ipi_target target)
{
	if (target == VAPIC_AVIC_TARGET_INACTIVE) {
		/* KVM delivers the interrupt; the flag makes KVM look at the IRR. */
		vapic_set_irr_pending(kvm_vcpu->arch.apic);
		kvm_make_request(KVM_REQ_EVENT, kvm_vcpu);
		vapic_kvm_kick(kvm_vcpu);
		return VAPIC_ANNOUNCED_BY_KICK;
	}

	vapic_trace_kvm_apicv_accept_irq(kvm_vcpu->vcpu_id, icr_low & APIC_MODE_MASK,
					 icr_low & APIC_INT_LEVELTRIG, icr_low & APIC_VECTOR_MASK);
	switch (target) {
	case VAPIC_AVIC_TARGET_ASLEEP:
		vapic_call(kvm_vcpu_wake_up)(kvm_vcpu);
		return VAPIC_ANNOUNCED_BY_WAKEUP;
	case VAPIC_AVIC_TARGET_UNSEEN:
		if (smp_load_acquire(&kvm_vcpu->mode) == IN_GUEST_MODE)
			return vapic_avic_ring_doorbell(kvm_vcpu);
		break;
	default:
		break;
	}
	/* Hardware has rung its doorbell if the vCPU ran. */
	return VAPIC_ANNOUNCED_BY_ENTRY;
}

static noinline void announce_traced(struct kvm_vcpu *kvm_vcpu, u32 icr_low,
				     enum vapic_avic_ipi_target target)
{
	u32 vector = icr_low & APIC_VECTOR_MASK;

	vapic_trace_handed_over(kvm_vcpu, vector, false);
	vapic_trace_announced(kvm_vcpu, vector, announce(kvm_vcpu, icr_low, target));
}

/* Called by core, for one destination whose IRR bit is set. */
void vapic_host_avic_ipi_target(struct vapic_vcpu *vcpu, u32 icr_low,
				enum vapic_avic_ipi_target target)
{
	if (vapic_interrupt_is_traced())
		announce_traced(vcpu->common.kvm_vcpu, icr_low, target);
	else
		announce(vcpu->common.kvm_vcpu, icr_low, target);
}

/* True for a broadcast in any form, for which stock walks all vCPUs. */
static bool is_broadcast(u32 icr_low, u32 icr_high, bool x2apic)
{
	/* APIC_DEST_ALLBUT is both bits of the shorthand field. */
	if (icr_low & APIC_DEST_ALLBUT)
		return true;
	if (x2apic)
		return icr_high == U32_MAX;
	return !(icr_low & APIC_DEST_LOGICAL) && GET_XAPIC_DEST_FIELD(icr_high) == 0xff;
}

int vapic_hook_avic_incomplete_ipi_interception(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct vmcb *vmcb = svm->vmcb;
	struct vapic_avic_ipi_exit exit = {
		.info1 = vmcb->control.exit_info_1,
		.info2 = vmcb->control.exit_info_2,
		.x2apic = vapic_x2apic_mode(kvm_vcpu),
		/* Stock reports every destination; do so only while an event wants it. */
		.visit_all = vapic_interrupt_is_traced() || vapic_traced_kvm_apicv_accept_irq(),
	};
	u32 icr_high = upper_32_bits(exit.info1);
	u32 icr_low = lower_32_bits(exit.info1);
	u32 id = upper_32_bits(exit.info2);
	u32 index = exit.info2 & IPI_INDEX_MASK;

	vapic_trace_kvm_avic_incomplete_ipi(kvm_vcpu->vcpu_id, icr_high, icr_low, id, index);
	if (id == AVIC_IPI_FAILURE_TARGET_NOT_RUNNING &&
	    is_broadcast(icr_low, icr_high, exit.x2apic))
		vapic_trace_kvm_avic_kick_vcpu_slowpath(icr_high, icr_low, index);

	/* The task holds kvm->srcu, which vapic_vm_wait_for_ipis() waits for. */
	switch (vapic_avic_vcpu_ipi(vapic_core(vapic_vcpu_of(svm)), &exit)) {
	case VAPIC_AVIC_IPI_DONE:
		break;
	case VAPIC_AVIC_IPI_EMULATE:
		vapic_call(kvm_apic_send_ipi)(kvm_vcpu->arch.apic, icr_low, icr_high);
		break;
	case VAPIC_AVIC_IPI_REWRITE:
		vapic_call(kvm_apic_write_nodecode)(kvm_vcpu, APIC_ICR);
		break;
	case VAPIC_AVIC_IPI_UNKNOWN:
		pr_err_ratelimited("vapic: vCPU %d: unknown reason %u of an incomplete IPI\n",
				   kvm_vcpu->vcpu_id, id);
		break;
	}
	return 1;
}

int vapic_hook_avic_unaccelerated_access_interception(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct vmcb *vmcb = svm->vmcb;
	struct vapic_avic_vcpu *core = vapic_core(vapic_vcpu_of(svm));
	struct vapic_avic_access access;

	vapic_avic_vcpu_access(core, vmcb->control.exit_info_1, vmcb->control.exit_info_2, &access);
	vapic_trace_kvm_avic_unaccelerated_access(kvm_vcpu->vcpu_id, access.offset, access.trap,
						  access.write, access.vector);

	switch (access.action) {
	case VAPIC_AVIC_ACCESS_EMULATE:
		return vapic_call(kvm_emulate_instruction)(kvm_vcpu, 0);
	case VAPIC_AVIC_ACCESS_COMMIT:
		vapic_call(kvm_apic_write_nodecode)(kvm_vcpu, access.offset);
		break;
	case VAPIC_AVIC_ACCESS_LOGICAL:
		/* KVM goes first, because it clears the register's reserved bits. */
		vapic_call(kvm_apic_write_nodecode)(kvm_vcpu, access.offset);
		vapic_avic_sync_logical(kvm_vcpu, vapic_vcpu_of(svm));
		break;
	case VAPIC_AVIC_ACCESS_IGNORE:
		break;
	}
	return 1;
}
