// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lifetime of the per-VM and per-vCPU objects.
 *
 * The VM object, and with it the tables, lives until the last vCPU object is gone. A vCPU
 * leaves the tables before KVM frees its register page.
 */
#include <linux/cc_platform.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <asm/cpufeature.h>
#include <asm/irq_remapping.h>
#include <asm/vmx.h>

#include <vapic/eligibility.h>
#include <vapic/host.h>

#include "../kvm/log.h"
#include "../kvm/hooks.h"
#include "../kvm/vm_switches.h"
#include "glue.h"
#include "vendor.h"

static struct kmem_cache *vcpu_cache;
static bool hide_running;
static char mode[128];

/* Of VMs, with NULL at the end. Only that of posting has a part of its own. */
static const struct vapic_vm_switch *switches[VAPIC_VM_SWITCHES + 1];
static struct vapic_vm_switch posting;

/* CPUID 8000_000A ECX; this kernel has no name for the leaf's ECX. */
#define CPUID_SVM_X2AVIC_EXT BIT(6)

void vapic_avic_host_facts(struct vapic_avic_host *host)
{
	host->family = boot_cpu_data.x86;
	host->avic = boot_cpu_has(X86_FEATURE_AVIC);
	host->x2avic = boot_cpu_has(X86_FEATURE_X2AVIC);
	host->x2avic_ext = host->x2avic && cpuid_ecx(0x8000000a) & CPUID_SVM_X2AVIC_EXT;
	host->zen4 = boot_cpu_has(X86_FEATURE_ZEN4);
	host->nested_paging = true;
	host->snp = vapic_host_snp();
	host->in_use_writes = boot_cpu_has(X86_FEATURE_HV_INUSE_WR_ALLOWED);
}

/* How many APIC IDs a VM may have that this machine can accelerate. */
static u32 ids(void)
{
	struct vapic_avic_host host;

	vapic_avic_host_facts(&host);
	return vapic_avic_ids(&host);
}

static const char *ipi_virtualization(void)
{
	struct vapic_avic_host host;

	if (!hide_running)
		return "on";
	vapic_avic_host_facts(&host);
	return vapic_avic_hides_running(&host) ? "off, IsRunning hidden (erratum 1235)" : "off";
}

/* The IOMMU is told at once of interrupts that are connected later. */
static void set_posting(struct vapic_vm_common *common, enum vapic_setting setting, bool on)
{
	static DEFINE_MUTEX(both);
	struct vapic_vm *vm = container_of(common, struct vapic_vm, common);

	/* So that core and status say the same, whoever writes meanwhile. */
	guard(mutex)(&both);
	vapic_avic_vm_set_remaps(vapic_avic_vm_at_load(&vm->core), !on);
	vapic_switches[setting].set(common, setting, on);
}

/* All that this host has. */
static void list_switches(void)
{
	const struct vapic_vm_switch **next = switches;

	*next++ = &vapic_switch_acceleration;
	if (!hide_running)
		*next++ = &vapic_switches[VAPIC_IPI_VIRTUALIZATION];
	if (vapic_has_idle_hlt())
		*next++ = &vapic_switches[VAPIC_IDLE_HLT];
	if (irq_remapping_cap(IRQ_POSTING_CAP)) {
		posting = vapic_switches[VAPIC_POSTING];
		posting.set = set_posting;
		*next++ = &posting;
	}
	*next = NULL;
	vapic_follow_switches = vapic_avic_follow_switches;
}

int vapic_avic_init(bool hide)
{
	hide_running = hide;
	list_switches();
	scnprintf(mode, sizeof(mode), "%s, %u vCPUs, IPI virtualization %s, IOMMU posting %s%s",
		  vapic_has_x2avic() ? "x2AVIC" : "xAPIC mode, x2AVIC off", ids(),
		  ipi_virtualization(), irq_remapping_cap(IRQ_POSTING_CAP) ? "on" : "off",
		  vapic_has_idle_hlt() ? ", idle HLT" : "");
	vcpu_cache = kmem_cache_create("vapic_avic_vcpu",
				       sizeof(struct vapic_vcpu) + vapic_avic_vcpu_size(),
				       VAPIC_AVIC_ALIGN, SLAB_ACCOUNT, NULL);
	if (vcpu_cache)
		return 0;
	vapic_err("no memory for a cache of objects\n");
	return -ENOMEM;
}

