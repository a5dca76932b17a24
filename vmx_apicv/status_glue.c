// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users may know: /sys/kernel/vapic/vcpus, described in
 * Documentation/ABI/testing/sysfs-kernel-vapic.
 */
#include "../lapic/status_glue.h"
#include "../takeover/vmx_hooks.h"
#include "glue.h"

static void print_vcpu(struct seq_buf *s, struct vapic_vm *vm, struct vapic_vcpu *ours,
		       unsigned long reasons)
{
	struct kvm_vcpu *vcpu = ours->vcpu;

	vapic_status_vcpu(s, vm->pid, vcpu->vcpu_id, READ_ONCE(vapic_apicv_active(vcpu->arch.apic)),
			  reasons);
	seq_buf_printf(s,
		       " ipiv=%d apic_write=%llu apic_access=%llu eoi_induced=%llu notified=%llu"
		       " woken=%llu\n",
		       vm->pid_table != NULL, READ_ONCE(ours->apic_writes),
		       READ_ONCE(ours->apic_accesses), READ_ONCE(ours->eoi_exits_taken),
		       (u64)atomic64_read(&ours->notifications), READ_ONCE(ours->wakeups));
}

void vapic_vmx_status(struct seq_buf *s)
{
	struct vapic_vcpu *vcpu;
	struct vapic_vm *vm;

	mutex_lock(&vapic_vmx_vms_lock);
	list_for_each_entry(vm, &vapic_vmx_vms, node) {
		unsigned long reasons = READ_ONCE(vm->kvm->arch.apicv_inhibit_reasons);

		vapic_status_vm(s, vm->pid, reasons);
		list_for_each_entry(vcpu, &vm->vcpus, node)
			print_vcpu(s, vm, vcpu, reasons);
	}
	mutex_unlock(&vapic_vmx_vms_lock);
}
