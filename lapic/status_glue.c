// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users may know of any VM and vCPU: accelerated or not, and why not.
 */
#include "status_glue.h"

static const struct {
	unsigned long mask;
	const char *name;
} inhibits[] = {APICV_INHIBIT_REASONS};

static void print_inhibits(struct seq_buf *s, unsigned long reasons)
{
	const char *separator = " inhibits=";
	int i;

	for (i = 0; i < ARRAY_SIZE(inhibits); i++) {
		if (!(reasons & inhibits[i].mask))
			continue;
		seq_buf_printf(s, "%s%s", separator, inhibits[i].name);
		separator = ",";
	}
	seq_buf_puts(s, *separator == ',' ? "" : " inhibits=-");
}

static void print_vcpu(struct seq_buf *s, pid_t pid, struct vapic_vcpu_common *ours,
		       unsigned long reasons, const struct vapic_status_ops *ops)
{
	struct kvm_vcpu *vcpu = ours->vcpu;

	seq_buf_printf(s, "pid=%d vcpu=%d active=%d", pid, vcpu->vcpu_id,
		       vapic_apicv_active(vcpu->arch.apic));
	print_inhibits(s, reasons | (ops->inhibits ? ops->inhibits(ours) : 0));
	ops->print_counts(s, ours);
	seq_buf_putc(s, '\n');
}

void vapic_status_vms(struct seq_buf *s, const struct vapic_status_ops *ops)
{
	struct vapic_vcpu_common *vcpu;
	struct vapic_vm_common *vm;

	mutex_lock(&vapic_vms_lock);
	list_for_each_entry(vm, &vapic_vms, node) {
		unsigned long reasons = READ_ONCE(vm->kvm->arch.apicv_inhibit_reasons);

		seq_buf_printf(s, "pid=%d vm active=%d", vm->pid, !reasons);
		print_inhibits(s, reasons);
		seq_buf_putc(s, '\n');
		list_for_each_entry(vcpu, &vm->vcpus, node)
			print_vcpu(s, vm->pid, vcpu, reasons, ops);
	}
	mutex_unlock(&vapic_vms_lock);
}