void vapic_avic_exit(void)
{
	kmem_cache_destroy(vcpu_cache);
	vcpu_cache = NULL;
}

const char *vapic_avic_mode(void)
{
	return mode;
}

/*
 * A VM that is created as an SEV guest has a type that says what will be encrypted. An older
 * user space calls KVM_SEV_INIT on a VM of the default type, but only before its first vCPU.
 */
static enum vapic_encryption encryption(struct kvm *kvm)
{
	unsigned long type = vapic_vm_type(kvm);

	if (type == KVM_X86_SNP_VM)
		return VAPIC_ENCRYPTED_NESTED;
	if (type == KVM_X86_SEV_ES_VM || vapic_is_sev_es(kvm))
		return VAPIC_ENCRYPTED_STATE;
	if (type == KVM_X86_SEV_VM || vapic_is_sev(kvm))
		return VAPIC_ENCRYPTED;
	return VAPIC_UNENCRYPTED;
}

/* Whole pages, zeroed. A test can make each allocation fail. */
static void *allocate(size_t size)
{
	if (vapic_create_should_fail())
		return NULL;
	return alloc_pages_exact(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

static size_t physical_table_size(const struct vapic_vm *vm)
{
	return PAGE_ALIGN(vm->ids * sizeof(u64));
}

static void vm_free_tables(struct vapic_vm *vm)
{
	struct vapic_avic_vm *core = vapic_avic_vm_at_load(&vm->core);

	if (core)
		free_pages_exact(core, vapic_avic_vm_size(vm->ids));
	if (vm->logical_table)
		free_pages_exact(vm->logical_table, PAGE_SIZE);
	if (vm->physical_table)
		free_pages_exact(vm->physical_table, physical_table_size(vm));
	vapic_avic_vm_at_store(&vm->core, NULL);
	vm->logical_table = NULL;
	vm->physical_table = NULL;
}

static int vm_allocate_tables(struct vapic_vm *vm)
{
	struct vapic_avic_tables tables = {.ids = vm->ids, .hide_running = hide_running};
	struct vapic_avic_vm *core = NULL;

	vm->physical_table = allocate(physical_table_size(vm));
	if (vm->physical_table)
		vm->logical_table = allocate(PAGE_SIZE);
	if (vm->logical_table)
		core = allocate(vapic_avic_vm_size(vm->ids));
	if (!core) {
		vm_free_tables(vm);
		return -ENOMEM;
	}

	tables.physical = vm->physical_table;
	tables.physical_pa = __sme_set(virt_to_phys(vm->physical_table));
	tables.logical = vm->logical_table;
	tables.logical_pa = __sme_set(virt_to_phys(vm->logical_table));
	vapic_avic_vm_init(core, &tables);
	vapic_avic_vm_at_publish(&vm->core, core);
	return 0;
}

/*
 * KVM calls this with kvm->lock held before each vCPU. From the first on, the largest ID of the VM
 * cannot change, nor can its local APIC move to user space. The VM may become an SEV guest if that
 * vCPU fails, but then vapic_avic_vcpu_decision() refuses the next one.
 */
int vapic_svm_vcpu_precreate(struct kvm *kvm)
{
	struct vapic_vm *vm = vapic_vm_of(kvm);
	int err;

	if (vapic_avic_vm_at_load(&vm->core) || !vapic_irqchip_in_kernel(kvm))
		return 0;
	if (vapic_avic_vm_decision(encryption(kvm)) == VAPIC_ACCELERATED) {
		vm->ids = min(ids(), kvm->arch.max_vcpu_ids);
		err = vm_allocate_tables(vm);
		if (err)
			return err;
	}
	vapic_vm_switches_make(&vm->common, switches, vapic_avic_vm_at_load(&vm->core));
	return 0;
}

static void vm_free(struct vapic_vm *vm)
{
	vm_free_tables(vm);
	mutex_destroy(&vm->irq_window_lock);
	mutex_destroy(&vm->pit.lock);
	kfree(vm);
}

static void vm_release(struct kref *refs)
{
	vm_free(container_of(refs, struct vapic_vm, common.refs));
	vapic_vm_pin_put();
}

static int vm_create(struct kvm *kvm)
{
	struct vapic_vm *vm = NULL;

	if (!vapic_create_should_fail())
		vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return -ENOMEM;
	mutex_init(&vm->irq_window_lock);
	vapic_avic_pit_init(vm);
	vapic_avic_posting_init_vm(vm);
	to_kvm_svm(kvm)->avic_physical_id_table_page = vm;
	vapic_vm_enter(&vm->common, kvm);
	return 0;
}

#if VAPIC_HAS_avic_vm_init
int vapic_hook_avic_vm_init(struct kvm *kvm)
{
	return vm_create(kvm);
}
#else
int vapic_avic_create_vm(struct kvm *kvm)
{
	return vm_create(kvm);
}

/* The VM has had nothing else than this object. */
void vapic_avic_cancel_vm(struct kvm *kvm)
{
	struct vapic_vm *vm = vapic_vm_of(kvm);

	to_kvm_svm(kvm)->avic_physical_id_table_page = NULL;
	vapic_vm_leave(&vm->common);
	vm_free(vm);
}
#endif

void vapic_svm_vm_destroy(struct kvm *kvm)
{
	struct vapic_vm *vm = vapic_vm_of(kvm);

	/* Stock would free what it finds here. */
	to_kvm_svm(kvm)->avic_physical_id_table_page = NULL;
	vapic_svm_stock(vm_destroy)(kvm);

	if (!vm)
		return;
	vapic_avic_pit_end_vm(vm);
	vapic_avic_posting_end_vm(vm);
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

static enum vapic_decision decide(struct kvm_vcpu *kvm_vcpu)
{
	struct vapic_avic_candidate candidate = {
		.encryption = encryption(kvm_vcpu->kvm),
		.apic_in_kernel = vapic_irqchip_in_kernel(kvm_vcpu->kvm),
		.inhibited = READ_ONCE(kvm_vcpu->kvm->arch.apicv_inhibit_reasons) &
			     VAPIC_LASTING_INHIBITS,
		.id = kvm_vcpu->vcpu_id,
		.ids = vapic_vm_of(kvm_vcpu->kvm)->ids,
	};

	return vapic_avic_vcpu_decision(&candidate);
}

/* Map something at the address of the guest's APIC, where hardware redirects accesses. */
static int map_apic_page(struct kvm *kvm)
{
#if VAPIC_HAS_kvm_alloc_apic_access_page
	return vapic_call(kvm_alloc_apic_access_page)(kvm);
#else
	void __user *address;
	int err = 0;

	mutex_lock(&kvm->slots_lock);
	if (!kvm->arch.apic_access_memslot_enabled && !vapic_vm_of(kvm)->apic_page.gone) {
		address = vapic_call(__x86_set_memory_region)(kvm, APIC_ACCESS_PAGE_PRIVATE_MEMSLOT,
							      APIC_DEFAULT_PHYS_BASE, PAGE_SIZE);
		err = PTR_ERR_OR_ZERO((__force void *)address);
		kvm->arch.apic_access_memslot_enabled = !err;
	}
	mutex_unlock(&kvm->slots_lock);
	return err;
#endif
}

/* A vCPU that is never accelerated is listed for status, but is in no table. */
static void never_accelerate(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	vapic_apicv_set_active(kvm_vcpu->arch.apic, false);
	trace_vapic_active(kvm_vcpu, false, READ_ONCE(kvm_vcpu->kvm->arch.apicv_inhibit_reasons),
			   BIT(APICV_INHIBIT_REASON_DISABLED));

	/*
	 * The tables cannot name the vCPU, so the whole VM must run without AVIC: hardware would
	 * not report that a broadcast has missed this vCPU.
	 */
	if (vcpu->never == VAPIC_ID_BEYOND_TABLE) {
		pr_info_once("vapic: vCPU ID %d is beyond the AVIC table (%u): the VM runs without "
			     "AVIC\n",
			     kvm_vcpu->vcpu_id, vcpu->vm->ids - 1);
		vapic_call(kvm_set_or_clear_apicv_inhibit)(kvm_vcpu->kvm, VAPIC_INHIBIT_ID_BEYOND,
							   true);
	}
}

/* Set up for AVIC. The vCPU enters the tables in its first load after KVM has accepted it. */
static void accelerate(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;
	void *regs = apic->regs;

	/* decide() has checked that the ID fits. */
	WARN_ON_ONCE(!vapic_avic_vcpu_init(vapic_core(vcpu), vapic_avic_vm_at_load(&vcpu->vm->core),
					   vcpu, kvm_vcpu->vcpu_id, regs,
					   __sme_set(virt_to_phys(regs))));
	if (vapic_apicv_active(apic)) {
		guard(preempt)();
		vapic_avic_vcpu_activate(vapic_new_on_cpu(vcpu));
	}
	to_svm(kvm_vcpu)->avic_physical_id_cache = vcpu;
	/* Before the vCPU runs, it follows what was switched earlier. */
	kvm_make_request(KVM_REQ_APICV_UPDATE, kvm_vcpu);
}

int vapic_hook_avic_init_vcpu(struct vcpu_svm *svm)
{
	struct kvm_vcpu *kvm_vcpu = &svm->vcpu;
	struct kvm *kvm = kvm_vcpu->kvm;
	enum vapic_decision decision = decide(kvm_vcpu);
	struct vapic_vcpu *vcpu;
	int err;

	if (decision == VAPIC_NO_APIC)
		return 0;

	/*
	 * Hardware checks the nested page tables for the APIC page before it redirects the
	 * access, so something must be mapped there. Stock does not map it in a VM that is
	 * inhibited at this moment, and each access faults later on. For a vCPU that is never
	 * accelerated the page must not be mapped: KVM emulates an access that meets it, which
	 * it cannot do for a guest with encrypted state.
	 */
	if (decision == VAPIC_ACCELERATED) {
		err = map_apic_page(kvm);
		if (err)
			return err;
	}

	vcpu = vcpu_allocate();
	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vapic_vm_of(kvm);
	vcpu->never = decision;
	vapic_avic_posting_init_vcpu(vcpu);

	if (decision == VAPIC_ACCELERATED)
		accelerate(kvm_vcpu, vcpu);
	else
		never_accelerate(kvm_vcpu, vcpu);

	svm->avic_backing_page = vcpu;
	vapic_vcpu_enter(&vcpu->common, kvm_vcpu, &vcpu->vm->common);
	return 0;
}

static void vcpu_release(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct vapic_vm *vm;

	if (!vcpu)
		return;
	vm = vcpu->vm;

	vapic_vcpu_leave(&vcpu->common, &vm->common);
	svm->avic_backing_page = NULL;
	if (vapic_vcpu_of(svm)) {
		vapic_avic_irq_window_close(vcpu);
		vapic_avic_posting_end_vcpu(vcpu);
		if (vapic_avic_vcpu_retire(vapic_core(vcpu))) {
			trace_vapic_table(kvm_vcpu, VAPIC_TABLE_LEAVE, 0);
			vapic_vm_wait_for_ipis(kvm_vcpu->kvm);
			/* KVM destroys vCPUs before the VM: no vCPU may be freed before the tag goes. */
			vapic_avic_posting_end_vm(vm);
		}
		svm->avic_physical_id_cache = NULL;
	}
	vcpu_free(vcpu);
	kref_put(&vm->common.refs, vm_release);
}

int vapic_svm_vcpu_create(struct kvm_vcpu *kvm_vcpu)
{
	int err = vapic_svm_stock(vcpu_create)(kvm_vcpu);

	/* If stock fails after avic_init_vcpu(), it has nothing that undoes that call. */
	if (err)
		vcpu_release(kvm_vcpu, vapic_listed_vcpu_of(to_svm(kvm_vcpu)));
	return err;
}

void vapic_svm_vcpu_free(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_svm *svm = to_svm(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_listed_vcpu_of(svm);

#if VAPIC_HAS_vcpu_svm__ir_list__next
	/* Stock warns unless the list whose head this is is empty. */
	svm->avic_backing_page = (struct vapic_vcpu *)&svm->avic_backing_page;
#endif
	vapic_svm_stock(vcpu_free)(kvm_vcpu);
	vcpu_release(kvm_vcpu, vcpu);
}
