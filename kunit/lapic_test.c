// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a local APIC, with either vendor: written as a whole by user space, set by INIT, handed
 * over by inhibits, and asked for a pending interrupt.
 */
#include <kunit/test.h>
#include <linux/uaccess.h>

#include <asm/apicdef.h>

#include <vapic/lapic_hot.h>

#include "../lapic/glue.h"
#include "vm.h"

static u32 in_image(struct kunit *test, const struct kunit_vm *vm, u32 offset)
{
	u32 value = 0;

	KUNIT_EXPECT_EQ(test, get_user(value, (u32 __user *)(vm->page + offset)), 0);
	return value;
}

static void put_in_image(struct kunit *test, const struct kunit_vm *vm, u32 offset, u32 value)
{
	KUNIT_EXPECT_EQ(test, put_user(value, (u32 __user *)(vm->page + offset)), 0);
}

static int get_state(const struct kunit_vm *vm, int number)
{
	return kunit_ioctl(vm->vcpu_files[number], KVM_GET_LAPIC, (unsigned long)vm->page);
}

static int set_state(const struct kunit_vm *vm, int number)
{
	return kunit_ioctl(vm->vcpu_files[number], KVM_SET_LAPIC, (unsigned long)vm->page);
}

static void update(struct kvm_vcpu *vcpu)
{
	kunit_vcpu_load(vcpu);
	vapic_hook___kvm_vcpu_update_apicv(vcpu);
	kunit_vcpu_put(vcpu);
}

static int pending(struct kvm_vcpu *vcpu)
{
	int ret;

	kunit_vcpu_load(vcpu);
	ret = vapic_hook_kvm_cpu_has_interrupt(vcpu);
	kunit_vcpu_put(vcpu);
	return ret;
}

static void a_state_comes_back_as_it_was_written(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct kvm_lapic *apic = vm->vcpus[1]->arch.apic;

	KUNIT_ASSERT_EQ(test, get_state(vm, 1), 0);
	KUNIT_EXPECT_EQ(test, in_image(test, vm, APIC_ID), 1 << 24);
	put_in_image(test, vm, APIC_SPIV, APIC_SPIV_APIC_ENABLED | 0xff);
	put_in_image(test, vm, APIC_TASKPRI, 0x30);
	/* Vectors 51h in service, 62h requested */
	put_in_image(test, vm, APIC_ISR + 0x20, BIT(0x51 % 32));
	put_in_image(test, vm, APIC_IRR + 0x30, BIT(0x62 % 32));
	put_in_image(test, vm, APIC_LVTT, APIC_LVT_TIMER_PERIODIC | 0x70);
	put_in_image(test, vm, APIC_TDCR, APIC_TDR_DIV_16);
	put_in_image(test, vm, APIC_TMICT, 0x10000000);
	put_in_image(test, vm, APIC_TMCCT, 0x08000000);
	KUNIT_EXPECT_EQ(test, set_state(vm, 1), 0);
	KUNIT_EXPECT_TRUE(test, apic->sw_enabled);
	KUNIT_EXPECT_TRUE(test, apic->irr_pending);
	KUNIT_EXPECT_EQ(test, apic->divide_count, 16);
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_EVENT, vm->vcpus[1]));

	KUNIT_EXPECT_EQ(test, get_state(vm, 1), 0);
	KUNIT_EXPECT_EQ(test, in_image(test, vm, APIC_TASKPRI), 0x30);
	KUNIT_EXPECT_EQ(test, in_image(test, vm, APIC_PROCPRI), 0x50);
	KUNIT_EXPECT_EQ(test, in_image(test, vm, APIC_ISR + 0x20), BIT(0x51 % 32));
	KUNIT_EXPECT_EQ(test, in_image(test, vm, APIC_IRR + 0x30), BIT(0x62 % 32));
	KUNIT_EXPECT_GT(test, in_image(test, vm, APIC_TMCCT), 0);
	KUNIT_EXPECT_LE(test, in_image(test, vm, APIC_TMCCT), 0x08000000);

	/* 62h is above what is in service; 41h would not be. */
	KUNIT_EXPECT_EQ(test, pending(vm->vcpus[1]), 1);
	put_in_image(test, vm, APIC_IRR + 0x30, 0);
	put_in_image(test, vm, APIC_IRR + 0x20, BIT(0x41 % 32));
	KUNIT_EXPECT_EQ(test, set_state(vm, 1), 0);
	KUNIT_EXPECT_EQ(test, pending(vm->vcpus[1]), 0);
}

