// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes the page at the address of the guest's APIC out of a VM's memory, for kernels that do not.
 *
 * Hardware without x2AVIC redirects accesses to that page to the registers, even those of a vCPU
 * that is in x2APIC mode and must not find them there. vCPUs share page tables; so once one of
 * them is in that mode, the page goes for good, and KVM emulates accesses in xAPIC mode.
 *
 * To remove it takes kvm->slots_lock and waits for kvm->srcu, which the exit that changes the mode
 * is in. So it is work that the vCPU's task does once that exit is over, before it enters the guest
 * again: KVM looks for such work there.
 */
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/task_work.h>

#include <asm/vmx.h>

#include "glue.h"

#if !VAPIC_HAS_inhibited_apic_page

static void remove_page(struct kvm *kvm, struct vapic_apic_page *page)
{
	mutex_lock(&kvm->slots_lock);
	page->gone = true;
	if (kvm->arch.apic_access_memslot_enabled) {
		vapic_call(__x86_set_memory_region)(kvm, APIC_ACCESS_PAGE_PRIVATE_MEMSLOT, 0, 0);
		kvm->arch.apic_access_memslot_enabled = false;
	}
	mutex_unlock(&kvm->slots_lock);
}

static void do_work(struct callback_head *work)
{
	struct vapic_apic_page *page = container_of(work, struct vapic_apic_page, work);
	struct kvm *kvm = page->kvm;

	/* A task that exits has no memory any more, and enters no guest. */
	if (current->mm == kvm->mm)
		remove_page(kvm, page);
	/* This may be the end of the VM, and of the object that the work is in. */
	vapic_call(kvm_put_kvm)(kvm);
}

void vapic_avic_remove_apic_page(struct vapic_vm *vm, struct kvm *kvm)
{
	struct vapic_apic_page *page = &vm->apic_page;

	if (vapic_has_x2avic() || READ_ONCE(page->going) || xchg(&page->going, true))
		return;
	page->kvm = kvm;
	refcount_inc(&kvm->users_count);
	init_task_work(&page->work, do_work);
	if (vapic_call(task_work_add)(current, &page->work, TWA_RESUME))
		vapic_call(kvm_put_kvm)(kvm);
}

#endif
