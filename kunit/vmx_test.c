// SPDX-License-Identifier: GPL-2.0-only
/*
 * APICv's glue: what hardware finds in descriptors, in the PID-pointer table and in the VMCS while a
 * vCPU is made, runs, sleeps, is preempted and loses its acceleration. Masks are typed from the Intel
 * SDM, volume 3, "Posted-Interrupt Processing" and "VM-Execution Control Fields". On a processor
 * without VMX all is left out.
 */
#include <kunit/test.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>

#include <asm/apic.h>
#include <asm/irq_vectors.h>

#include <vapic/lapic_hot.h>
#include <vapic/vmx_hot.h>

#include "../kvm/hooks.h"
#include "../vmx_apicv/glue.h"
#include "../vmx_apicv/vendor.h"
#include "../vmx_apicv/vmcs_glue.h"
#include "vm.h"

/* The descriptor's control word, at byte 32 */
#define ON BIT_ULL(0)
#define SN BIT_ULL(1)
#define NV GENMASK_ULL(23, 16)
#define NDST GENMASK_ULL(63, 32)

#define ENTRY_VALID BIT_ULL(0)

#define PIN_POSTED BIT(7)
#define SECONDARY_APIC_PAGE BIT(0)
#define SECONDARY_X2APIC BIT(4)
#define SECONDARY_REGISTERS BIT(8)
#define SECONDARY_DELIVERY BIT(9)
#define TERTIARY_IPI BIT(4)

static int needs_vmx(struct kunit *test)
{
	if (!boot_cpu_has(X86_FEATURE_VMX))
		kunit_skip(test, "no VMX");
	return 0;
}

static struct vapic_vcpu *vcpu_of(const struct kunit_vm *vm, int number)
{
	return vapic_vcpu_of(to_vmx(vm->vcpus[number]));
}

static u64 descriptor_word(const struct kunit_vm *vm, int number, int word)
{
	const u64 *descriptor = (const u64 *)vapic_descriptor(to_vmx(vm->vcpus[number]));

	return READ_ONCE(descriptor[word]);
}

static u64 control(const struct kunit_vm *vm, int number)
{
	return descriptor_word(vm, number, 4);
}

static u64 posted(const struct kunit_vm *vm, int number, u8 vector)
{
	return descriptor_word(vm, number, vector / 64) & BIT_ULL(vector % 64);
}

static u64 descriptor_address(const struct kunit_vm *vm, int number)
{
	return virt_to_phys(vapic_descriptor(to_vmx(vm->vcpus[number])));
}

static u64 entry(const struct kunit_vm *vm, unsigned int id)
{
	const u64 *table = vapic_vm_of(vm->kvm)->pid_table;

	return READ_ONCE(table[id]);
}

static u64 notification(u8 vector)
{
	return (u64)vector << 16;
}

/* NDST of this CPU. With preemption off. */
static u64 here(void)
{
	u32 id = this_cpu_read(x86_cpu_to_apicid);

	return (u64)(x2apic_mode ? id : id << 8) << 32;
}

static void update(struct kvm_vcpu *vcpu)
{
	kunit_vcpu_load(vcpu);
	vapic_hook___kvm_vcpu_update_apicv(vcpu);
	kunit_vcpu_put(vcpu);
}

/* A VM with IPI virtualization, whose vCPUs have been loaded once since KVM has accepted them. */
static struct kunit_vm *vm_in_use(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	int i;

	KUNIT_ASSERT_TRUE(test, vapic_vmx_ipiv);
	KUNIT_ASSERT_NOT_NULL(test, vapic_vm_of(vm->kvm));
	KUNIT_ASSERT_NOT_NULL(test, vapic_vm_of(vm->kvm)->pid_table);
	for (i = 0; i < ARRAY_SIZE(vm->vcpus); i++) {
		KUNIT_ASSERT_NOT_NULL(test, vcpu_of(vm, i));
		update(vm->vcpus[i]);
		KUNIT_ASSERT_TRUE(test, vapic_apicv_active(vm->vcpus[i]->arch.apic));
	}
	return vm;
}

