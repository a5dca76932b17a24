// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest tells its APIC in guest memory: an EOI by a flag (KVM's paravirtual EOI), or a
 * new task priority (KVM_SET_VAPIC_ADDR). KVM reads that memory after each exit for which
 * KVM_APIC_PV_EOI_PENDING or KVM_APIC_CHECK_VAPIC is set, in the vCPU's task. Stock code still
 * writes there before an entry.
 */
#include <linux/uaccess.h>

#include <asm/apicdef.h>
#include <asm/kvm_para.h>

#include "glue.h"

/*
 * The address of the cached place in user space; an access may still fault. NULL if KVM has
 * to look the place up, as after a change of the memory slots.
 */
static __always_inline void __user *place_of(struct kvm *kvm, const struct gfn_to_hva_cache *cache)
{
	if (unlikely(kvm_memslots(kvm)->generation != cache->generation) ||
	    unlikely(!cache->memslot) || unlikely(kvm_is_error_hva(cache->hva)))
		return NULL;
	return (void __user *)cache->hva;
}

/* Read a value in one access; false if the guest's memory is not there. */
#define read_guest(kvm, cache, value)                                                              \
	({                                                                                         \
		typeof(value) __user *__place = place_of(kvm, cache);                              \
                                                                                                   \
		likely(__place) ?                                                                  \
			!__get_user(value, __place) :                                              \
			!vapic_call(kvm_read_guest_cached)(kvm, cache, &(value), sizeof(value));   \
	})

/*
 * KVM has set the flag for the one interrupt in service; a guest that finds it set clears it
 * instead of writing to EOI. If the flag cannot be read or taken back, all stays as it is until
 * the next exit; stock would end the interrupt, and another one at each further exit.
 */
static void take_pv_eoi(struct kvm_vcpu *kvm_vcpu, struct kvm_lapic *apic)
{
	struct gfn_to_hva_cache *cache = &kvm_vcpu->arch.pv_eoi.data;
	static u8 none;
	u8 flag;
	int vector;

	if (kvm_vcpu->arch.pv_eoi.msr_val & KVM_MSR_ENABLED) {
		if (!read_guest(kvm_vcpu->kvm, cache, flag))
			return;
		/*
		 * The guest has not ended the interrupt: clear the flag, so that the guest writes
		 * to EOI until the next entry.
		 */
		if ((flag & 1) &&
		    vapic_call(kvm_write_guest_cached)(kvm_vcpu->kvm, cache, &none, 1))
			return;
	} else {
		flag = 1;
	}

	__clear_bit(KVM_APIC_PV_EOI_PENDING, &kvm_vcpu->arch.apic_attention);
	if (flag & 1)
		return;
	vector = vapic_call(apic_set_eoi)(apic);
	vapic_trace_kvm_pv_eoi(apic, vector);
}

void vapic_hook_kvm_lapic_sync_from_vapic(struct kvm_vcpu *kvm_vcpu)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	u32 priority;

	if (test_bit(KVM_APIC_PV_EOI_PENDING, &kvm_vcpu->arch.apic_attention))
		take_pv_eoi(kvm_vcpu, apic);

	if (!test_bit(KVM_APIC_CHECK_VAPIC, &kvm_vcpu->arch.apic_attention))
		return;
	if (!read_guest(kvm_vcpu->kvm, &apic->vapic_cache, priority))
		return;
	vapic_lapic_write(apic->regs, APIC_TASKPRI, priority & 0xff);
	vapic_call(apic_update_ppr)(apic);
}
