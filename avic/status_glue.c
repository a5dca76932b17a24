// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users may know: /sys/kernel/vapic/vcpus, described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#include "../lapic/status_glue.h"
#include "../takeover/svm_hooks.h"
#include "glue.h"

static void print_vcpu(struct seq_buf *s, struct vapic_vm *vm, struct vapic_vcpu *ours,
		       unsigned long vm_reasons)
{
	struct kvm_vcpu *vcpu = ours->vcpu;
	struct vapic_avic_counts counts;

	vapic_avic_vcpu_counts(vapic_core(ours), &counts);
	vapic_status_vcpu(s, vm->pid, vcpu->vcpu_id, READ_ONCE(vapic_apicv_active(vcpu->arch.apic)),
			  vm_reasons | vapic_svm_vcpu_get_apicv_inhibit_reasons(vcpu));
	seq_buf_printf(s,
		       " ipi_type=%llu ipi_not_running=%llu ipi_target=%llu ipi_vector=%llu"
		       " woken=%llu kicked=%llu access_trap=%llu access_fault=%llu\n",
		       counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_INT_TYPE],
		       counts.ipi_exits[AVIC_IPI_FAILURE_TARGET_NOT_RUNNING],
		       counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_TARGET],
		       counts.ipi_exits[AVIC_IPI_FAILURE_INVALID_IPI_VECTOR], counts.ipi_woken,
		       counts.ipi_inactive, counts.accesses_trap, counts.accesses_fault);
}

void vapic_avic_status(struct seq_buf *s)
{
	struct vapic_vcpu *vcpu;
	struct vapic_vm *vm;

	mutex_lock(&vapic_vms_lock);
	list_for_each_entry(vm, &vapic_vms, node) {
		unsigned long reasons = READ_ONCE(vm->kvm->arch.apicv_inhibit_reasons);

		vapic_status_vm(s, vm->pid, reasons);
		list_for_each_entry(vcpu, &vm->vcpus, node)
			print_vcpu(s, vm, vcpu, reasons);
	}
	mutex_unlock(&vapic_vms_lock);
}
