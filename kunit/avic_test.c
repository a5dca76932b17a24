// SPDX-License-Identifier: GPL-2.0-only
/*
 * AVIC's glue: what hardware finds in the tables and in the VMCB while a vCPU is made, runs, sleeps,
 * leaves its CPU and loses its acceleration. Masks are typed from the AMD64 Architecture Programmer's
 * Manual, volume 2, "Advanced Virtual Interrupt Controller". On a processor without SVM all is left
 * out.
 */
#include <kunit/test.h>
#include <linux/preempt.h>

#include <vapic/avic_hot.h>
#include <vapic/lapic_hot.h>

#include "../avic/glue.h"
#include "../kvm/hooks.h"
#include "vm.h"

#define ENTRY_VALID BIT_ULL(63)
#define ENTRY_RUNNING BIT_ULL(62)
#define ENTRY_PAGE GENMASK_ULL(51, 12)
#define ENTRY_HOST_ID GENMASK_ULL(11, 0)
#define LOGICAL_VALID BIT(31)
#define AVIC_ON BIT(31)

static int needs_svm(struct kunit *test)
{
	if (!boot_cpu_has(X86_FEATURE_SVM))
		kunit_skip(test, "no SVM");
	return 0;
}

static u64 entry(const struct kunit_vm *vm, unsigned int id)
{
	const u64 *table = vapic_vm_of(vm->kvm)->physical_table;

	return READ_ONCE(table[id]);
}

static u32 logical_entry(const struct kunit_vm *vm, unsigned int index)
{
	const u32 *table = vapic_vm_of(vm->kvm)->logical_table;

	return READ_ONCE(table[index]);
}

static struct vapic_vcpu *vcpu_of(const struct kunit_vm *vm, int number)
{
	return vapic_vcpu_of(to_svm(vm->vcpus[number]));
}

static struct vmcb_control_area *control_of(const struct kunit_vm *vm, int number)
{
	return &to_svm(vm->vcpus[number])->vmcb01.ptr->control;
}

static void a_vcpu_is_in_the_table_and_runs_while_it_is_loaded(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct vapic_avic_vm *core = vapic_avic_vm_at_load(&vapic_vm_of(vm->kvm)->core);
	u64 page = virt_to_phys(vm->vcpus[1]->arch.apic->regs);

	KUNIT_ASSERT_NOT_NULL(test, core);
	KUNIT_ASSERT_NOT_NULL(test, vcpu_of(vm, 1));
	/* KVM has loaded it once, at the end of its creation. */
	KUNIT_EXPECT_EQ(test, entry(vm, 1) & (ENTRY_VALID | ENTRY_PAGE | ENTRY_RUNNING),
			ENTRY_VALID | page);

	kunit_vcpu_load(vm->vcpus[1]);
	preempt_disable();
	KUNIT_EXPECT_EQ(test, entry(vm, 1) & (ENTRY_VALID | ENTRY_PAGE), ENTRY_VALID | page);
	KUNIT_EXPECT_EQ(test, entry(vm, 1) & ENTRY_RUNNING, ENTRY_RUNNING);
	KUNIT_EXPECT_EQ(test, entry(vm, 1) & ENTRY_HOST_ID, vapic_kvm_apic_id(smp_processor_id()));
	preempt_enable();
	KUNIT_EXPECT_PTR_EQ(test, vapic_avic_vm_find(core, 1), vcpu_of(vm, 1));
	KUNIT_EXPECT_EQ(test, entry(vm, 0) & ENTRY_RUNNING, 0);
	KUNIT_EXPECT_EQ(test, entry(vm, 2), 0);
	kunit_vcpu_put(vm->vcpus[1]);

	KUNIT_EXPECT_EQ(test, entry(vm, 1) & (ENTRY_VALID | ENTRY_PAGE), ENTRY_VALID | page);
	KUNIT_EXPECT_EQ(test, entry(vm, 1) & ENTRY_RUNNING, 0);
}

static void a_vcpu_that_blocks_is_not_running_and_must_be_woken(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct vapic_avic_vcpu *core = vapic_core(vcpu_of(vm, 0));

	kunit_vcpu_load(vm->vcpus[0]);
	preempt_disable();
	KUNIT_EXPECT_FALSE(test, vapic_avic_vcpu_must_wake(core));
	vapic_svm_vcpu_blocking(vm->vcpus[0]);
	KUNIT_EXPECT_EQ(test, entry(vm, 0) & ENTRY_RUNNING, 0);
	KUNIT_EXPECT_TRUE(test, vapic_avic_vcpu_must_wake(core));
	preempt_enable();

	/* It sleeps, and comes back. */
	kunit_vcpu_put(vm->vcpus[0]);
	KUNIT_EXPECT_TRUE(test, vapic_avic_vcpu_must_wake(core));
	kunit_vcpu_load(vm->vcpus[0]);
	KUNIT_EXPECT_EQ(test, entry(vm, 0) & ENTRY_RUNNING, 0);

	preempt_disable();
	vapic_svm_vcpu_unblocking(vm->vcpus[0]);
	KUNIT_EXPECT_EQ(test, entry(vm, 0) & ENTRY_RUNNING, ENTRY_RUNNING);
	KUNIT_EXPECT_FALSE(test, vapic_avic_vcpu_must_wake(core));
	preempt_enable();
	kunit_vcpu_put(vm->vcpus[0]);
}