static void a_vcpu_enters_the_table_once_kvm_has_accepted_it(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);

	KUNIT_ASSERT_TRUE(test, vapic_vmx_ipiv);
	KUNIT_EXPECT_EQ(test, entry(vm, 0), 0);
	kunit_vcpu_load(vm->vcpus[0]);
	KUNIT_EXPECT_EQ(test, entry(vm, 0), descriptor_address(vm, 0) | ENTRY_VALID);
	KUNIT_EXPECT_EQ(test, entry(vm, 1), 0);
	kunit_vcpu_put(vm->vcpus[0]);
	/* It stays there. */
	KUNIT_EXPECT_EQ(test, entry(vm, 0), descriptor_address(vm, 0) | ENTRY_VALID);

	/* One that KVM refuses, since there is one with its ID, never gets there. */
	update(vm->vcpus[1]);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(kunit_create_vcpu(vm->file, 1)), -EEXIST);
	KUNIT_EXPECT_EQ(test, entry(vm, 1), descriptor_address(vm, 1) | ENTRY_VALID);
}

static void a_loaded_vcpu_is_notified_where_it_is(struct kunit *test)
{
	struct kunit_vm *vm = vm_in_use(test);

	kunit_vcpu_load(vm->vcpus[0]);
	preempt_disable();
	KUNIT_EXPECT_EQ(test, control(vm, 0) & SN, 0);
	KUNIT_EXPECT_EQ(test, control(vm, 0) & NV, notification(POSTED_INTR_VECTOR));
	KUNIT_EXPECT_EQ(test, control(vm, 0) & NDST, here());
	preempt_enable();
	kunit_vcpu_put(vm->vcpus[0]);
	/* It is back soon, and not worth an access. */
	KUNIT_EXPECT_EQ(test, control(vm, 0) & SN, 0);
}

static void nobody_is_told_of_posts_to_a_preempted_vcpu_until_it_is_back(struct kunit *test)
{
	struct kunit_vm *vm = vm_in_use(test);
	struct kvm_vcpu *vcpu = vm->vcpus[0];

	kunit_vcpu_load(vcpu);
	preempt_disable();
	WRITE_ONCE(vcpu->preempted, true);
	vapic_hook_vmx_vcpu_pi_put(vcpu);
	KUNIT_EXPECT_EQ(test, control(vm, 0) & (SN | ON), SN);

	/* As hardware posts then */
	vapic_pi_requests_set(&vapic_descriptor(to_vmx(vcpu))->pir[1], BIT_ULL(17));
	KUNIT_EXPECT_EQ(test, control(vm, 0) & (SN | ON), SN);

	WRITE_ONCE(vcpu->preempted, false);
	vapic_hook_vmx_vcpu_pi_load(vcpu, smp_processor_id());
	KUNIT_EXPECT_EQ(test, control(vm, 0) & (SN | ON), ON);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, vapic_vmx_sync_pir_to_irr(vcpu), 0x51);
	kunit_vcpu_put(vcpu);
}

/* Be a vCPU that is about to sleep: KVM says so by this. */
static void block(struct kvm_vcpu *vcpu)
{
	prepare_to_rcuwait(kvm_arch_vcpu_get_wait(vcpu));
}

static void unblock(struct kvm_vcpu *vcpu)
{
	finish_rcuwait(kvm_arch_vcpu_get_wait(vcpu));
}

