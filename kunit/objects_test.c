// SPDX-License-Identifier: GPL-2.0-only
/*
 * The objects of VMs and vCPUs, of either vendor: when they are listed and counted, and that nothing
 * of them stays.
 */
#include "../kvm/objects.h"

#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/pid.h>

#include "vm.h"

static unsigned int listed(void)
{
	unsigned int count;

	spin_lock(&vapic_vms_lock);
	count = list_count_nodes(&vapic_vms);
	spin_unlock(&vapic_vms_lock);
	return count;
}

static struct vapic_vm_common *last_listed(void)
{
	return list_last_entry(&vapic_vms, struct vapic_vm_common, node);
}

static void a_vm_is_listed_with_its_maker_while_it_lives(struct kunit *test)
{
	struct vapic_vm_common vm;
	struct kvm *kvm = (struct kvm *)&vm;
	unsigned int pids = refcount_read(&task_tgid(current)->count);

	vapic_vm_enter(&vm, kvm);
	KUNIT_EXPECT_EQ(test, listed(), 1);
	KUNIT_EXPECT_PTR_EQ(test, last_listed(), &vm);
	KUNIT_EXPECT_PTR_EQ(test, vm.kvm, kvm);
	KUNIT_EXPECT_PTR_EQ(test, vm.pid, task_tgid(current));
	KUNIT_EXPECT_TRUE(test, uid_eq(vm.owner, current_euid()));
	KUNIT_EXPECT_EQ(test, kref_read(&vm.refs), 1);
	KUNIT_EXPECT_EQ(test, vm.vcpu_count, 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&task_tgid(current)->count), pids + 1);

	vapic_vm_leave(&vm);
	KUNIT_EXPECT_EQ(test, listed(), 0);
	KUNIT_EXPECT_PTR_EQ(test, vm.kvm, NULL);
	KUNIT_EXPECT_EQ(test, refcount_read(&task_tgid(current)->count), pids);
}

/* Status continues behind the last number that it has printed. */
static void numbers_go_up_and_never_come_back(struct kunit *test)
{
	struct vapic_vm_common first, second, third;

	vapic_vm_enter(&first, NULL);
	vapic_vm_enter(&second, NULL);
	KUNIT_EXPECT_EQ(test, second.number, first.number + 1);
	KUNIT_EXPECT_PTR_EQ(test, last_listed(), &second);
	vapic_vm_leave(&second);
	vapic_vm_enter(&third, NULL);
	KUNIT_EXPECT_EQ(test, third.number, first.number + 2);
	vapic_vm_leave(&first);
	KUNIT_EXPECT_PTR_EQ(test, last_listed(), &third);
	vapic_vm_leave(&third);
	KUNIT_EXPECT_EQ(test, listed(), 0);
}

static void each_vcpu_holds_a_reference(struct kunit *test)
{
	struct vapic_vcpu_common a, b;
	struct vapic_vm_common vm;
	struct kvm_vcpu *kvm_vcpu = (struct kvm_vcpu *)&a;

	vapic_vm_enter(&vm, NULL);
	vapic_vcpu_enter(&a, kvm_vcpu, &vm);
	vapic_vcpu_enter(&b, NULL, &vm);
	KUNIT_EXPECT_PTR_EQ(test, a.kvm_vcpu, kvm_vcpu);
	KUNIT_EXPECT_EQ(test, vm.vcpu_count, 2);
	KUNIT_EXPECT_EQ(test, kref_read(&vm.refs), 3);
	KUNIT_EXPECT_PTR_EQ(test, list_first_entry(&vm.vcpus, struct vapic_vcpu_common, node), &a);

	/* Who drops the reference is the vendor's glue. */
	vapic_vcpu_leave(&a, &vm);
	KUNIT_EXPECT_EQ(test, vm.vcpu_count, 1);
	KUNIT_EXPECT_PTR_EQ(test, list_first_entry(&vm.vcpus, struct vapic_vcpu_common, node), &b);
	vapic_vcpu_leave(&b, &vm);
	KUNIT_EXPECT_TRUE(test, list_empty(&vm.vcpus));
	KUNIT_EXPECT_EQ(test, kref_read(&vm.refs), 3);
	vapic_vm_leave(&vm);
}

static void a_vm_of_kvm_has_an_object_and_pins_vapic(struct kunit *test)
{
	int references = module_refcount(THIS_MODULE);
	struct kunit_vm *vm = kunit_vm(test);
	struct vapic_vm_common *object;
	struct vapic_vcpu_common *vcpu;
	int id = 0;

	KUNIT_ASSERT_EQ(test, listed(), 1);
	object = last_listed();
	KUNIT_EXPECT_PTR_EQ(test, object->kvm, vm->kvm);
	KUNIT_EXPECT_EQ(test, object->vcpu_count, 2);
	KUNIT_EXPECT_EQ(test, kref_read(&object->refs), 3);
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), references + 1);
	list_for_each_entry(vcpu, &object->vcpus, node) {
		KUNIT_EXPECT_PTR_EQ(test, vcpu->kvm_vcpu, vm->vcpus[id]);
		KUNIT_EXPECT_TRUE(test, vapic_apicv_active(vcpu->kvm_vcpu->arch.apic));
		id++;
	}
}

/* Files close in any order: KVM destroys the VM with the last of them. */
static void nothing_stays_of_a_vm(struct kunit *test)
{
	int references = module_refcount(THIS_MODULE);
	struct file *vm, *vcpu;

	kunit_user_page(test);
	vm = kunit_create_vm();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm);
	KUNIT_EXPECT_EQ(test, kunit_ioctl(vm, KVM_CREATE_IRQCHIP, 0), 0);
	vcpu = kunit_create_vcpu(vm, 3);
	KUNIT_EXPECT_FALSE(test, IS_ERR(vcpu));
	kunit_close(vm);
	KUNIT_EXPECT_EQ(test, listed(), 1);
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), references + 1);
	kunit_close(vcpu);
	KUNIT_EXPECT_EQ(test, listed(), 0);
	KUNIT_EXPECT_EQ(test, module_refcount(THIS_MODULE), references);
}

/* KVM makes the vCPU, and refuses it only when it is complete. */
static void a_second_vcpu_with_an_id_changes_nothing(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct vapic_vm_common *object = last_listed();

	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(kunit_create_vcpu(vm->file, 1)), -EEXIST);
	KUNIT_EXPECT_EQ(test, object->vcpu_count, 2);
	KUNIT_EXPECT_EQ(test, kref_read(&object->refs), 3);
	KUNIT_EXPECT_PTR_EQ(
		test, list_last_entry(&object->vcpus, struct vapic_vcpu_common, node)->kvm_vcpu,
		vm->vcpus[1]);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_vm_is_listed_with_its_maker_while_it_lives),
	KUNIT_CASE(numbers_go_up_and_never_come_back),
	KUNIT_CASE(each_vcpu_holds_a_reference),
	KUNIT_CASE(a_vm_of_kvm_has_an_object_and_pins_vapic),
	KUNIT_CASE(nothing_stays_of_a_vm),
	KUNIT_CASE(a_second_vcpu_with_an_id_changes_nothing),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_objects",
	.test_cases = cases,
};
kunit_test_suites(&suite);
