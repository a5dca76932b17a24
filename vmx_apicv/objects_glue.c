// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lifetime of the per-VM and per-vCPU objects, and of the PID-pointer table.
 *
 * The VM object is made just before the VM's first vCPU (vcpu_precreate), as the op vm_init is
 * the gate. A vCPU leaves the table before KVM frees its descriptor.
 */
#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>

#include <asm/irq_remapping.h>
#include <asm/irq_vectors.h>

#include <vapic/host.h>

#include "../kvm/hooks.h"
#include "../kvm/log.h"
#include "../kvm/vm_switches.h"
#include "glue.h"
#include "vendor.h"

bool vapic_vmx_ipiv;
bool vapic_vmx_iommu_posts;
static char mode[80];

/* Of VMs, with NULL at the end. */
static const struct vapic_vm_switch *switches[VAPIC_VM_SWITCHES + 1];

static struct kmem_cache *vcpu_cache;

bool vapic_vmx_apicv_usable(void)
{
	u32 secondary = SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;

	return (vapic_data(vmcs_config).pin_based_exec_ctrl & PIN_BASED_POSTED_INTR) &&
	       (vapic_data(vmcs_config).cpu_based_exec_ctrl & CPU_BASED_USE_MSR_BITMAPS) &&
	       (vapic_data(vmcs_config).cpu_based_2nd_exec_ctrl & secondary) == secondary;
}

#if VAPIC_HAS_check_processor_compatibility
/*
 * All that KVM's check of a processor depends on, except KVM's own parameters: the VMX
 * capability MSRs, and whether the firmware lets VMX be used.
 */
#define FIRST_CAPABILITY MSR_IA32_VMX_BASIC
#define LAST_CAPABILITY MSR_IA32_VMX_PROCBASED_CTLS3
#define CAPABILITIES (LAST_CAPABILITY - FIRST_CAPABILITY + 1)

struct capabilities {
	u64 feature_control;
	u64 vmx[CAPABILITIES];
};

/* The capabilities of a processor that KVM has accepted. */
static struct capabilities accepted;

/* Read those of this processor; 0 for an MSR that it does not have. */
static void read_capabilities(struct capabilities *c)
{
	u32 i;

	memset(c, 0, sizeof(*c));
	rdmsrq_safe(MSR_IA32_FEAT_CTL, &c->feature_control);
	for (i = 0; i < CAPABILITIES; i++)
		rdmsrq_safe(FIRST_CAPABILITY + i, &c->vmx[i]);
}

/*
 * Runs on a processor that comes online, or when the host resumes from suspend, with interrupts
 * off. KVM refuses a processor that differs from those it found at its init. The comparison
 * depends on enable_apicv, which was 0 then if the user loaded kvm_intel so: it would refuse all.
 */
int vapic_vmx_check_processor_compatibility(void)
{
	struct capabilities here;

	read_capabilities(&here);
	if (!memcmp(&here, &accepted, sizeof(here)))
		return 0;
	return vapic_vmx_stock(check_processor_compatibility)();
}

static void accept_processors(void)
{
	guard(preempt)();
	read_capabilities(&accepted);
}
#else
/* KVM does not check a processor that comes online. */
static void accept_processors(void) {}
#endif

int vapic_vmx_init(bool want_ipiv)
{
	int err;

	vapic_vmx_ipiv = want_ipiv &&
			 (vapic_data(vmcs_config).cpu_based_3rd_exec_ctrl & TERTIARY_EXEC_IPI_VIRT);

	vapic_vmx_iommu_posts = irq_remapping_cap(IRQ_POSTING_CAP);
	scnprintf(mode, sizeof(mode), "posted interrupts, IPI virtualization %s, IOMMU posting %s",
		  str_on_off(vapic_vmx_ipiv), str_on_off(vapic_vmx_iommu_posts));

	switches[0] = &vapic_switch_acceleration;
	switches[1] = vapic_vmx_ipiv ? &vapic_switches[VAPIC_IPI_VIRTUALIZATION] : NULL;
	vapic_follow_switches = vapic_vmx_follow_switches;

	accept_processors();

	vcpu_cache = kmem_cache_create("vapic_vmx_vcpu",
				       sizeof(struct vapic_vcpu) + vapic_pi_vcpu_size(),
				       VAPIC_PI_ALIGN, SLAB_ACCOUNT, NULL);
	err = -ENOMEM;
	if (vcpu_cache)
		err = vapic_vmx_waiters_create();
	else
		vapic_err("no memory for a cache of objects\n");
	if (err)
		vapic_vmx_exit();
	return err;
}

void vapic_vmx_exit(void)
{
	vapic_vmx_waiters_destroy();
	kmem_cache_destroy(vcpu_cache);
	vcpu_cache = NULL;
}

const char *vapic_vmx_mode(void)
{
	return mode;
}

static unsigned int table_order(u32 entries)
{
	return get_order(entries * sizeof(u64));
}

static void vm_free(struct vapic_vm *vm)
{
	if (vm->pid_table)
		free_pages((unsigned long)vm->pid_table, table_order(vm->pid_entries));
	kfree(vm);
}

static void vm_release(struct kref *refs)
{
	vm_free(container_of(refs, struct vapic_vm, common.refs));
	vapic_vm_pin_put();
}

/* A test can make each of the two allocations fail. */
static struct vapic_vm *vm_allocate(u32 ids)
{
	struct vapic_vm *vm = NULL;

	if (!vapic_create_should_fail())
		vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm || !vapic_vmx_ipiv)
		return vm;

	vm->pid_entries = ids;
	if (!vapic_create_should_fail())
		vm->pid_table =
			(void *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO, table_order(ids));
	if (vm->pid_table)
		return vm;
	vm_free(vm);
	return NULL;
}

