// SPDX-License-Identifier: GPL-2.0-only
/*
 * The creation of a VM and of a vCPU, with one allocation after the other failing: those of vapic,
 * and those of KVM before and after them. Nothing may stay of what was not made.
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "../kvm/objects.h"
#include "fail.h"
#include "vm.h"

/* More allocations than any of these has. */
#define MANY 1000

static void expect_nothing_left(struct kunit *test, int references, unsigned int number)
{
	KUNIT_EXPECT_TRUE_MSG(test, list_empty(&vapic_vms), "allocation %u", number);
	KUNIT_EXPECT_EQ_MSG(test, module_refcount(THIS_MODULE), references, "allocation %u",
			    number);
}

static void a_vm_that_cannot_be_made_leaves_nothing(struct kunit *test)
{
	int references = module_refcount(THIS_MODULE);
	unsigned int number, refused = 0;
	bool failed = true;
	struct file *vm;

	kunit_user_page(test);
	for (number = 1; failed && number < MANY; number++) {
		kunit_fail_allocation(number);
		vm = kunit_create_vm();
		failed = kunit_allocation_failed();
		refused += IS_ERR(vm);
		KUNIT_EXPECT_TRUE_MSG(test, !IS_ERR(vm) || failed, "allocation %u", number);
		kunit_close(vm);
		expect_nothing_left(test, references, number);
	}
	KUNIT_EXPECT_FALSE(test, failed);
	KUNIT_EXPECT_GT(test, refused, 0);
	kunit_info(test, "%u allocations, %u of them needed\n", number - 2, refused);
}

static void a_vcpu_that_cannot_be_made_leaves_nothing(struct kunit *test)
{
	int references = module_refcount(THIS_MODULE);
	unsigned int number, refused = 0;
	struct vapic_vm_common *object;
	struct file *vm, *vcpu;
	bool failed = true;

	kunit_user_page(test);
	for (number = 1; failed && number < MANY; number++) {
		vm = kunit_create_vm();
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm);
		KUNIT_EXPECT_EQ(test, kunit_ioctl(vm, KVM_CREATE_IRQCHIP, 0), 0);

		/* From the first on, the VM's tables are there. */
		kunit_fail_allocation(number);
		vcpu = kunit_create_vcpu(vm, 0);
		failed = kunit_allocation_failed();
		KUNIT_EXPECT_TRUE_MSG(test, !IS_ERR(vcpu) || failed, "allocation %u", number);
		if (IS_ERR(vcpu)) {
			refused++;
			object = list_first_entry_or_null(&vapic_vms, struct vapic_vm_common, node);
			if (object) {
				KUNIT_EXPECT_EQ_MSG(test, object->vcpu_count, 0, "allocation %u",
						    number);
				KUNIT_EXPECT_EQ_MSG(test, kref_read(&object->refs), 1,
						    "allocation %u", number);
			}
			/* There is no harm in trying again. */
			vcpu = kunit_create_vcpu(vm, 0);
		}
		KUNIT_EXPECT_FALSE_MSG(test, IS_ERR(vcpu), "allocation %u", number);
		if (!IS_ERR(vcpu))
			KUNIT_EXPECT_TRUE(
				test, vapic_apicv_active(
					      ((struct kvm_vcpu *)vcpu->private_data)->arch.apic));
		kunit_close(vcpu);
		kunit_close(vm);
		expect_nothing_left(test, references, number);
	}
	KUNIT_EXPECT_FALSE(test, failed);
	KUNIT_EXPECT_GT(test, refused, 2);
	kunit_info(test, "%u allocations, %u of them needed\n", number - 2, refused);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_vm_that_cannot_be_made_leaves_nothing),
	KUNIT_CASE(a_vcpu_that_cannot_be_made_leaves_nothing),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_create",
	.test_cases = cases,
};
kunit_test_suites(&suite);