/* In x2APIC mode the ID cannot be another; user space is told so, and nothing changes. */
static void a_state_with_a_wrong_id_changes_nothing(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct kvm_lapic *apic = vm->vcpus[1]->arch.apic;

	KUNIT_ASSERT_EQ(test, get_state(vm, 1), 0);
	vm->vcpus[1]->arch.apic_base |= X2APIC_ENABLE;
	put_in_image(test, vm, APIC_ID, 9 << 24);
	put_in_image(test, vm, APIC_TASKPRI, 0x70);
	vapic_lapic_set_irr(apic->regs, 0x62);
	KUNIT_EXPECT_EQ(test, set_state(vm, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, vapic_lapic_read(apic->regs, APIC_TASKPRI), 0);
	KUNIT_EXPECT_TRUE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x62));
	vm->vcpus[1]->arch.apic_base &= ~(u64)X2APIC_ENABLE;
}

static void init_empties_the_registers(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct kvm_lapic *apic = vm->vcpus[1]->arch.apic;

	vapic_lapic_set_irr(apic->regs, 0x62);
	vapic_lapic_write(apic->regs, APIC_TASKPRI, 0x40);
	vm->vcpus[1]->arch.pv.pv_unhalted = true;
	kunit_vcpu_load(vm->vcpus[1]);
	vapic_hook_kvm_lapic_reset(vm->vcpus[1], true);
	kunit_vcpu_put(vm->vcpus[1]);
	KUNIT_EXPECT_FALSE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x62));
	KUNIT_EXPECT_EQ(test, vapic_lapic_read(apic->regs, APIC_TASKPRI), 0);
	KUNIT_EXPECT_EQ(test, vapic_lapic_read(apic->regs, APIC_ID), 1 << 24);
	KUNIT_EXPECT_EQ(test, vapic_lapic_read(apic->regs, APIC_LVTT), APIC_LVT_MASKED);
	KUNIT_EXPECT_FALSE(test, apic->sw_enabled);
	KUNIT_EXPECT_FALSE(test, vm->vcpus[1]->arch.pv.pv_unhalted);
}

/* Each owner of the page finds its own copies right. */
static void the_page_is_handed_over_with_its_copies(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct kvm_vcpu *vcpu = vm->vcpus[1];
	struct kvm_lapic *apic = vcpu->arch.apic;

	update(vcpu);
	KUNIT_ASSERT_TRUE(test, vapic_apicv_active(apic));
	KUNIT_EXPECT_EQ(test, apic->isr_count, 1);
	KUNIT_ASSERT_EQ(test, get_state(vm, 1), 0);
	put_in_image(test, vm, APIC_ISR + 0x20, BIT(0x51 % 32) | BIT(0x42 % 32));
	put_in_image(test, vm, APIC_IRR + 0x30, BIT(0x62 % 32));
	KUNIT_ASSERT_EQ(test, set_state(vm, 1), 0);
	KUNIT_EXPECT_EQ(test, apic->isr_count, 1);

	kunit_set_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, true);
	kvm_clear_request(KVM_REQ_EVENT, vcpu);
	update(vcpu);
	KUNIT_EXPECT_FALSE(test, vapic_apicv_active(apic));
	KUNIT_EXPECT_EQ(test, apic->isr_count, 2);
	KUNIT_EXPECT_EQ(test, apic->highest_isr_cache, -1);
	KUNIT_EXPECT_TRUE(test, apic->irr_pending);
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_EVENT, vcpu));

	/* The guest has lowered TPR to where 51h, in service, is the priority. */
	vapic_lapic_write(apic->regs, APIC_PROCPRI, 0xf0);
	kunit_set_inhibit(vm->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, false);
	update(vcpu);
	KUNIT_EXPECT_TRUE(test, vapic_apicv_active(apic));
	KUNIT_EXPECT_EQ(test, apic->isr_count, 1);
	KUNIT_EXPECT_EQ(test, vapic_lapic_read(apic->regs, APIC_PROCPRI), 0x50);
	KUNIT_EXPECT_TRUE(test, vapic_lapic_test(apic->regs, VAPIC_LAPIC_IRR, 0x62));
}

static void an_apic_that_is_off_has_nothing_pending(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct kvm_vcpu *vcpu = vm->vcpus[1];

	update(vcpu);
	KUNIT_EXPECT_EQ(test, pending(vcpu), 0);
	KUNIT_ASSERT_EQ(test, get_state(vm, 1), 0);
	put_in_image(test, vm, APIC_IRR + 0x30, BIT(0x62 % 32));
	KUNIT_ASSERT_EQ(test, set_state(vm, 1), 0);
	KUNIT_EXPECT_EQ(test, pending(vcpu), 1);
	vcpu->arch.apic_base &= ~(u64)MSR_IA32_APICBASE_ENABLE;
	KUNIT_EXPECT_EQ(test, pending(vcpu), 0);
	vcpu->arch.apic_base |= MSR_IA32_APICBASE_ENABLE;
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_state_comes_back_as_it_was_written),
	KUNIT_CASE(a_state_with_a_wrong_id_changes_nothing),
	KUNIT_CASE(init_empties_the_registers),
	KUNIT_CASE(the_page_is_handed_over_with_its_copies),
	KUNIT_CASE(an_apic_that_is_off_has_nothing_pending),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_lapic",
	.test_cases = cases,
};
kunit_test_suites(&suite);
