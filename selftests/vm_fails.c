// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library of these tests fails a test when it must: what goes wrong in a guest, in KVM or in
 * time ends the process as a failed test, and the report says what it was.
 */
#include "lib/test.h"

#include <stdio.h>
#include <sys/wait.h>

#include "lib/roles.h"

#define NO_HANDLER	0x91
#define NO_MEMORY	0xd0000000UL

static char report[65536];

/* Runs @body in a process of its own; its standard error is in report afterwards. */
static int status_of(void (*body)(void))
{
	size_t length = 0;
	ssize_t got;
	int ends[2], status;
	pid_t child;

	if (pipe(ends))
		return -1;
	child = fork();
	if (!child) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		body();
		_exit(KSFT_PASS);
	}
	close(ends[1]);
	while ((got = read(ends[0], report + length, sizeof(report) - 1 - length)) > 0)
		length += got;
	report[length] = 0;
	close(ends[0]);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#define EXPECT_FAILS(body, words) do {						\
	EXPECT_EQ(KSFT_FAIL, status_of(body));					\
	EXPECT_NE(NULL, strstr(report, words))					\
		TH_LOG("the report lacks \"%s\": %s", words, report);		\
} while (0)

static struct vm *started(void (*function)(uint64_t))
{
	struct vm *vm = vm_create(0);

	vm_add_vcpu(vm, 0, function, 0);
	vm_start(vm);
	return vm;
}

static void guest_waits(uint64_t unused)
{
	(void)unused;
	guest_wait(false);
}

static void guest_returns(uint64_t unused)
{
	(void)unused;
}

static void guest_asserts(uint64_t unused)
{
	(void)unused;
	GUEST_ASSERT_EQ(guest_self()->index + 7, 8);
}

static void guest_writes_nowhere(uint64_t unused)
{
	(void)unused;
	*(volatile uint32_t *)NO_MEMORY = 1;
}

static void run_to_the_end(void)
{
	vm_join(started(guest_returns));
}

static void assert_in_the_guest(void)
{
	vm_join(started(guest_asserts));
}

static void write_nowhere(void)
{
	vm_join(started(guest_writes_nowhere));
}

static void send_what_no_handler_takes(void)
{
	struct vm *vm = vm_create(0);

	roles_begin();
	vm_add_vcpu(vm, 0, role_spinner, 1);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	vm_send_msi(vm, 0, NO_HANDLER);
	vm_join(vm);
}

static void wait_too_long(void)
{
	setenv("VAPIC_TIMEOUT", "1", 1);
	vm_join(started(guest_waits));
}

static void take_a_word_for_a_time(void)
{
	setenv("VAPIC_TIMEOUT", "soon", 1);
	vm_join(started(guest_returns));
}

static void ask_kvm_for_too_much(void)
{
	struct kvm_msi msi = { .flags = ~0U };

	vm_ioctl(vm_create(0), KVM_SIGNAL_MSI, &msi);
}

TEST(nothing_fails_if_all_is_well)
{
	REQUIRE_EXPECTED_ACCELERATION();
	EXPECT_EQ(KSFT_PASS, status_of(run_to_the_end));
	EXPECT_STREQ("", report);
}

TEST(guest_assertion_fails_the_test)
{
	REQUIRE_EXPECTED_ACCELERATION();
	EXPECT_FAILS(assert_in_the_guest, "guest assertion on vcpu 0");
	EXPECT_NE(NULL, strstr(report, "guest_self()->index + 7 == 8 (a 7, b 8)"))
		TH_LOG("%s", report);
}

TEST(access_to_no_memory_fails_the_test)
{
	REQUIRE_EXPECTED_ACCELERATION();
	EXPECT_FAILS(write_nowhere, "vcpu 0: write of unmapped address d0000000");
}

TEST(interrupt_without_a_handler_fails_the_test)
{
	REQUIRE_EXPECTED_ACCELERATION();
	EXPECT_FAILS(send_what_no_handler_takes, "guest assertion on vcpu 0");
}

TEST(wait_without_end_fails_the_test)
{
	REQUIRE_EXPECTED_ACCELERATION();
	EXPECT_FAILS(wait_too_long, "timed out waiting until all guest functions return");
	EXPECT_NE(NULL, strstr(report, "in KVM_RUN"))
		TH_LOG("no state of the vCPU: %s", report);
}

TEST(timeout_that_is_no_number_fails_the_test)
{
	REQUIRE_EXPECTED_ACCELERATION();
	EXPECT_FAILS(take_a_word_for_a_time, "VAPIC_TIMEOUT: 'soon' is no number of seconds");
}

TEST(ioctl_that_kvm_refuses_fails_the_test)
{
	REQUIRE_EXPECTED_ACCELERATION();
	EXPECT_FAILS(ask_kvm_for_too_much, "KVM_SIGNAL_MSI: Invalid argument");
}

TEST_MAIN(1)