static void the_vmcb_names_tables_and_page(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct vapic_vm *object = vapic_vm_of(vm->kvm);
	struct vmcb_control_area *control = control_of(vm, 0);

	KUNIT_EXPECT_EQ(test, control->int_ctl & AVIC_ON, AVIC_ON);
	KUNIT_EXPECT_EQ(test, control->avic_vapic_bar, 0xfee00000);
	KUNIT_EXPECT_EQ(test, control->avic_backing_page,
			virt_to_phys(vm->vcpus[0]->arch.apic->regs));
	KUNIT_EXPECT_EQ(test, control->avic_logical_id, virt_to_phys(object->logical_table));
	KUNIT_EXPECT_EQ(test, control->avic_physical_id & ENTRY_PAGE,
			virt_to_phys(object->physical_table));
	KUNIT_EXPECT_EQ(test, control->avic_physical_id & ~ENTRY_PAGE, 254);
	KUNIT_EXPECT_FALSE(test,
			   test_bit(INTERCEPT_CR8_WRITE, (unsigned long *)control->intercepts));
}

static void update(struct kvm_vcpu *vcpu)
{
	kunit_vcpu_load(vcpu);
	vapic_hook___kvm_vcpu_update_apicv(vcpu);
	kunit_vcpu_put(vcpu);
}

static void an_inhibit_turns_avic_off_until_it_ends(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct kvm_lapic *apic = vm->vcpus[0]->arch.apic;
	struct vmcb_control_area *control = control_of(vm, 0);

	update(vm->vcpus[0]);
	KUNIT_EXPECT_TRUE(test, vapic_apicv_active(apic));

	vapic_kvm_change_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, true);
	control->clean = ~0;
	kunit_vcpu_load(vm->vcpus[0]);
	vapic_hook___kvm_vcpu_update_apicv(vm->vcpus[0]);
	KUNIT_EXPECT_FALSE(test, vapic_apicv_active(apic));
	KUNIT_EXPECT_EQ(test, entry(vm, 0) & ENTRY_RUNNING, 0);
	KUNIT_EXPECT_EQ(test, control->int_ctl & AVIC_ON, 0);
	KUNIT_EXPECT_TRUE(test,
			  test_bit(INTERCEPT_CR8_WRITE, (unsigned long *)control->intercepts));
	/* The processor has to read again what has changed: bits 0, 3 and 11. */
	KUNIT_EXPECT_EQ(test, control->clean & 0x809, 0);
	kunit_vcpu_put(vm->vcpus[0]);
	/* A load does not bring it back. */
	kunit_vcpu_load(vm->vcpus[0]);
	KUNIT_EXPECT_EQ(test, entry(vm, 0) & ENTRY_RUNNING, 0);
	kunit_vcpu_put(vm->vcpus[0]);

	vapic_kvm_change_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, false);
	kunit_vcpu_load(vm->vcpus[0]);
	vapic_hook___kvm_vcpu_update_apicv(vm->vcpus[0]);
	KUNIT_EXPECT_TRUE(test, vapic_apicv_active(apic));
	KUNIT_EXPECT_EQ(test, entry(vm, 0) & ENTRY_RUNNING, ENTRY_RUNNING);
	KUNIT_EXPECT_EQ(test, control->int_ctl & AVIC_ON, AVIC_ON);
	kunit_vcpu_put(vm->vcpus[0]);
}

static void an_interrupt_is_in_the_irr_and_wakes_who_sleeps(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct kvm_lapic *apic = vm->vcpus[1]->arch.apic;

	kvm_clear_request(KVM_REQ_EVENT, vm->vcpus[1]);
	apic->irr_pending = false;
	vapic_svm_deliver_interrupt(apic, APIC_DM_FIXED, 0, 0x51);
	KUNIT_EXPECT_TRUE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x51));
	KUNIT_EXPECT_TRUE(test, apic->irr_pending);
	/* It does not run, and is not asleep: its next entry finds the interrupt. */
	KUNIT_EXPECT_FALSE(test, kvm_test_request(KVM_REQ_EVENT, vm->vcpus[1]));

	/* To a vCPU that is not accelerated, KVM brings it. */
	vapic_kvm_change_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, true);
	update(vm->vcpus[1]);
	kvm_clear_request(KVM_REQ_EVENT, vm->vcpus[1]);
	vapic_svm_deliver_interrupt(apic, APIC_DM_FIXED, 0, 0x52);
	KUNIT_EXPECT_TRUE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x52));
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_EVENT, vm->vcpus[1]));
}