static void a_post_wakes_a_vcpu_that_sleeps(struct kunit *test)
{
	struct kunit_vm *vm = vm_in_use(test);
	struct kvm_vcpu *vcpu = vm->vcpus[0];
	struct vapic_vcpu *ours = vcpu_of(vm, 0);

	kunit_vcpu_load(vcpu);
	kunit_set_rflags(vcpu, X86_EFLAGS_FIXED | X86_EFLAGS_IF);
	preempt_disable();
	block(vcpu);
	vapic_hook_vmx_vcpu_pi_put(vcpu);
	KUNIT_EXPECT_EQ(test, control(vm, 0) & SN, 0);
	KUNIT_EXPECT_EQ(test, control(vm, 0) & NV, notification(POSTED_INTR_WAKEUP_VECTOR));
	KUNIT_EXPECT_EQ(test, control(vm, 0) & NDST, here());
	KUNIT_EXPECT_EQ(test, vapic_vmx_waits_on_load(&ours->waits_on), smp_processor_id());

	/* An interrupt that is for another vCPU, or late, wakes nobody. */
	local_irq_disable();
	vapic_vmx_wakeup_handler();
	local_irq_enable();
	KUNIT_EXPECT_EQ(test, vapic_vmx_waits_on_load(&ours->waits_on), smp_processor_id());
	KUNIT_EXPECT_EQ(test, vapic_count_load(&ours->wakeups), 0);

	KUNIT_EXPECT_TRUE(test, vapic_pi_post(vapic_descriptor(to_vmx(vcpu)), 0x51));
	local_irq_disable();
	vapic_vmx_wakeup_handler();
	local_irq_enable();
	KUNIT_EXPECT_EQ(test, vapic_vmx_waits_on_load(&ours->waits_on), -1);
	KUNIT_EXPECT_EQ(test, vapic_count_load(&ours->wakeups), 1);

	unblock(vcpu);
	vapic_hook_vmx_vcpu_pi_load(vcpu, smp_processor_id());
	KUNIT_EXPECT_EQ(test, control(vm, 0) & NV, notification(POSTED_INTR_VECTOR));
	KUNIT_EXPECT_EQ(test, control(vm, 0) & ON, ON);
	preempt_enable();
	kunit_vcpu_put(vcpu);
}

/* Nobody posts to it, but something else wakes it. */
static void a_vcpu_that_is_back_waits_no_more(struct kunit *test)
{
	struct kunit_vm *vm = vm_in_use(test);
	struct kvm_vcpu *vcpu = vm->vcpus[0];
	struct vapic_vcpu *ours = vcpu_of(vm, 0);

	kunit_vcpu_load(vcpu);
	kunit_set_rflags(vcpu, X86_EFLAGS_FIXED | X86_EFLAGS_IF);
	preempt_disable();
	block(vcpu);
	vapic_hook_vmx_vcpu_pi_put(vcpu);
	KUNIT_EXPECT_GE(test, vapic_vmx_waits_on_load(&ours->waits_on), 0);
	unblock(vcpu);
	vapic_hook_vmx_vcpu_pi_load(vcpu, smp_processor_id());
	KUNIT_EXPECT_EQ(test, vapic_vmx_waits_on_load(&ours->waits_on), -1);
	KUNIT_EXPECT_EQ(test, control(vm, 0) & (NV | SN | ON), notification(POSTED_INTR_VECTOR));

	/* With interrupts blocked in the guest a post must not wake it. */
	kunit_set_rflags(vcpu, X86_EFLAGS_FIXED);
	block(vcpu);
	vapic_hook_vmx_vcpu_pi_put(vcpu);
	KUNIT_EXPECT_EQ(test, control(vm, 0) & SN, SN);
	KUNIT_EXPECT_EQ(test, vapic_vmx_waits_on_load(&ours->waits_on), -1);
	unblock(vcpu);
	vapic_hook_vmx_vcpu_pi_load(vcpu, smp_processor_id());
	KUNIT_EXPECT_EQ(test, control(vm, 0) & SN, 0);
	preempt_enable();
	kunit_vcpu_put(vcpu);
}

