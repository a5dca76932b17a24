// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users see of acceleration: the parameters of the modules, and /sys/kernel/vapic, say what is
 * so, are whole, show to each user their own VMs, and can be written by nobody, root or not.  Stock
 * KVM has parameters alone.
 */
#include "lib/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/roles.h"

#define STATUS	"/sys/kernel/vapic/"
#define VCPUS	STATUS "vcpus"
#define NOBODY	65534

static char text[1 << 20], again[1 << 20];

/* All of a file, read in pieces; returns its length, or -1. */
static ssize_t read_file(const char *path, char *into, size_t size, size_t piece)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -1;
	while (length + piece < size && (got = read(fd, into + length, piece)) > 0)
		length += got;
	close(fd);
	into[length] = 0;
	return got < 0 ? -1 : (ssize_t)length;
}

static bool read_text(const char *path)
{
	return read_file(path, text, sizeof(text), 4096) >= 0;
}

/* A module's parameter as it is shown, or 0 if there is none. */
static char shown(const char *module, const char *parameter)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, parameter);
	return read_text(path) ? text[0] : 0;
}

static bool is_yes(char c)
{
	return c == 'Y' || c == 'y' || c == '1';
}

static void expect_read_only(struct __test_metadata *_metadata, const char *path)
{
	struct stat status;
	int fd;

	ASSERT_EQ(0, stat(path, &status))
		TH_LOG("%s: %s", path, strerror(errno));
	EXPECT_EQ(0444, status.st_mode & 0777)
		TH_LOG("%s", path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	EXPECT_EQ(-1, fd)
		TH_LOG("%s can be opened for writing", path);
	if (fd >= 0)
		close(fd);
}

TEST(parameters_say_what_is_so)
{
	static const struct { const char *module, *parameter; } vendors[] = {
		{ "kvm_amd", "avic" }, { "kvm_intel", "enable_apicv" },
	};
	unsigned int found = 0;

	REQUIRE_EXPECTED_ACCELERATION();
	for (unsigned int i = 0; i < 2; i++) {
		char stock = shown(vendors[i].module, vendors[i].parameter);

		if (!stock)
			continue;
		found++;
		/* Under vapic, too, which shows there what is so. */
		EXPECT_EQ(accel_check()->active, is_yes(stock))
			TH_LOG("%s.%s is %c", vendors[i].module, vendors[i].parameter, stock);
	}
	if (accel_check()->active)
		EXPECT_LT(0, found);
	if (is_yes(shown("kvm_intel", "enable_ipiv")))
		EXPECT_TRUE(accel_check()->active);
}

TEST(parameters_of_vapic_are_for_reading)
{
	static const char *const names[] = { "avic", "enable_apicv", "enable_ipiv" };

	REQUIRE_EXPECTED_ACCELERATION();
	if (!accel_check()->vapic) {
		EXPECT_NE(0, access("/sys/module/vapic", F_OK));
		return;
	}
	for (unsigned int i = 0; i < 3; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/sys/module/vapic/parameters/%s", names[i]);
		expect_read_only(_metadata, path);
	}
}

/* On stock there is nothing; then this says so, and the test ends. */
#define REQUIRE_STATUS() do {						\
	REQUIRE_EXPECTED_ACCELERATION();				\
	if (!accel_check()->vapic) {					\
		EXPECT_NE(0, access(STATUS, F_OK));			\
		return;							\
	}								\
} while (0)

TEST(status_is_for_all_to_read_and_nobody_to_write)
{
	static const char *const files[] = { "version", "audit", "takeover", "vcpus" };

	REQUIRE_STATUS();
	for (unsigned int i = 0; i < 4; i++) {
		char path[64];

		snprintf(path, sizeof(path), STATUS "%s", files[i]);
		expect_read_only(_metadata, path);
		EXPECT_TRUE(read_text(path))
			TH_LOG("%s: %s", path, strerror(errno));
	}
}

TEST(version_is_that_of_the_module)
{
	unsigned int major, minor, patch;

	REQUIRE_STATUS();
	ASSERT_TRUE(read_text(STATUS "version"));
	EXPECT_EQ(3, sscanf(text, "%u.%u.%u", &major, &minor, &patch))
		TH_LOG("%s", text);
	ASSERT_LT(0, read_file("/sys/module/vapic/version", again, sizeof(again), 4096));
	EXPECT_STREQ(again, text);
}