static void the_logical_table_follows_the_register(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	void *regs = vm->vcpus[1]->arch.apic->regs;

	update(vm->vcpus[1]);
	vapic_lapic_write(regs, APIC_DFR, APIC_DFR_FLAT);
	vapic_lapic_write(regs, APIC_LDR, SET_APIC_LOGICAL_ID(1 << 5));
	vapic_svm_apicv_post_state_restore(vm->vcpus[1]);
	KUNIT_EXPECT_EQ(test, logical_entry(vm, 5), LOGICAL_VALID | 1);

	vapic_lapic_write(regs, APIC_LDR, SET_APIC_LOGICAL_ID(1 << 6));
	vapic_svm_apicv_post_state_restore(vm->vcpus[1]);
	KUNIT_EXPECT_EQ(test, logical_entry(vm, 5), 0);
	KUNIT_EXPECT_EQ(test, logical_entry(vm, 6), LOGICAL_VALID | 1);

	/* Cluster 2, third of its members */
	vapic_lapic_write(regs, APIC_DFR, APIC_DFR_CLUSTER);
	vapic_lapic_write(regs, APIC_LDR, SET_APIC_LOGICAL_ID(0x24));
	vapic_svm_apicv_post_state_restore(vm->vcpus[1]);
	KUNIT_EXPECT_EQ(test, logical_entry(vm, 6), 0);
	KUNIT_EXPECT_EQ(test, logical_entry(vm, 10), LOGICAL_VALID | 1);

	vapic_kvm_change_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, true);
	update(vm->vcpus[1]);
	KUNIT_EXPECT_EQ(test, logical_entry(vm, 10), 0);
}

static void a_vcpu_leaves_the_table_before_it_is_freed(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct file *vcpu = kunit_create_vcpu(vm->file, 7);

	KUNIT_ASSERT_FALSE(test, IS_ERR(vcpu));
	kunit_vcpu_load(vcpu->private_data);
	kunit_vcpu_put(vcpu->private_data);
	KUNIT_EXPECT_EQ(test, entry(vm, 7) & ENTRY_VALID, ENTRY_VALID);
	/* KVM keeps it until the VM ends: leave as that does. */
	KUNIT_EXPECT_TRUE(test, vapic_avic_vcpu_retire(vapic_core(vapic_vcpu_of(
					to_svm((struct kvm_vcpu *)vcpu->private_data)))));
	KUNIT_EXPECT_EQ(test, entry(vm, 7), 0);
	KUNIT_EXPECT_FALSE(test, vapic_avic_vcpu_retire(vapic_core(vapic_vcpu_of(
					 to_svm((struct kvm_vcpu *)vcpu->private_data)))));
	kunit_close(vcpu);
}

static void an_id_beyond_the_table_inhibits_the_vm(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	u32 ids = vapic_vm_of(vm->kvm)->ids;
	struct file *vcpu;

	KUNIT_ASSERT_EQ(test, ids, vapic_has_x2avic() ? 512 : 255);
	vcpu = kunit_create_vcpu(vm->file, ids);
	KUNIT_ASSERT_FALSE(test, IS_ERR(vcpu));
	KUNIT_EXPECT_PTR_EQ(test, vapic_vcpu_of(to_svm((struct kvm_vcpu *)vcpu->private_data)),
			    NULL);
	KUNIT_EXPECT_EQ(test,
			vapic_listed_vcpu_of(to_svm((struct kvm_vcpu *)vcpu->private_data))->never,
			VAPIC_ID_BEYOND_TABLE);
	KUNIT_EXPECT_NE(test, READ_ONCE(vm->kvm->arch.apicv_inhibit_reasons), 0);
	update(vm->vcpus[0]);
	KUNIT_EXPECT_FALSE(test, vapic_apicv_active(vm->vcpus[0]->arch.apic));
	kunit_close(vcpu);
}

static void a_vm_without_an_apic_of_kvm_has_no_tables(struct kunit *test)
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
		KUNIT_EXPECT_PTR_EQ(test, vapic_vm_of(kvm_vcpu->kvm)->physical_table, NULL);
		KUNIT_EXPECT_PTR_EQ(test, vapic_listed_vcpu_of(to_svm(kvm_vcpu)), NULL);
		/* All hooks meet such a vCPU, too. */
		kunit_vcpu_load(kvm_vcpu);
		vapic_svm_vcpu_blocking(kvm_vcpu);
		vapic_svm_vcpu_unblocking(kvm_vcpu);
		kunit_vcpu_put(kvm_vcpu);
	}
	kunit_close(vcpu);
	kunit_close(vm);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_vcpu_is_in_the_table_and_runs_while_it_is_loaded),
	KUNIT_CASE(a_vcpu_that_blocks_is_not_running_and_must_be_woken),
	KUNIT_CASE(the_vmcb_names_tables_and_page),
	KUNIT_CASE(an_inhibit_turns_avic_off_until_it_ends),
	KUNIT_CASE(an_interrupt_is_in_the_irr_and_wakes_who_sleeps),
	KUNIT_CASE(the_logical_table_follows_the_register),
	KUNIT_CASE(a_vcpu_leaves_the_table_before_it_is_freed),
	KUNIT_CASE(an_id_beyond_the_table_inhibits_the_vm),
	KUNIT_CASE(a_vm_without_an_apic_of_kvm_has_no_tables),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_avic",
	.init = needs_svm,
	.test_cases = cases,
};
kunit_test_suites(&suite);