static void the_vmcs_names_table_and_descriptor(struct kunit *test)
{
	struct kunit_vm *vm = vm_in_use(test);
	struct vapic_vm *object = vapic_vm_of(vm->kvm);

	kunit_vcpu_load(vm->vcpus[1]);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(POSTED_INTR_DESC_ADDR), descriptor_address(vm, 1));
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(POSTED_INTR_NV), POSTED_INTR_VECTOR);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(PID_POINTER_TABLE), virt_to_phys(object->pid_table));
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(LAST_PID_POINTER_INDEX),
			vm->kvm->arch.max_vcpu_ids - 1);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(VIRTUAL_APIC_PAGE_ADDR),
			virt_to_phys(vm->vcpus[1]->arch.apic->regs));
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(PIN_BASED_VM_EXEC_CONTROL) & PIN_POSTED, PIN_POSTED);
	KUNIT_EXPECT_EQ(test,
			vapic_vmcs_read(SECONDARY_VM_EXEC_CONTROL) &
				(SECONDARY_REGISTERS | SECONDARY_DELIVERY),
			SECONDARY_REGISTERS | SECONDARY_DELIVERY);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(TERTIARY_VM_EXEC_CONTROL) & TERTIARY_IPI,
			TERTIARY_IPI);
	kunit_vcpu_put(vm->vcpus[1]);
}

static void an_inhibit_turns_apicv_off_until_it_ends(struct kunit *test)
{
	struct kunit_vm *vm = vm_in_use(test);
	struct kvm_vcpu *vcpu = vm->vcpus[0];
	struct kvm_lapic *apic = vcpu->arch.apic;

	kunit_set_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, true);
	kunit_vcpu_load(vcpu);
	vapic_vmcs_write(TPR_THRESHOLD, 7);
	vapic_hook___kvm_vcpu_update_apicv(vcpu);
	KUNIT_EXPECT_FALSE(test, vapic_apicv_active(apic));
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(PIN_BASED_VM_EXEC_CONTROL) & PIN_POSTED, 0);
	KUNIT_EXPECT_EQ(test,
			vapic_vmcs_read(SECONDARY_VM_EXEC_CONTROL) &
				(SECONDARY_REGISTERS | SECONDARY_DELIVERY),
			0);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(TERTIARY_VM_EXEC_CONTROL) & TERTIARY_IPI, 0);
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_EVENT, vcpu));

	/* INIT must not leave a threshold above the TPR that it sets. */
	vapic_vmcs_write(TPR_THRESHOLD, 7);
	vapic_vmx_vcpu_reset(vcpu, true);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(TPR_THRESHOLD), 0);
	kunit_vcpu_put(vcpu);

	/* Now KVM injects. */
	kvm_clear_request(KVM_REQ_EVENT, vcpu);
	apic->irr_pending = false;
	vapic_vmx_deliver_interrupt(apic, APIC_DM_FIXED, 0, 0x52);
	KUNIT_EXPECT_TRUE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x52));
	KUNIT_EXPECT_EQ(test, posted(vm, 0, 0x52), 0);
	KUNIT_EXPECT_TRUE(test, apic->irr_pending);
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_EVENT, vcpu));

	kunit_set_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, false);
	kunit_vcpu_load(vcpu);
	vapic_hook___kvm_vcpu_update_apicv(vcpu);
	KUNIT_EXPECT_TRUE(test, vapic_apicv_active(apic));
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(PIN_BASED_VM_EXEC_CONTROL) & PIN_POSTED, PIN_POSTED);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(TERTIARY_VM_EXEC_CONTROL) & TERTIARY_IPI,
			TERTIARY_IPI);
	/* RVI did not follow the IRR meanwhile. */
	KUNIT_EXPECT_EQ(test, vapic_vmx_sync_pir_to_irr(vcpu), 0x52);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(GUEST_INTR_STATUS) & 0xff, 0x52);
	kunit_vcpu_put(vcpu);
}

