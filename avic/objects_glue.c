// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of the per-VM and per-vCPU objects.
 *
 * The VM object, and with it the tables, lives until the last vCPU object is gone. A vCPU
 * leaves the tables before KVM frees its register page.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include <asm/cpu_device_id.h>

#include "../takeover/svm_hooks.h"
#include "../takeover/ops.h"
#include "glue.h"

static struct kmem_cache *vm_core_cache;
static struct kmem_cache *vcpu_cache;

/*
 * AMD erratum 1235: on families 17h and 18h, IPI hardware may read IsRunning before its
 * write of the IRR is visible, and miss a vCPU that has just gone to sleep.
 */
static bool cpu_misses_is_running(void)
{
	return boot_cpu_data.x86 == 0x17 || boot_cpu_data.x86 == 0x18;
}

int vapic_avic_load(void)
{
	vm_core_cache = kmem_cache_create("vapic_avic_vm", vapic_avic_vm_size(), VAPIC_CORE_ALIGN,
					  SLAB_ACCOUNT, NULL);
	vcpu_cache = kmem_cache_create("vapic_avic_vcpu",
				       sizeof(struct vapic_vcpu) + vapic_avic_vcpu_size(),
				       VAPIC_CORE_ALIGN, SLAB_ACCOUNT, NULL);
	if (vm_core_cache && vcpu_cache)
		return 0;
	vapic_avic_unload();
	return -ENOMEM;
}

void vapic_avic_unload(void)
{
	kmem_cache_destroy(vcpu_cache);
	kmem_cache_destroy(vm_core_cache);
	vcpu_cache = NULL;
	vm_core_cache = NULL;
}

const char *vapic_avic_mode(void)
{
	if (cpu_misses_is_running())
		return "xAPIC mode, IsRunning hidden (erratum 1235), x2AVIC off, IOMMU posting off";
	return "xAPIC mode, x2AVIC off, IOMMU posting off";
}

/* The four allocations of a VM, each of which a test can make fail. */
static bool vm_allocate(struct vapic_vm *vm)
{
	if (!vapic_create_should_fail())
		vm->physical_table = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!vm->physical_table)
		return false;
	if (!vapic_create_should_fail())
		vm->logical_table = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!vm->logical_table)
		return false;
	if (!vapic_create_should_fail())
		vm->core = kmem_cache_zalloc(vm_core_cache, GFP_KERNEL_ACCOUNT);
	return vm->core;
}

static void vm_free(struct vapic_vm *vm)
{
	if (vm->core)
		kmem_cache_free(vm_core_cache, vm->core);
	if (vm->logical_table)
		__free_page(vm->logical_table);
	if (vm->physical_table)
		__free_page(vm->physical_table);
	mutex_destroy(&vm->irq_window_lock);
	kfree(vm);
}

static void vm_release(struct kref *refs)
{
	vm_free(container_of(refs, struct vapic_vm, common.refs));
	vapic_vm_pin_put();
}

int vapic_hook_avic_vm_init(struct kvm *kvm)
{
	struct vapic_vm *vm = NULL;

	if (!vapic_create_should_fail())
		vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return -ENOMEM;
	mutex_init(&vm->irq_window_lock);
	if (!vm_allocate(vm)) {
		vm_free(vm);
		return -ENOMEM;
	}

	vm->hide_running = cpu_misses_is_running();
	vapic_avic_vm_init(vm->core, page_address(vm->physical_table),
			   __sme_set(page_to_phys(vm->physical_table)),
			   page_address(vm->logical_table),
			   __sme_set(page_to_phys(vm->logical_table)), vm->hide_running);
	vapic_vm_of(kvm) = vm;
	vapic_vm_enter(&vm->common, kvm);
	return 0;
}

void vapic_hook_avic_vm_destroy(struct kvm *kvm)
{
	struct vapic_vm *vm = vapic_vm_of(kvm);

	if (!vm)
		return;
	vapic_vm_of(kvm) = NULL;
	vapic_vm_leave(&vm->common);
	kref_put(&vm->common.refs, vm_release);
}

