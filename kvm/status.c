// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells users which VMs and vCPUs are accelerated, and why others are not.
 *
 * The creation of a VM waits for the lock of the list. So the lock is held only to note the
 * facts of one VM, and the text is written without it. The lines of one VM are of one
 * moment; a VM that comes or goes meanwhile may be in the text or not.
 */
#include "status.h"

#include "compat.h"
#include "vm_switches.h"

#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>

static const struct {
	unsigned long mask;
	const char *name;
} inhibits[] = {APICV_INHIBIT_REASONS, {BIT(APICV_INHIBIT_REASON_SWITCHED), "SWITCHED"}};

struct vcpu_facts {
	int id;
	bool active;
	unsigned long inhibits;
	const char *never;
	u64 counts[VAPIC_STATUS_MAX_COUNTS];
};

struct vm_facts {
	u64 number;
	pid_t pid;
	unsigned long inhibits;
	const char *off[VAPIC_VM_SWITCHES]; /* names of switches that are, NULL between them */
	unsigned int vcpu_count;
	unsigned int room; /* how many vCPUs fit */
	struct vcpu_facts vcpus[] __counted_by(room);
};

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
	seq_buf_printf(s, "%s", *separator == ',' ? "" : " inhibits=-");
}

static void print_off(struct seq_buf *s, const struct vm_facts *vm)
{
	const char *separator = " off=";
	int i;

	for (i = 0; i < ARRAY_SIZE(vm->off); i++) {
		if (!vm->off[i])
			continue;
		seq_buf_printf(s, "%s%s", separator, vm->off[i]);
		separator = ",";
	}
	seq_buf_printf(s, "%s", *separator == ',' ? "" : " off=-");
}

static void print_vcpu(struct seq_buf *s, const struct vm_facts *vm, const struct vcpu_facts *vcpu,
		       const struct vapic_status_ops *ops)
{
	int i;

	seq_buf_printf(s, "pid=%d vcpu=%d active=%d", vm->pid, vcpu->id, vcpu->active);
	print_inhibits(s, vcpu->inhibits);
	for (i = 0; ops->count_names[i]; i++)
		seq_buf_printf(s, " %s=%llu", ops->count_names[i], vcpu->counts[i]);
	if (vcpu->never)
		seq_buf_printf(s, " never=%s", vcpu->never);
	seq_buf_printf(s, "\n");
}

static void print_vm(struct seq_buf *s, const struct vm_facts *vm,
		     const struct vapic_status_ops *ops)
{
	unsigned int i;

	seq_buf_printf(s, "pid=%d vm active=%d", vm->pid, !vm->inhibits);
	print_inhibits(s, vm->inhibits);
	print_off(s, vm);
	seq_buf_printf(s, "\n");
	for (i = 0; i < vm->vcpu_count; i++)
		print_vcpu(s, vm, &vm->vcpus[i], ops);
}

/*
 * Without privilege, a viewer sees a VM that the same user made, in a process that the viewer
 * can see: a container may share its users with the host, or with another container.
 */
static bool may_see(const struct vapic_viewer *viewer, const struct vapic_vm_common *vm)
{
	return viewer->all || (uid_eq(viewer->uid, vm->owner) && pid_nr_ns(vm->pid, viewer->pids));
}

/* The first VM that the viewer may see after @number; the list is in the order of numbers. */
static struct vapic_vm_common *next_vm(u64 number, const struct vapic_viewer *viewer)
{
	struct vapic_vm_common *vm;

	list_for_each_entry(vm, &vapic_vms, node)
		if (vm->number > number && may_see(viewer, vm))
			return vm;
	return NULL;
}

/* 0 for a process that has ended, because another process may have its number by now. */
static pid_t pid_in(const struct vapic_viewer *viewer, struct pid *pid)
{
	return pid_has_task(pid, PIDTYPE_TGID) ? pid_nr_ns(pid, viewer->pids) : 0;
}

static void note_facts(struct vm_facts *facts, struct vapic_vm_common *vm,
		       const struct vapic_viewer *viewer, const struct vapic_status_ops *ops)
{
	struct vcpu_facts *noted = facts->vcpus;
	struct vapic_vcpu_common *vcpu;
	int i;

	facts->number = vm->number;
	facts->pid = pid_in(viewer, vm->pid);
	facts->inhibits = READ_ONCE(vm->kvm->arch.apicv_inhibit_reasons);
	for (i = 0; i < ARRAY_SIZE(facts->off); i++)
		facts->off[i] = vapic_vm_switch_off(vm, i);
	facts->vcpu_count = vm->vcpu_count;
	list_for_each_entry(vcpu, &vm->vcpus, node) {
		noted->id = vcpu->kvm_vcpu->vcpu_id;
		noted->active = vapic_apicv_active(vcpu->kvm_vcpu->arch.apic);
		noted->inhibits = facts->inhibits | (ops->inhibits ? ops->inhibits(vcpu) : 0);
		noted->never = ops->never ? ops->never(vcpu) : NULL;
		ops->counts(vcpu, noted->counts);
		noted++;
	}
}

/* Make room for the facts of a VM with @room vCPUs; keep the number of the last VM. */
static struct vm_facts *make_room(struct vm_facts *old, unsigned int room)
{
	struct vm_facts *facts =
		kvzalloc(struct_size_t(struct vm_facts, vcpus, room), GFP_KERNEL_ACCOUNT);

	if (facts) {
		facts->room = room;
		facts->number = old ? old->number : 0;
	}
	kvfree(old);
	return facts;
}

int vapic_status_vms(struct seq_buf *s, const struct vapic_viewer *viewer,
		     const struct vapic_status_ops *ops)
{
	struct vm_facts *facts = make_room(NULL, 16);
	struct vapic_vm_common *vm;
	unsigned int needed;

	while (facts && !seq_buf_has_overflowed(s)) {
		spin_lock(&vapic_vms_lock);
		vm = next_vm(facts->number, viewer);
		needed = vm ? vm->vcpu_count : 0;
		if (vm && needed <= facts->room)
			note_facts(facts, vm, viewer, ops);
		spin_unlock(&vapic_vms_lock);

		if (!vm)
			break;
		if (needed <= facts->room)
			print_vm(s, facts, ops);
		else
			facts = make_room(facts, roundup_pow_of_two(needed));
		cond_resched();
	}

	if (!facts)
		return -ENOMEM;
	kvfree(facts);
	return 0;
}