static void an_interrupt_is_posted_and_gets_into_the_irr(struct kunit *test)
{
	struct kunit_vm *vm = vm_in_use(test);
	struct kvm_vcpu *vcpu = vm->vcpus[1];
	struct kvm_lapic *apic = vcpu->arch.apic;

	vapic_vmx_deliver_interrupt(apic, APIC_DM_FIXED, 0, 0x51);
	KUNIT_EXPECT_NE(test, posted(vm, 1, 0x51), 0);
	KUNIT_EXPECT_EQ(test, control(vm, 1) & ON, ON);
	KUNIT_EXPECT_FALSE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x51));
	vapic_vmx_deliver_interrupt(apic, APIC_DM_FIXED, 0, 0x41);

	kunit_vcpu_load(vcpu);
	KUNIT_EXPECT_EQ(test, vapic_vmx_sync_pir_to_irr(vcpu), 0x51);
	KUNIT_EXPECT_TRUE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x51));
	KUNIT_EXPECT_TRUE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x41));
	KUNIT_EXPECT_EQ(test, posted(vm, 1, 0x51) | posted(vm, 1, 0x41), 0);
	KUNIT_EXPECT_EQ(test, control(vm, 1) & ON, 0);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(GUEST_INTR_STATUS) & 0xff, 0x51);
	/* Again, with nothing to do */
	KUNIT_EXPECT_EQ(test, vapic_vmx_sync_pir_to_irr(vcpu), 0x51);

	/* What is posted when user space writes a new state is forgotten. */
	vapic_vmx_deliver_interrupt(apic, APIC_DM_FIXED, 0, 0x61);
	vapic_vmx_apicv_pre_state_restore(vcpu);
	KUNIT_EXPECT_EQ(test, posted(vm, 1, 0x61), 0);
	KUNIT_EXPECT_EQ(test, vapic_vmx_sync_pir_to_irr(vcpu), 0x51);
	kunit_vcpu_put(vcpu);
}

static void the_vmcs_has_the_eois_that_exit(struct kunit *test)
{
	u64 first[4] = {1, 0, BIT_ULL(40), 3}, second[4] = {0, 0, BIT_ULL(40), 4};
	struct kunit_vm *vm = vm_in_use(test);
	struct kvm_vcpu *vcpu = vm->vcpus[0];
	int i;

	kunit_vcpu_load(vcpu);
	vapic_vmx_load_eoi_exitmap(vcpu, first);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, vapic_vmcs_read(EOI_EXIT_BITMAP0 + 2 * i), first[i]);
	vapic_vmx_load_eoi_exitmap(vcpu, second);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, vapic_vmcs_read(EOI_EXIT_BITMAP0 + 2 * i), second[i]);
	kunit_vcpu_put(vcpu);

	/* While it is off, a new one waits until it is on again. */
	kunit_set_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, true);
	kunit_vcpu_load(vcpu);
	vapic_hook___kvm_vcpu_update_apicv(vcpu);
	vapic_vmx_load_eoi_exitmap(vcpu, first);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(EOI_EXIT_BITMAP0), second[0]);
	kvm_clear_request(KVM_REQ_LOAD_EOI_EXITMAP, vcpu);
	kunit_vcpu_put(vcpu);
	kunit_set_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, false);
	update(vcpu);
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_LOAD_EOI_EXITMAP, vcpu));
}

static bool exits(const struct kvm_vcpu *vcpu, u32 msr, bool write)
{
	struct loaded_vmcs *vmcs = &to_vmx((struct kvm_vcpu *)vcpu)->vmcs01;
	const u8 *bitmap = (const u8 *)vmcs->msr_bitmap + (write ? 0x800 : 0);

	return bitmap[msr / 8] & BIT(msr % 8);
}