/* Each line: how, what, and whose code runs. */
TEST(takeover_says_that_all_is_taken_over)
{
	unsigned int lines = 0;

	REQUIRE_STATUS();
	ASSERT_TRUE(read_text(STATUS "takeover"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
		char how[16], what[128], whose[16], more;

		ASSERT_EQ(3, sscanf(line, "%15s %127s %15s %c", how, what, whose, &more))
			TH_LOG("%s", line);
		EXPECT_TRUE(!strcmp(how, "redirect") || !strcmp(how, "op") ||
			    !strcmp(how, "wrap") || !strcmp(how, "variable"))
			TH_LOG("%s", line);
		EXPECT_STREQ(accel_check()->active ? "ours" : "stock", whose)
			TH_LOG("%s", line);
	}
	EXPECT_LT(accel_check()->active ? 10 : -1, (int)lines);
}

TEST(file_is_the_same_in_pieces)
{
	ssize_t length;

	REQUIRE_STATUS();
	length = read_file(STATUS "takeover", text, sizeof(text), 65536);
	ASSERT_LE(0, length);
	for (size_t piece = 1; piece < 200; piece += 13) {
		ASSERT_EQ(length, read_file(STATUS "takeover", again, sizeof(again), piece));
		EXPECT_STREQ(text, again);
	}
}

/* How many lines of vcpus are of this process's VMs (for a vCPU or not) and have @words. */
static unsigned int lines_with(const char *kind, const char *words)
{
	char begin[64];
	unsigned int count = 0;

	snprintf(begin, sizeof(begin), "pid=%d %s", getpid(), kind);
	if (!read_text(VCPUS))
		return 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		count += !strncmp(line, begin, strlen(begin)) && strstr(line, words);
	return count;
}

TEST(vcpus_shows_a_vm_while_it_lives_and_why_it_is_inhibited)
{
	struct vm *vm;

	REQUIRE_STATUS();
	if (!accel_check()->active) {
		/* Then vapic knows of no VM. */
		EXPECT_EQ(0, lines_with("", ""));
		return;
	}
	EXPECT_EQ(0, lines_with("", ""));
	vm = vm_create(0);
	roles_begin();
	vm_add_vcpu(vm, 0, role_spinner, 0);
	vm_add_vcpu(vm, 1, role_sleeper, 0);
	vm_add_blocker(vm);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	EXPECT_EQ(1, lines_with("vm ", " active=1 inhibits=-"))
		TH_LOG("%s", text);
	EXPECT_EQ(1, lines_with("vcpu=0 ", " active=1 inhibits=-"));
	EXPECT_EQ(1, lines_with("vcpu=1 ", " active=1 inhibits=-"));
	vm_block(vm, true);
	EXPECT_EQ(1, lines_with("vm ", " active=0 inhibits=BLOCKIRQ"));
	vm_block(vm, false);
	EXPECT_EQ(1, lines_with("vm ", " active=1 inhibits=-"));
	roles_finish(vm);
	/* The kernel may end it a moment later. */
	for (unsigned int i = 0; i < 1000 && lines_with("", ""); i++)
		sleep_us(10000);
	EXPECT_EQ(0, lines_with("", ""));
}

/* In a process of its own: 0 if every line is of a process of this user. */
static int own_alone(void)
{
	if (!read_text(VCPUS))
		return 1;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char path[64];
		struct stat status;
		int pid;

		if (sscanf(line, "pid=%d", &pid) != 1)
			return 2;
		snprintf(path, sizeof(path), "/proc/%d", pid);
		/* It may just have ended. */
		if (pid && !stat(path, &status) && status.st_uid != geteuid())
			return 3;
	}
	return 0;
}

TEST(vcpus_shows_to_a_user_their_own_alone)
{
	struct vm *vm;
	pid_t child;
	int status;

	REQUIRE_STATUS();
	vm = vm_create(0);
	roles_begin();
	vm_add_vcpu(vm, 0, role_spinner, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	EXPECT_EQ(accel_check()->active, lines_with("vm ", ""));
	child = fork();
	if (!child) {
		/* Who is not root stays who they are, and sees this VM and no other user's. */
		if (!geteuid() && (setgid(NOBODY) || setuid(NOBODY)))
			_exit(4);
		_exit(own_alone());
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	roles_finish(vm);
}

TEST_MAIN(1)
