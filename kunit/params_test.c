// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parameters: what users may write, what is refused and in which words, and the failures that tests
 * ask for.
 */
#include "../takeover/params.c"

#include <kunit/test.h>

static struct param saved[ARRAY_SIZE(params)];
static unsigned int saved_fail_step;

static int keep(struct kunit *test)
{
	memcpy(saved, params, sizeof(saved));
	saved_fail_step = fail_step;
	return 0;
}

static void put_back(struct kunit *test)
{
	memcpy(params, saved, sizeof(saved));
	fail_step = saved_fail_step;
	WRITE_ONCE(fail_create, 0);
}

/* Write it as `insmod vapic.ko name=value` does; NULL for a name alone. */
static int give(enum vapic_param which, const char *value)
{
	const struct kernel_param param = {.name = params[which].name, .arg = &params[which]};

	return param_set(value, &param);
}

static void takes_every_spelling_of_on_and_off(struct kunit *test)
{
	static const char *const on[] = {"1", "y", "Y", "on", "t"};
	static const char *const off[] = {"0", "n", "N", "off", "f", "0\n"};
	int i;

	for (i = 0; i < ARRAY_SIZE(on); i++) {
		params[VAPIC_AVIC].value = false;
		KUNIT_EXPECT_EQ(test, give(VAPIC_AVIC, on[i]), 0);
		KUNIT_EXPECT_TRUE_MSG(test, vapic_param_on(VAPIC_AVIC), "%s", on[i]);
		KUNIT_EXPECT_EQ(test, vapic_params_check(), 0);
	}
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		params[VAPIC_AVIC].value = true;
		KUNIT_EXPECT_EQ(test, give(VAPIC_AVIC, off[i]), 0);
		KUNIT_EXPECT_FALSE_MSG(test, vapic_param_on(VAPIC_AVIC), "%s", off[i]);
		KUNIT_EXPECT_EQ(test, vapic_params_check(), 0);
	}
}

static void a_name_alone_means_on(struct kunit *test)
{
	params[VAPIC_ENABLE_IPIV].value = false;
	params[VAPIC_ENABLE_IPIV].given = false;
	KUNIT_EXPECT_FALSE(test, vapic_param_given(VAPIC_ENABLE_IPIV));
	KUNIT_EXPECT_EQ(test, give(VAPIC_ENABLE_IPIV, NULL), 0);
	KUNIT_EXPECT_TRUE(test, vapic_param_on(VAPIC_ENABLE_IPIV));
	KUNIT_EXPECT_TRUE(test, vapic_param_given(VAPIC_ENABLE_IPIV));
}

/* Init, and not the kernel's parser, says what is wrong; so the value must be kept until then. */
static void refuses_other_values_at_init(struct kunit *test)
{
	static const char *const bad[] = {"maybe", "2", "", "a value longer than the room for it"};
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ(test, give(VAPIC_ENABLE_APICV, bad[i]), 0);
		KUNIT_EXPECT_EQ_MSG(test, vapic_params_check(), -EINVAL, "'%s'", bad[i]);
		/* The last one counts. */
		KUNIT_EXPECT_EQ(test, give(VAPIC_ENABLE_APICV, "1"), 0);
		KUNIT_EXPECT_EQ(test, vapic_params_check(), 0);
	}
	KUNIT_EXPECT_EQ(test, give(VAPIC_ENABLE_APICV, ""), 0);
	KUNIT_EXPECT_STREQ(test, params[VAPIC_ENABLE_APICV].refused, "''");
	KUNIT_EXPECT_EQ(test, give(VAPIC_ENABLE_APICV, bad[3]), 0);
	KUNIT_EXPECT_EQ(test, strlen(params[VAPIC_ENABLE_APICV].refused),
			sizeof(params[VAPIC_ENABLE_APICV].refused) - 1);
}

