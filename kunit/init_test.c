// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps of init and exit. vapic has taken over KVM when the suite starts, and has again when it
 * ends; in between, each step is the last that succeeds once, and each allocation fails once. What
 * KVM is like then is compared with what it was before vapic took over anything.
 */
#include "../takeover/init.c"
#include "../takeover/redirect.c"

#include <kunit/test.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/text-patching.h>

#include "fail.h"
#include "log.h"
#include "vm.h"

#define MAX_ROWS 64

/* All that vapic changes of KVM, as it is at one moment. */
struct picture {
	struct kvm_x86_ops ops;
	void *calls[MAX_ROWS];
	u8 sites[MAX_ROWS][CALL_INSN_SIZE];
	bool switches[MAX_ROWS];
	bool enable_apicv;
	int references;
	unsigned int stuck;
};

static struct picture stock, ours;

static void take(struct picture *picture)
{
	const struct vapic_takeovers *all = vapic_vendor->takeovers;
	unsigned int i;

	memset(picture, 0, sizeof(*picture));
	memcpy(&picture->ops, &vapic_data(kvm_x86_ops), sizeof(picture->ops));
	picture->calls[MAX_ROWS - 1] = READ_ONCE(vapic_gate_op.key->func);
	for (i = 0; i < all->op_count; i++)
		picture->calls[i] = READ_ONCE(all->ops[i].key->func);
	for (i = 0; i < all->redirect_count; i++)
		copy_from_kernel_nofault(picture->sites[i], (void *)all->redirects[i].site,
					 sizeof(picture->sites[i]));
	for (i = 0; i < all->switch_count; i++)
		picture->switches[i] = all->switches[i].is_set();
	picture->enable_apicv = READ_ONCE(vapic_data(enable_apicv));
	picture->references = module_refcount(vendor_module);
	picture->stuck = vapic_redirects_stuck();
}

static void expect_same(struct kunit *test, const struct picture *wanted, const char *when)
{
	struct picture *now = kunit_kzalloc(test, sizeof(*now), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, now);
	take(now);
	KUNIT_EXPECT_MEMEQ_MSG(test, &now->ops, &wanted->ops, sizeof(now->ops), "%s", when);
	KUNIT_EXPECT_MEMEQ_MSG(test, now->calls, wanted->calls, sizeof(now->calls), "%s", when);
	KUNIT_EXPECT_MEMEQ_MSG(test, now->sites, wanted->sites, sizeof(now->sites), "%s", when);
	KUNIT_EXPECT_MEMEQ_MSG(test, now->switches, wanted->switches, sizeof(now->switches), "%s",
			       when);
	KUNIT_EXPECT_EQ_MSG(test, now->enable_apicv, wanted->enable_apicv, "%s", when);
	KUNIT_EXPECT_EQ_MSG(test, now->references, wanted->references, "%s", when);
	KUNIT_EXPECT_EQ_MSG(test, now->stuck, 0, "%s", when);
	kunit_kfree(test, now);
}

static unsigned int step_index(const char *name)
{
	unsigned int i;

	for (i = 0; i < step_count && strcmp(steps[i].name, name); i++)
		;
	return i;
}

/*
 * ftrace leaves dangling pointers in an ops whose filter it has freed. The module never uses one
 * again, but is loaded anew; here make those of steps that are not entered what they are then.
 */
static void renew(unsigned int entered)
{
	const struct vapic_takeovers *all = vapic_vendor ? vapic_vendor->takeovers : NULL;
	unsigned int i;

	if (entered <= step_index("ftrace"))
		hold = (struct ftrace_ops){.func = hold_call, .flags = FTRACE_OPS_FL_PERMANENT};
	if (all && entered <= step_index("takeovers"))
		for (i = 0; i < all->redirect_count; i++)
			memset(&all->redirects[i].ops, 0, sizeof(all->redirects[i].ops));
}

static void leave(unsigned int count)
{
	leave_steps(count);
	renew(0);
}

/* As vapic_init() does. */
static int enter_steps(unsigned int count)
{
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		ret = steps[i].enter();
		if (ret) {
			leave(i);
			return ret;
		}
	}
	return 0;
}

static int exit_once(struct kunit_suite *suite)
{
	if (steps != takeover || step_count != ARRAY_SIZE(takeover))
		return -EINVAL;
	take(&ours);
	leave(step_count);
	take(&stock);
	return 0;
}

