/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test program includes: the kernel's own kselftest harness (found
 * by include path, in the kernel source that KSRC names), the options -n and -s,
 * and the check that acceleration is as expected.
 */
#ifndef SELFTESTS_LIB_TEST_H
#define SELFTESTS_LIB_TEST_H

#include "kselftest_harness.h"

#include "accel.h"
#include "guest_apic.h"
#include "run.h"
#include "stats.h"

/* How many rounds to run; each program has a default that suits slow, emulated hosts. */
static unsigned int rounds;

/*
 * The first statement of every test, or of its fixture.  Where acceleration is not available,
 * test_main() has skipped all of them.
 */
#define REQUIRE_EXPECTED_ACCELERATION() do {				\
	const struct accel *accel_ = accel_check();			\
	ASSERT_EQ(ACCEL_OK, accel_->verdict)				\
		TH_LOG("%s", accel_->reason);				\
} while (0)

/* A known defect of the kernel under test: report it as XFAIL, which does not fail the run. */
#define EXPECTED_FAILURE(statement, fmt, ...) do {			\
	snprintf(_metadata->results->reason,				\
		 sizeof(_metadata->results->reason), fmt, ##__VA_ARGS__); \
	_metadata->exit_code = KSFT_XFAIL;				\
	_metadata->trigger = 0;						\
	statement;							\
} while (0)

/* The same for a defect by which vm_fail() ends the test, or which may not show in each run. */
#define MAY_FAIL(why)							\
	vm_expect_failure(_metadata->results->reason,			\
			  sizeof(_metadata->results->reason), why)

/* For a test in which acceleration comes and goes. */
#define MAY_LOSE_INTERRUPTS() do {					\
	if (accel_loses_interrupts())					\
		MAY_FAIL("stock KVM of this Linux loses interrupts when APICv comes and goes"); \
} while (0)

/* For a test with sleeping vCPUs, and IPIs to logical IDs of x2APIC mode. */
#define MAY_MISS_SLEEPERS() do {					\
	if (accel_misses_sleepers())					\
		MAY_FAIL("stock KVM of this Linux wakes nobody for a logical ID of x2APIC mode"); \
} while (0)

/* A remark in the TAP stream. */
#define NOTE(...) ksft_print_msg(__VA_ARGS__)

/* The harness allows a test 30 seconds, which fits the default number of rounds. */
static inline void allow_time_for_rounds(unsigned int default_rounds)
{
	for (struct __fixture_metadata *f = __fixture_list; f; f = f->next)
		for (struct __test_metadata *t = f->tests; t; t = t->next)
			t->timeout += t->timeout * (rounds / default_rounds);
}

/* Whether the harness is only asked what tests or options there are. */
static inline bool lists_tests(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "-l") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

/* Takes "-n ROUNDS" and "-s SEED" out of the arguments; the harness knows the others. */
static inline int test_main(int argc, char **argv, unsigned int default_rounds)
{
	int kept = 1;

	rounds = default_rounds;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-n") && i + 1 < argc)
			rounds = strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "-s") && i + 1 < argc)
			host_random_state = strtoull(argv[++i], NULL, 0);
		else
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	if (!rounds) {
		fprintf(stderr, "%s: -n needs a number above zero\n", argv[0]);
		return KSFT_FAIL;
	}
	if (!host_random_state) {
		fprintf(stderr, "%s: -s needs a number other than zero\n", argv[0]);
		return KSFT_FAIL;
	}
	allow_time_for_rounds(default_rounds);
	/* Probed here, once, since every test runs in a child of this process. */
	fprintf(stderr, "# %s\n", accel_check()->reason);
	if (accel_check()->verdict == ACCEL_UNAVAILABLE && !lists_tests(kept, argv)) {
		/* As kselftest has it if there is nothing that a program can test. */
		ksft_print_header();
		ksft_exit_skip("%s\n", accel_check()->reason);
	}
	return test_harness_run(kept, argv);
}

#define TEST_MAIN(default_rounds)					\
int main(int argc, char **argv)						\
{									\
	return test_main(argc, argv, default_rounds);			\
}

#endif
