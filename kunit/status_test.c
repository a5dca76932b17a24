// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /sys/kernel/vapic/vcpus says, to whom, and what it does without memory.
 */
#include "../kvm/status.c"

#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/pid_namespace.h>

#include "fail.h"
#include "vm.h"

static const char *never_name;

static void fake_counts(struct vapic_vcpu_common *vcpu, u64 *counts)
{
	counts[0] = 7;
	counts[1] = vcpu->kvm_vcpu->vcpu_id;
}

static const char *fake_never(struct vapic_vcpu_common *vcpu)
{
	return never_name;
}

static const struct vapic_status_ops fake = {
	.never = fake_never,
	.counts = fake_counts,
	.count_names = {"seven", "id"},
};

static const struct vapic_viewer everybody = {.all = true, .pids = &init_pid_ns};

static char text[4096];

static int write_all(const struct vapic_viewer *viewer, size_t room)
{
	struct seq_buf s;
	int ret;

	memset(text, 0, sizeof(text));
	seq_buf_init(&s, text, room);
	ret = vapic_status_vms(&s, viewer, &fake);
	return ret ?: seq_buf_has_overflowed(&s);
}

static void says_nothing_without_a_vm(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, write_all(&everybody, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "");
}

static void has_a_line_for_the_vm_and_for_each_vcpu(struct kunit *test)
{
	int pid = task_tgid_nr(current);
	char wanted[300];

	kunit_vm(test);
	never_name = NULL;
	KUNIT_EXPECT_EQ(test, write_all(&everybody, sizeof(text)), 0);
	scnprintf(wanted, sizeof(wanted),
		  "pid=%d vm active=1 inhibits=- off=-\n"
		  "pid=%d vcpu=0 active=1 inhibits=- seven=7 id=0\n"
		  "pid=%d vcpu=1 active=1 inhibits=- seven=7 id=1\n",
		  pid, pid, pid);
	KUNIT_EXPECT_STREQ(test, text, wanted);
}

static void names_inhibits_and_why_a_vcpu_is_never_accelerated(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);

	vm->kvm->arch.apicv_inhibit_reasons = BIT(APICV_INHIBIT_REASON_HYPERV) |
					      BIT(APICV_INHIBIT_REASON_BLOCKIRQ);
	never_name = "because";
	KUNIT_EXPECT_EQ(test, write_all(&everybody, sizeof(text)), 0);
	vm->kvm->arch.apicv_inhibit_reasons = 0;
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, " vm active=0 inhibits=HYPERV,BLOCKIRQ off=-\n"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, " vcpu=1 active=1 inhibits=HYPERV,BLOCKIRQ "
						 "seven=7 id=1 never=because\n"));
}

static void shows_a_vm_to_its_owner_and_to_no_other_user(struct kunit *test)
{
	struct vapic_viewer owner = {.uid = current_euid(), .pids = &init_pid_ns};
	struct vapic_viewer other = {.uid = KUIDT_INIT(1000), .pids = &init_pid_ns};

	kunit_vm(test);
	KUNIT_EXPECT_EQ(test, write_all(&owner, sizeof(text)), 0);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, " vm "));
	KUNIT_EXPECT_EQ(test, write_all(&other, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "");
}

/* The caller then comes with more room. */
static void says_that_there_was_too_little_room(struct kunit *test)
{
	kunit_vm(test);
	KUNIT_EXPECT_EQ(test, write_all(&everybody, 20), 1);
}

static void fails_without_memory(struct kunit *test)
{
	struct kunit_vm *vm = kunit_vm(test);
	struct file *vcpus[17] = {};
	unsigned int number, refused = 0;
	bool failed = true;
	int i, ret;

	/* More vCPUs than it has room for at first. */
	for (i = 2; i < ARRAY_SIZE(vcpus); i++)
		vcpus[i] = kunit_create_vcpu(vm->file, i);
	for (number = 1; failed && number < 100; number++) {
		kunit_fail_allocation(number);
		ret = write_all(&everybody, sizeof(text));
		failed = kunit_allocation_failed();
		KUNIT_EXPECT_TRUE_MSG(test, !ret || failed, "allocation %u", number);
		if (ret) {
			refused++;
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		}
	}
	KUNIT_EXPECT_EQ(test, refused, 2);
	KUNIT_EXPECT_FALSE(test, failed);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, " vcpu=16 "));
	for (i = 2; i < ARRAY_SIZE(vcpus); i++) {
		KUNIT_EXPECT_FALSE(test, IS_ERR(vcpus[i]));
		kunit_close(vcpus[i]);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(says_nothing_without_a_vm),
	KUNIT_CASE(has_a_line_for_the_vm_and_for_each_vcpu),
	KUNIT_CASE(names_inhibits_and_why_a_vcpu_is_never_accelerated),
	KUNIT_CASE(shows_a_vm_to_its_owner_and_to_no_other_user),
	KUNIT_CASE(says_that_there_was_too_little_room),
	KUNIT_CASE(fails_without_memory),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_status",
	.test_cases = cases,
};
kunit_test_suites(&suite);