/* Runs before each vCPU, with kvm->lock held, so that the object is made only once. */
int vapic_vmx_vcpu_precreate(struct kvm *kvm)
{
	struct vapic_vm *vm;

	if (vapic_vm_of(kvm) || !vapic_irqchip_in_kernel(kvm))
		return 0;

	lockdep_assert_held(&kvm->lock);
	vm = vm_allocate(kvm->arch.max_vcpu_ids);
	if (!vm)
		return -ENOMEM;

	to_kvm_vmx(kvm)->pid_table = vm;
	vapic_vm_enter(&vm->common, kvm);
	vapic_vm_switches_make(&vm->common, switches, true);
	return 0;
}

void vapic_vmx_vm_destroy(struct kvm *kvm)
{
	struct vapic_vm *vm = vapic_vm_of(kvm);

	/* Stock would free what it finds here. */
	to_kvm_vmx(kvm)->pid_table = NULL;
	vapic_vmx_stock(vm_destroy)(kvm);

	/* If the VM never had a vCPU, or its APICs are not in the kernel, it has only the pin. */
	if (!vm) {
		vapic_vm_pin_put();
		return;
	}

	vapic_vm_leave(&vm->common);
	kref_put(&vm->common.refs, vm_release);
}

/* Hardware posts to vCPUs, or will once a device is assigned. */
static bool hardware_posts(void)
{
	return vapic_vmx_ipiv || vapic_vmx_iommu_posts;
}

static struct vapic_vcpu *vcpu_allocate(void)
{
	struct vapic_vcpu *vcpu = NULL;

	if (hardware_posts() && vapic_vmx_waiters_reserve())
		return NULL;
	if (!vapic_create_should_fail())
		vcpu = kmem_cache_zalloc(vcpu_cache, GFP_KERNEL_ACCOUNT);
	if (!vcpu && hardware_posts())
		vapic_vmx_waiters_release();
	return vcpu;
}

static void vcpu_free(struct vapic_vcpu *vcpu)
{
	if (hardware_posts())
		vapic_vmx_waiters_release();
	kmem_cache_free(vcpu_cache, vcpu);
}

int vapic_vmx_vcpu_create(struct kvm_vcpu *kvm_vcpu)
{
	static const struct vapic_pi_vectors vectors = {
		.notification = POSTED_INTR_VECTOR,
		.wakeup = POSTED_INTR_WAKEUP_VECTOR,
	};
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct vapic_vm *vm = vapic_vm_of(kvm_vcpu->kvm);
	struct vapic_vcpu *vcpu = NULL;
	struct vapic_pi_descriptor *descriptor;
	int err;

	if (vapic_vmx_vcpu_decision(vapic_irqchip_in_kernel(kvm_vcpu->kvm)) == VAPIC_ACCELERATED) {
		vcpu = vcpu_allocate();
		if (!vcpu)
			return -ENOMEM;
	}

	err = vapic_vmx_stock(vcpu_create)(kvm_vcpu);
	/* Stock has made the field a list head. */
	vapic_set_vcpu_of(vmx, NULL);
	if (!vcpu)
		return err;
	if (err) {
		vcpu_free(vcpu);
		return err;
	}

	descriptor = vapic_descriptor(vmx);
	vapic_pi_vcpu_init(vapic_core(vcpu), vcpu, descriptor, __pa(descriptor),
			   kvm_vcpu->arch.apic->regs, vectors);
	vcpu->vm = vm;
	vapic_vmx_waits_on_store(&vcpu->waits_on, -1);
	vcpu->outside = vm->pid_table;
	vapic_set_vcpu_of(vmx, vcpu);
	vapic_vcpu_enter(&vcpu->common, kvm_vcpu, &vm->common);
	/* Before the vCPU runs, it follows what was switched earlier. */
	kvm_make_request(KVM_REQ_APICV_UPDATE, kvm_vcpu);
	return 0;
}

/*
 * Must not happen before KVM has accepted the vCPU, nor before the first RESET, in which stock
 * writes the descriptor's control word without regard to other writers. Until then IPIs to the
 * vCPU exit, and KVM delivers them.
 */
void vapic_vmx_enter_table(struct vapic_vcpu *vcpu)
{
	struct kvm_vcpu *kvm_vcpu = vcpu->common.kvm_vcpu;
	struct vapic_vm *vm = vcpu->vm;

	if (!vapic_host_vcpu_stays(vcpu)) {
		vapic_pi_vcpu_leave_home(vapic_on_cpu(vcpu));
		return;
	}
	vcpu->outside = false;
	WARN_ON_ONCE(!vapic_pi_vcpu_enter_table(vapic_core(vcpu), vm->pid_table, vm->pid_entries,
						kvm_vcpu->vcpu_id));
}

static void vcpu_release(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(vmx);
	struct vapic_vm *vm;

	if (!vcpu)
		return;
	vm = vcpu->vm;

	vapic_vcpu_leave(&vcpu->common, &vm->common);
	vapic_pi_vcpu_leave_table(vapic_core(vcpu));
	if (vm->pid_table && !vcpu->outside) {
		trace_vapic_table(kvm_vcpu, VAPIC_TABLE_LEAVE, 0);
		vapic_vm_wait_for_ipis(kvm_vcpu->kvm);
	}

	vapic_vmx_stop_waiting(vcpu);
	vapic_set_vcpu_of(vmx, NULL);
	vcpu_free(vcpu);
	kref_put(&vm->common.refs, vm_release);
}

void vapic_vmx_vcpu_free(struct kvm_vcpu *kvm_vcpu)
{
	vcpu_release(kvm_vcpu);
	vapic_vmx_stock(vcpu_free)(kvm_vcpu);
}
