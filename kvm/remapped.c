// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of assigned devices, which the IOMMU remaps and does not post.
 *
 * Stock's tracepoint says "enabled" when it asked for posting, even if the IOMMU then
 * remaps because the vCPU is inhibited. A reader of the trace wants to know what happens to the
 * interrupt, so vapic says "disabled", as stock does when it ends posting, and gives no
 * descriptor, because nothing is posted to one.
 */
#include <linux/srcu.h>

#include "symbols.h"
#include "objects.h"

static void trace_route(struct kvm *kvm, unsigned int host_irq,
			struct kvm_kernel_irq_routing_entry *entry)
{
	struct kvm_lapic_irq irq;
	struct kvm_vcpu *kvm_vcpu;

	if (entry->type != KVM_IRQ_ROUTING_MSI)
		return;
	vapic_call(kvm_set_msi_irq)(kvm, entry, &irq);
	if (vapic_call(kvm_intr_is_single_vcpu)(kvm, &irq, &kvm_vcpu) && kvm_irq_is_postable(&irq))
		vapic_trace_kvm_pi_irte_update(host_irq, kvm_vcpu->vcpu_id, entry->gsi, irq.vector,
					       0, false);
}

void vapic_trace_remapped(struct kvm *kvm, unsigned int host_irq, u32 guest_irq)
{
	struct kvm_kernel_irq_routing_entry *entry;
	struct kvm_irq_routing_table *routes;
	int idx;

	if (likely(!vapic_traced_kvm_pi_irte_update()))
		return;

	idx = srcu_read_lock(&kvm->irq_srcu);
	routes = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);
	if (guest_irq < routes->nr_rt_entries)
		hlist_for_each_entry(entry, &routes->map[guest_irq], link)
			trace_route(kvm, host_irq, entry);
	srcu_read_unlock(&kvm->irq_srcu, idx);
}