static struct vapic_vcpu *vcpu_allocate(void)
{
	if (vapic_create_should_fail())
		return NULL;
	return kmem_cache_zalloc(vcpu_cache, GFP_KERNEL_ACCOUNT);
}

static void vcpu_free(struct vapic_vcpu *vcpu)
{
	kmem_cache_free(vcpu_cache, vcpu);
}

/*
 * The tables cannot name the vCPU. It goes without acceleration, and so must the VM:
 * hardware would not tell anybody about a broadcast that should have reached it.
 */
static void vcpu_beyond_tables(struct kvm_vcpu *vcpu)
{
	pr_info_once("vapic: vCPU ID %d is beyond the AVIC table (%u): the VM runs without AVIC\n",
		     vcpu->vcpu_id, vapic_avic_max_id());
	vapic_call(kvm_set_or_clear_apicv_inhibit)(vcpu->kvm, APICV_INHIBIT_REASON_DISABLED, true);
}

int vapic_hook_avic_init_vcpu(struct vcpu_svm *svm)
{
	struct kvm_vcpu *kvm_vcpu = svm_to_vcpu(svm);
	struct kvm *kvm = kvm_vcpu->kvm;
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	struct vapic_vm *vm = vapic_vm_of(kvm);
	struct vapic_vcpu *vcpu;
	void *regs;
	int err;

	if (!vapic_irqchip_in_kernel(kvm))
		return 0;

	if (kvm_vcpu->vcpu_id > vapic_avic_max_id()) {
		vapic_apicv_set_active(apic, false);
		vcpu_beyond_tables(kvm_vcpu);
		return 0;
	}

	/*
	 * Hardware checks the nested page tables for the APIC page before it redirects the
	 * access, so something must be mapped there. Stock leaves it out of a VM that is
	 * inhibited at this moment, which then pays a fault for each access later on.
	 */
	if (!(READ_ONCE(kvm->arch.apicv_inhibit_reasons) & BIT(APICV_INHIBIT_REASON_DISABLED))) {
		err = vapic_call(kvm_alloc_apic_access_page)(kvm);
		if (err)
			return err;
	}

	vcpu = vcpu_allocate();
	if (!vcpu)
		return -ENOMEM;

	regs = vapic_field(apic, kvm_lapic, regs, void *);
	if (!vapic_avic_vcpu_init(vapic_core(vcpu), vm->core, kvm_vcpu, kvm_vcpu->vcpu_id, regs,
				  __sme_set(virt_to_phys(regs)))) {
		/* A second vCPU of this ID, which KVM refuses in a moment. */
		vapic_apicv_set_active(apic, false);
		vcpu_free(vcpu);
		return 0;
	}
	if (vapic_apicv_active(apic))
		vapic_avic_vcpu_activate(vapic_core(vcpu));

	vcpu->vm = vm;
	vapic_vcpu_of(svm) = vcpu;
	vapic_vcpu_enter(&vcpu->common, kvm_vcpu, &vm->common);
	return 0;
}

static void vcpu_release(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(svm);
	struct vapic_vm *vm;

	if (!vcpu)
		return;
	vm = vcpu->vm;

	vapic_vcpu_leave(&vcpu->common, &vm->common);
	vapic_irq_window_close(vcpu);
	vapic_avic_vcpu_retire(vapic_core(vcpu));
	vapic_vcpu_of(svm) = NULL;

	vapic_vm_wait_for_ipis(kvm_vcpu->kvm);
	vcpu_free(vcpu);
	kref_put(&vm->common.refs, vm_release);
}

int vapic_svm_vcpu_create(struct kvm_vcpu *vcpu)
{
	int err = vapic_stock(vcpu_create)(vcpu);

	/* Stock has no counterpart to avic_init_vcpu() when it fails later on. */
	if (err)
		vcpu_release(vcpu);
	return err;
}

void vapic_svm_vcpu_free(struct kvm_vcpu *vcpu)
{
	vapic_stock(vcpu_free)(vcpu);
	vcpu_release(vcpu);
}
