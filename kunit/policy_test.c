// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may be accelerated: core as this kernel's compiler flags make it, through the functions that
 * the glue calls. tests/core/eligibility_test.cpp goes through all cases on the build machine.
 */
#include <kunit/test.h>

#include <vapic/eligibility.h>

static const struct vapic_avic_host good_avic = {
	.family = 0x19, .avic = true, .x2avic = true, .zen4 = true, .nested_paging = true};
static const struct vapic_vmx_host good_vmx = {
	.apicv = true, .ipiv = true, .tpr_shadow = true, .used = true};
static const struct vapic_avic_candidate good_vcpu = {.apic_in_kernel = true, .id = 3, .ids = 512};

/* Call @decide with @good, of which one member has another value. */
#define DECIDE(decide, type, good, ...)                                                            \
	({                                                                                         \
		struct type changed = good;                                                        \
		changed.__VA_ARGS__;                                                               \
		decide(&changed);                                                                  \
	})
#define AVIC_HOST(...) DECIDE(vapic_avic_host_decision, vapic_avic_host, good_avic, __VA_ARGS__)
#define VMX_HOST(...) DECIDE(vapic_vmx_host_decision, vapic_vmx_host, good_vmx, __VA_ARGS__)
#define VCPU(...) DECIDE(vapic_avic_vcpu_decision, vapic_avic_candidate, good_vcpu, __VA_ARGS__)

static void refuses_machines_that_cannot(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vapic_avic_host_decision(&good_avic), VAPIC_ACCELERATED);
	KUNIT_EXPECT_EQ(test, AVIC_HOST(avic = false), VAPIC_NO_AVIC);
	KUNIT_EXPECT_EQ(test, AVIC_HOST(nested_paging = false), VAPIC_NO_NESTED_PAGING);
	KUNIT_EXPECT_EQ(test, AVIC_HOST(snp = true), VAPIC_SNP_HOST);
	KUNIT_EXPECT_EQ(test, AVIC_HOST(x2avic = false), VAPIC_ACCELERATED);

	KUNIT_EXPECT_EQ(test, vapic_vmx_host_decision(&good_vmx), VAPIC_ACCELERATED);
	KUNIT_EXPECT_EQ(test, VMX_HOST(apicv = false), VAPIC_NO_APICV);
	KUNIT_EXPECT_EQ(test, VMX_HOST(tpr_shadow = false), VAPIC_NO_TPR_SHADOW);
	KUNIT_EXPECT_EQ(test, VMX_HOST(used = false), VAPIC_APICV_UNUSED);
	KUNIT_EXPECT_EQ(test, VMX_HOST(ipiv = false), VAPIC_ACCELERATED);
}

static void leaves_out_vcpus_that_cannot(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vapic_avic_vcpu_decision(&good_vcpu), VAPIC_ACCELERATED);
	KUNIT_EXPECT_EQ(test, VCPU(apic_in_kernel = false), VAPIC_NO_APIC);
	KUNIT_EXPECT_EQ(test, VCPU(inhibited = true), VAPIC_INHIBITED);
	KUNIT_EXPECT_EQ(test, VCPU(encryption = VAPIC_ENCRYPTED), VAPIC_SEV);
	KUNIT_EXPECT_EQ(test, VCPU(encryption = VAPIC_ENCRYPTED_STATE), VAPIC_SEV_ES);
	KUNIT_EXPECT_EQ(test, VCPU(encryption = VAPIC_ENCRYPTED_NESTED), VAPIC_SEV_SNP);
	KUNIT_EXPECT_EQ(test, VCPU(id = 511), VAPIC_ACCELERATED);
	KUNIT_EXPECT_EQ(test, VCPU(id = 512), VAPIC_ID_BEYOND_TABLE);
	KUNIT_EXPECT_EQ(test, vapic_vmx_vcpu_decision(false), VAPIC_NO_APIC);
	KUNIT_EXPECT_EQ(test, vapic_vmx_vcpu_decision(true), VAPIC_ACCELERATED);
}

static void knows_what_a_processor_can_name(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vapic_avic_ids(&good_avic), 512);
	KUNIT_EXPECT_EQ(test, DECIDE(vapic_avic_ids, vapic_avic_host, good_avic, x2avic = false),
			255);
	KUNIT_EXPECT_EQ(test, DECIDE(vapic_avic_ids, vapic_avic_host, good_avic, x2avic_ext = true),
			4096);
	KUNIT_EXPECT_FALSE(test, vapic_avic_hides_running(&good_avic));
	KUNIT_EXPECT_TRUE(
		test, DECIDE(vapic_avic_hides_running, vapic_avic_host, good_avic, family = 0x17));
}

static void has_words_for_every_decision(struct kunit *test)
{
	int decision, other;

	for (decision = 0; decision < VAPIC_DECISIONS; decision++) {
		const char *name = vapic_decision_name(decision);

		KUNIT_ASSERT_NOT_NULL(test, name);
		KUNIT_EXPECT_NOT_NULL(test, vapic_decision_reason(decision));
		KUNIT_EXPECT_EQ(test, strcspn(name, " =,\n"), strlen(name));
		for (other = 0; other < decision; other++)
			KUNIT_EXPECT_STRNEQ(test, name, vapic_decision_name(other));
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(refuses_machines_that_cannot),
	KUNIT_CASE(leaves_out_vcpus_that_cannot),
	KUNIT_CASE(knows_what_a_processor_can_name),
	KUNIT_CASE(has_words_for_every_decision),
	{},
};

static struct kunit_suite suite = {
	.name = "vapic_policy",
	.test_cases = cases,
};
kunit_test_suites(&suite);