static void only_avic_may_be_auto(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, give(VAPIC_AVIC, "auto\n"), 0);
	KUNIT_EXPECT_TRUE(test, vapic_param_auto(VAPIC_AVIC));
	KUNIT_EXPECT_EQ(test, vapic_params_check(), 0);
	vapic_param_decide(VAPIC_AVIC, false);
	KUNIT_EXPECT_FALSE(test, vapic_param_on(VAPIC_AVIC));

	KUNIT_EXPECT_EQ(test, give(VAPIC_AVIC, "1"), 0);
	KUNIT_EXPECT_FALSE(test, vapic_param_auto(VAPIC_AVIC));
	KUNIT_EXPECT_TRUE(test, vapic_param_on(VAPIC_AVIC));

	KUNIT_EXPECT_EQ(test, give(VAPIC_ENABLE_IPIV, "auto"), 0);
	KUNIT_EXPECT_FALSE(test, vapic_param_auto(VAPIC_ENABLE_IPIV));
	KUNIT_EXPECT_EQ(test, vapic_params_check(), -EINVAL);
}

static void refuses_a_parameter_of_the_other_vendor(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(params); i++)
		params[i].given = false;
	KUNIT_EXPECT_EQ(test, vapic_params_refuse_others(&vapic_svm), 0);
	KUNIT_EXPECT_EQ(test, vapic_params_refuse_others(&vapic_vmx), 0);

	params[VAPIC_AVIC].given = true;
	KUNIT_EXPECT_EQ(test, vapic_params_refuse_others(&vapic_svm), 0);
	KUNIT_EXPECT_EQ(test, vapic_params_refuse_others(&vapic_vmx), -EINVAL);

	params[VAPIC_AVIC].given = false;
	params[VAPIC_ENABLE_APICV].given = true;
	KUNIT_EXPECT_EQ(test, vapic_params_refuse_others(&vapic_svm), -EINVAL);
	KUNIT_EXPECT_EQ(test, vapic_params_refuse_others(&vapic_vmx), 0);

	/* It is of both. */
	params[VAPIC_ENABLE_APICV].given = false;
	params[VAPIC_ENABLE_IPIV].given = true;
	KUNIT_EXPECT_EQ(test, vapic_params_refuse_others(&vapic_svm), 0);
	KUNIT_EXPECT_EQ(test, vapic_params_refuse_others(&vapic_vmx), 0);
}

static void shows_y_and_n(struct kunit *test)
{
	const struct kernel_param param = {.arg = &params[VAPIC_AVIC]};
	char *page = (char *)__get_free_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	params[VAPIC_AVIC].value = true;
	KUNIT_EXPECT_EQ(test, param_get(page, &param), 2);
	KUNIT_EXPECT_STREQ(test, page, "Y\n");
	params[VAPIC_AVIC].value = false;
	KUNIT_EXPECT_EQ(test, param_get(page, &param), 2);
	KUNIT_EXPECT_STREQ(test, page, "N\n");
	free_page((unsigned long)page);
}

static void one_allocation_of_creation_fails_on_request(struct kunit *test)
{
	int i;

	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_FALSE(test, vapic_create_should_fail());
	WRITE_ONCE(fail_create, 3);
	KUNIT_EXPECT_FALSE(test, vapic_create_should_fail());
	KUNIT_EXPECT_FALSE(test, vapic_create_should_fail());
	KUNIT_EXPECT_TRUE(test, vapic_create_should_fail());
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_FALSE(test, vapic_create_should_fail());
	KUNIT_EXPECT_EQ(test, READ_ONCE(fail_create), 0);
	WRITE_ONCE(fail_create, -1);
	KUNIT_EXPECT_FALSE(test, vapic_create_should_fail());
}

static struct kunit_case cases[] = {
	KUNIT_CASE(takes_every_spelling_of_on_and_off),
	KUNIT_CASE(a_name_alone_means_on),
	KUNIT_CASE(refuses_other_values_at_init),
	KUNIT_CASE(only_avic_may_be_auto),
	KUNIT_CASE(refuses_a_parameter_of_the_other_vendor),
	KUNIT_CASE(shows_y_and_n),
	KUNIT_CASE(one_allocation_of_creation_fails_on_request),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_params",
	.init = keep,
	.exit = put_back,
	.test_cases = cases,
};
kunit_test_suites(&suite);