static void enter_again(struct kunit_suite *suite)
{
	if (enter_steps(step_count)) {
		pr_err("vapic: cannot take over again\n");
		step_count = 0;
	}
}

static void exit_leaves_nothing_of_vapic(struct kunit *test)
{
	const struct vapic_takeovers *all = vapic_vendor->takeovers;
	unsigned int i;

	for (i = 0; i < all->op_count; i++) {
		KUNIT_EXPECT_FALSE_MSG(test, vapic_op_in_place(&all->ops[i]), "%s",
				       all->ops[i].name);
		KUNIT_EXPECT_PTR_NE_MSG(test, stock.calls[i], all->ops[i].replacement, "%s",
					all->ops[i].name);
	}
	KUNIT_EXPECT_FALSE(test, vapic_op_in_place(&vapic_gate_op));
	for (i = 0; i < all->redirect_count; i++)
		KUNIT_EXPECT_FALSE_MSG(test, vapic_redirect_in_place(&all->redirects[i]), "%s",
				       all->redirects[i].name);
	KUNIT_EXPECT_EQ(test, ours.references, stock.references + 1);
	KUNIT_EXPECT_NE(test, memcmp(&ours.ops, &stock.ops, sizeof(ours.ops)), 0);
	KUNIT_EXPECT_NE(test, memcmp(ours.sites, stock.sites, sizeof(ours.sites)), 0);
}

/* Else the tests that count on it would pass without a failure. */
static void an_allocation_fails_when_it_is_to(struct kunit *test)
{
	void *first, *second;

	kunit_fail_allocation(2);
	first = kmalloc(32, GFP_KERNEL);
	second = kmalloc(32, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, kunit_allocation_failed());
	KUNIT_EXPECT_NOT_NULL(test, first);
	KUNIT_EXPECT_PTR_EQ(test, second, NULL);
	kfree(first);
	kfree(second);
}

static void steps_are_undone_from_wherever_init_got_to(struct kunit *test)
{
	unsigned int count;

	for (count = 1; count <= step_count; count++) {
		KUNIT_ASSERT_EQ_MSG(test, enter_steps(count), 0, "%s", steps[count - 1].name);
		leave(count);
		expect_same(test, &stock, steps[count - 1].name);
	}
}

static void name_step(const struct step *step, char *name)
{
	strscpy(name, step->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(step, takeover, name_step);

/*
 * The steps before it stay entered; the step itself is entered with one allocation after the other
 * failing, until it needs no more. A failure must have changed nothing, so that the next attempt
 * starts as the first did, and one line must say that it was one.
 */
static void step_changes_nothing_if_an_allocation_fails(struct kunit *test)
{
	const struct step *step = test->param_value;
	unsigned int before = step - takeover, number, tried = 0, refused = 0;
	struct picture *there = kunit_kzalloc(test, sizeof(*there), GFP_KERNEL);
	const char *said;
	bool failed = true;
	unsigned int lines;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, there);
	KUNIT_ASSERT_EQ(test, enter_steps(before), 0);
	take(there);
	kunit_log_errors(&said);
	for (number = 1; failed && number < 4000; number = kunit_next_allocation(number)) {
		kunit_fail_allocation(number);
		ret = step->enter();
		failed = kunit_allocation_failed();
		tried += failed;
		lines = kunit_log_errors(&said);
		KUNIT_EXPECT_EQ_MSG(test, lines, ret ? 1 : 0, "allocation %u, error %d: %s", number,
				    ret, said);
		if (ret) {
			refused++;
			KUNIT_EXPECT_TRUE_MSG(test, failed, "error %d without a cause", ret);
			expect_same(test, there, step->name);
		} else if (step->leave) {
			step->leave();
		}
		renew(before);
	}
	KUNIT_EXPECT_FALSE(test, failed);
	leave(before);
	expect_same(test, &stock, step->name);
	kunit_info(test, "%s: %u allocations failed, %u of them were needed\n", step->name, tried,
		   refused);
}

/* Exit cannot be refused, so that it must not need what it allocates. */
static void exit_leaves_nothing_if_an_allocation_fails(struct kunit *test)
{
	unsigned int number;
	bool failed = true;
	const char *said;

	for (number = 1; failed && number < 100; number++) {
		KUNIT_ASSERT_EQ(test, enter_steps(step_count), 0);
		kunit_log_errors(&said);
		kunit_fail_allocation(number);
		leave(step_count);
		failed = kunit_allocation_failed();
		KUNIT_EXPECT_EQ_MSG(test, kunit_log_errors(&said), 0, "%s", said);
		expect_same(test, &stock, "left");
	}
	KUNIT_EXPECT_FALSE(test, failed);
	kunit_info(test, "%u allocations\n", number - 2);
}

static void init_refuses_while_a_vm_exists(struct kunit *test)
{
	struct file *vm;

	kunit_user_page(test);
	vm = kunit_create_vm();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm);
	KUNIT_EXPECT_EQ(test, enter_steps(step_count), -EBUSY);
	kunit_close(vm);
	expect_same(test, &stock, "no VM any more");
}