static void the_mode_of_the_apic_decides_what_hardware_virtualizes(struct kunit *test)
{
	struct kunit_vm *vm = vm_in_use(test);
	struct kvm_vcpu *vcpu = vm->vcpus[0];
	u64 both = SECONDARY_APIC_PAGE | SECONDARY_X2APIC;

	kunit_vcpu_load(vcpu);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(SECONDARY_VM_EXEC_CONTROL) & both,
			SECONDARY_APIC_PAGE);
	KUNIT_EXPECT_TRUE(test, exits(vcpu, 0x808, false));
	KUNIT_EXPECT_TRUE(test, exits(vcpu, 0x80b, true));

	vcpu->arch.apic_base |= X2APIC_ENABLE;
	vapic_vmx_set_virtual_apic_mode(vcpu);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(SECONDARY_VM_EXEC_CONTROL) & both, SECONDARY_X2APIC);
	/* TPR, EOI and, with IPI virtualization, ICR do not exit; the current count does. */
	KUNIT_EXPECT_FALSE(test, exits(vcpu, 0x808, false));
	KUNIT_EXPECT_FALSE(test, exits(vcpu, 0x808, true));
	KUNIT_EXPECT_FALSE(test, exits(vcpu, 0x80b, true));
	KUNIT_EXPECT_FALSE(test, exits(vcpu, 0x830, true));
	KUNIT_EXPECT_TRUE(test, exits(vcpu, 0x839, false));
	KUNIT_EXPECT_TRUE(test, exits(vcpu, 0x832, true));

	/* The guest turns its APIC off, and on again. */
	vcpu->arch.apic_base &= ~(u64)(X2APIC_ENABLE | MSR_IA32_APICBASE_ENABLE);
	vapic_vmx_set_virtual_apic_mode(vcpu);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(SECONDARY_VM_EXEC_CONTROL) & both, 0);
	KUNIT_EXPECT_TRUE(test, exits(vcpu, 0x80b, true));
	vcpu->arch.apic_base |= MSR_IA32_APICBASE_ENABLE;
	vapic_vmx_set_virtual_apic_mode(vcpu);
	KUNIT_EXPECT_EQ(test, vapic_vmcs_read(SECONDARY_VM_EXEC_CONTROL) & both,
			SECONDARY_APIC_PAGE);
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_APIC_PAGE_RELOAD, vcpu));
	kunit_vcpu_put(vcpu);
}

static void a_vm_without_an_apic_of_kvm_has_no_objects(struct kunit *test)
{
	struct kvm_vcpu *kvm_vcpu;
	struct file *vm, *vcpu;

	kunit_user_page(test);
	vm = kunit_create_vm();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm);
	vcpu = kunit_create_vcpu(vm, 0);
	KUNIT_EXPECT_FALSE(test, IS_ERR(vcpu));
	if (!IS_ERR(vcpu)) {
		kvm_vcpu = vcpu->private_data;
		KUNIT_EXPECT_PTR_EQ(test, vapic_vm_of(kvm_vcpu->kvm), NULL);
		KUNIT_EXPECT_PTR_EQ(test, vapic_vcpu_of(to_vmx(kvm_vcpu)), NULL);
		/* All hooks meet such a vCPU, too. */
		kunit_vcpu_load(kvm_vcpu);
		vapic_vmx_set_virtual_apic_mode(kvm_vcpu);
		preempt_disable();
		vapic_vmx_refresh_apicv_exec_ctrl(kvm_vcpu);
		vapic_hook_vmx_vcpu_pi_put(kvm_vcpu);
		vapic_hook_vmx_vcpu_pi_load(kvm_vcpu, smp_processor_id());
		preempt_enable();
		vapic_vmx_apicv_pre_state_restore(kvm_vcpu);
		kunit_vcpu_put(kvm_vcpu);
	}
	kunit_close(vcpu);
	kunit_close(vm);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_vcpu_enters_the_table_once_kvm_has_accepted_it),
	KUNIT_CASE(a_loaded_vcpu_is_notified_where_it_is),
	KUNIT_CASE(nobody_is_told_of_posts_to_a_preempted_vcpu_until_it_is_back),
	KUNIT_CASE(a_post_wakes_a_vcpu_that_sleeps),
	KUNIT_CASE(a_vcpu_that_is_back_waits_no_more),
	KUNIT_CASE(the_vmcs_names_table_and_descriptor),
	KUNIT_CASE(an_inhibit_turns_apicv_off_until_it_ends),
	KUNIT_CASE(an_interrupt_is_posted_and_gets_into_the_irr),
	KUNIT_CASE(the_vmcs_has_the_eois_that_exit),
	KUNIT_CASE(the_mode_of_the_apic_decides_what_hardware_virtualizes),
	KUNIT_CASE(a_vm_without_an_apic_of_kvm_has_no_objects),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_vmx",
	.init = needs_vmx,
	.test_cases = cases,
};
kunit_test_suites(&suite);