static void verification_notices_an_op_that_somebody_changed(struct kunit *test)
{
	unsigned int before = step_index("verification");
	struct vapic_op *op = &vapic_vendor->takeovers->ops[0];
	void **member = (void **)((char *)&vapic_data(kvm_x86_ops) + op->offset);

	KUNIT_ASSERT_EQ(test, enter_steps(before), 0);
	KUNIT_EXPECT_EQ(test, verify_takeovers(), 0);
	WRITE_ONCE(*member, op->stock_pointer);
	KUNIT_EXPECT_EQ(test, verify_takeovers(), -EIO);
	WRITE_ONCE(*member, op->replacement);
	KUNIT_EXPECT_EQ(test, verify_takeovers(), 0);
	leave(before);
	expect_same(test, &stock, "left");
}

static void verification_notices_a_function_that_runs_stock_code(struct kunit *test)
{
	unsigned int before = step_index("verification");
	struct vapic_redirect *redirect = &vapic_vendor->takeovers->redirects[0];

	KUNIT_ASSERT_EQ(test, enter_steps(before), 0);
	vapic_redirect_remove(redirect);
	KUNIT_EXPECT_EQ(test, verify_takeovers(), -EAGAIN);
	KUNIT_EXPECT_EQ(test, vapic_redirect_install(redirect), 0);
	KUNIT_EXPECT_EQ(test, verify_takeovers(), 0);
	leave(before);
	expect_same(test, &stock, "left");
}

static void takes_over_nothing_if_the_parameter_says_so(struct kunit *test)
{
	const struct vapic_vendor *vendor = vapic_vendor;

	vapic_vendor = NULL;
	vapic_param_decide(vendor->parameter, false);
	KUNIT_EXPECT_EQ(test, choose_vendor(), 0);
	KUNIT_EXPECT_PTR_EQ(test, vapic_vendor, NULL);
	KUNIT_EXPECT_PTR_EQ(test, idle_reason, vendor->off);

	steps = idle;
	step_count = ARRAY_SIZE(idle);
	KUNIT_EXPECT_EQ(test, enter_steps(step_count), 0);
	leave(step_count);
	steps = takeover;
	step_count = ARRAY_SIZE(takeover);

	vapic_param_decide(vendor->parameter, true);
	KUNIT_EXPECT_EQ(test, choose_vendor(), 0);
	KUNIT_EXPECT_PTR_EQ(test, vapic_vendor, vendor);
	vapic_vendor = vendor;
	expect_same(test, &stock, "idle");
}

static void takes_over_the_same_again(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, enter_steps(step_count), 0);
	expect_same(test, &ours, "entered again");
	leave(step_count);
	expect_same(test, &stock, "left again");
}

static struct kunit_case cases[] = {
	KUNIT_CASE(exit_leaves_nothing_of_vapic),
	KUNIT_CASE(takes_over_the_same_again),
	KUNIT_CASE(an_allocation_fails_when_it_is_to),
	KUNIT_CASE(steps_are_undone_from_wherever_init_got_to),
	KUNIT_CASE_PARAM(step_changes_nothing_if_an_allocation_fails, step_gen_params),
	KUNIT_CASE(exit_leaves_nothing_if_an_allocation_fails),
	KUNIT_CASE(init_refuses_while_a_vm_exists),
	KUNIT_CASE(verification_notices_an_op_that_somebody_changed),
	KUNIT_CASE(verification_notices_a_function_that_runs_stock_code),
	KUNIT_CASE(takes_over_nothing_if_the_parameter_says_so),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_init",
	.suite_init = exit_once,
	.suite_exit = enter_again,
	.test_cases = cases,
};
kunit_test_suites(&suite);
