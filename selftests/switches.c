// SPDX-License-Identifier: GPL-2.0-only
/*
 * What root switches off and on for a VM while its guest runs, by the files of its folder in
 * /sys/kernel/vapic/vms.  Each switch is turned (-n times) while IPIs and a device's interrupts
 * flow; none may be lost, and what the switch is about must come back.  Then whom the files refuse,
 * and what: other values, other users, a VM that is never accelerated, and one that is gone.
 *
 * Stock KVM has no such thing, and only root may look.
 */
#include "lib/modes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/device.h"
#include "lib/roles.h"
#include "lib/traffic.h"
#include "lib/vapic_counts.h"

#define VMS		"/sys/kernel/vapic/vms"
#define TRAFFIC_VCPUS	3
#define NOBODY		65534
#define MAX_SWITCHES	8
#define VECTOR		0x72
#define IPIS		100
/* IPIs between a switch and the next: so few that the switch finds others on their way. */
#define FLOW		4

#define REQUIRE_SWITCHES() do {						\
	REQUIRE_EXPECTED_ACCELERATION();				\
	if (!accel_check()->vapic)					\
		SKIP(return, "vapic is not loaded");			\
	if (!accel_check()->active) {					\
		struct dirent *entry_;					\
		DIR *vms_ = opendir(VMS);				\
									\
		/* Then vapic knows of no VM. */			\
		while (vms_ && (entry_ = readdir(vms_)))		\
			EXPECT_EQ('.', entry_->d_name[0]);		\
		if (vms_)						\
			closedir(vms_);					\
		return;							\
	}								\
	if (geteuid())							\
		SKIP(return, "only root may switch");			\
} while (0)

static char folder[sizeof(VMS) + 256];

/* The folder of this process's newest VM; false if it has none. */
static bool find_folder(void)
{
	struct dirent *entry;
	DIR *vms = opendir(VMS);
	long newest = 0;

	while (vms && (entry = readdir(vms))) {
		long number;
		int pid;

		if (sscanf(entry->d_name, "%d-%ld", &pid, &number) != 2 || pid != getpid() ||
		    number <= newest)
			continue;
		newest = number;
		snprintf(folder, sizeof(folder), VMS "/%s", entry->d_name);
	}
	if (vms)
		closedir(vms);
	return newest;
}

/* A file of that folder. */
static const char *path_of(const char *name)
{
	static char path[sizeof(folder) + 256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int open_switch(const char *name, int how)
{
	return open(path_of(name), how | O_CLOEXEC);
}

/* 0 or an errno. */
static int write_to(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : errno;
}

static int turn(const char *name, const char *text)
{
	int fd = open_switch(name, O_WRONLY), error;

	if (fd < 0)
		return errno;
	error = write_to(fd, text);
	close(fd);
	return error;
}

/* "0" or "1" without its end of line, else an error's name. */
static const char *setting(const char *name)
{
	static char text[8];
	int fd = open_switch(name, O_RDONLY);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (got < 0)
		return strerrorname_np(error);
	text[got] = 0;
	if (got && text[got - 1] == '\n')
		text[got - 1] = 0;
	return text;
}

static char names[MAX_SWITCHES][32];

/* All switches that the VM has, by name. */
static unsigned int list_switches(void)
{
	unsigned int count = 0;
	struct dirent *entry;
	DIR *files = opendir(folder);

	while (files && count < MAX_SWITCHES && (entry = readdir(files)))
		if (entry->d_name[0] != '.')
			snprintf(names[count++], sizeof(names[0]), "%.31s", entry->d_name);
	if (files)
		closedir(files);
	return count;
}

/* Whether a line of status is of this VM and has these words. */
static bool status_says(const char *words)
{
	FILE *file = fopen("/sys/kernel/vapic/vcpus", "re");
	char line[1024], begin[64];
	bool found = false;

	snprintf(begin, sizeof(begin), "pid=%d vm ", getpid());
	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, begin, strlen(begin)) && strstr(line, words);
	if (file)
		fclose(file);
	return found;
}

static struct vm *begin_traffic(void)
{
	struct vm *vm = vm_create(mode);

	traffic_begin_beside_device(vm, TRAFFIC_VCPUS);
	vm_start(vm);
	device_traffic_begin(vm);
	traffic_flow(vm, 20);
	return vm;
}

/* A VM of one vCPU, which runs. */
static struct vm *spinner_begin(unsigned int options)
{
	struct vm *vm = vm_create(options);

	roles_begin();
	vm_add_vcpu(vm, 0, role_spinner, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	return vm;
}

static void end_traffic(struct __test_metadata *_metadata, struct vm *vm, unsigned int turns)
{
	uint64_t interrupts = device_traffic_end(vm);

	roles_finished = true;
	EXPECT_EQ(mode_is_accelerated(), vcpu_acceleration_becomes(&vm->vcpus[0], mode_is_accelerated()));
	traffic_end(vm);
	EXPECT_LT(0, interrupts);
	NOTE("%u times switched: %llu IPIs, %llu interrupts of a device\n", turns,
	     (unsigned long long)traffic_handled(), (unsigned long long)interrupts);
	vm_destroy(vm);
}

TEST_F(guest, no_interrupt_is_lost_when_a_switch_is_turned)
{
	unsigned int count, turns = 0;
	struct vm *vm;

	REQUIRE_SWITCHES();
	vm = begin_traffic();
	ASSERT_TRUE(find_folder());
	count = list_switches();
	ASSERT_LT(0, count);
	for (unsigned int i = 0; i < rounds; i++) {
		for (unsigned int s = 0; s < count; s++, turns += 2) {
			ASSERT_STREQ("1", setting(names[s]))
				TH_LOG("%s", names[s]);
			ASSERT_EQ(0, turn(names[s], "0\n"))
				TH_LOG("%s", names[s]);
			traffic_flow(vm, FLOW);
			ASSERT_STREQ("0", setting(names[s]))
				TH_LOG("%s", names[s]);
			ASSERT_EQ(0, turn(names[s], "1"))
				TH_LOG("%s", names[s]);
			traffic_flow(vm, FLOW);
		}
	}
	end_traffic(_metadata, vm, turns);
}

TEST_F(guest, acceleration_stays_off_until_it_is_switched_on)
{
	struct vm *vm;

	REQUIRE_SWITCHES();
	vm = spinner_begin(mode);
	ASSERT_TRUE(find_folder());
	EXPECT_STREQ("1", setting("acceleration"));
	EXPECT_TRUE(status_says(" active=1 inhibits=-"));
	EXPECT_EQ(0, turn("acceleration", "0"));
	EXPECT_STREQ("0", setting("acceleration"));
	EXPECT_TRUE(status_says(" active=0 inhibits=SWITCHED off=acceleration\n"));
	EXPECT_FALSE(vcpu_acceleration_becomes(&vm->vcpus[0], false));
	/* Twice the same is no error, and counts once. */
	EXPECT_EQ(0, turn("acceleration", "0"));
	/* Another cause comes and goes without it. */
	vm_add_blocker(vm);
	vm_block(vm, true);
	EXPECT_TRUE(status_says(" active=0 inhibits=BLOCKIRQ,SWITCHED"));
	vm_block(vm, false);
	EXPECT_TRUE(status_says(" active=0 inhibits=SWITCHED"));
	EXPECT_FALSE(vcpu_acceleration_becomes(&vm->vcpus[0], false));
	EXPECT_EQ(0, turn("acceleration", "1\n"));
	EXPECT_TRUE(status_says(" active=1 inhibits=-"));
	EXPECT_EQ(mode_is_accelerated(), vcpu_acceleration_becomes(&vm->vcpus[0], mode_is_accelerated()));
	roles_finish(vm);
}

/* ---- what each of the others does ---- */

static volatile uint32_t ordered, received;

static void take(struct guest_frame *frame)
{
	(void)frame;
	received++;
	apic_eoi();
}

/* Sends IPIs, one at a time, as many as the host has ordered. */
static void sender(uint64_t arg)
{
	uint32_t sent = 0;

	(void)arg;
	irq_enable();
	role_set_ready();
	while (!roles_finished) {
		guest_poll();
		if (sent == ordered)
			continue;
		sent++;
		apic_send_fixed(guest_cpus[1].apic_id, VECTOR);
		guest_wait(received == sent);
	}
}

/*
 * The kind of exits that IPIs cause without virtualization.  On Intel vapic does not count those of
 * x2APIC mode.
 */
static uint64_t exits_so_far(struct vm *vm)
{
	struct vapic_counts counts;

	if (!accel_is_avic() && mode & VM_X2APIC)
		return vcpu_own_exits(&vm->vcpus[0]);
	vapic_counts_read(&counts);
	return vapic_counts_get(&counts, accel_is_avic() ? "ipi_not_running" : "apic_write");
}

/* How many of them come with IPIS IPIs. */
static uint64_t exits_for_ipis(struct vm *vm)
{
	uint64_t before = exits_so_far(vm);

	ordered += IPIS;
	vm_wait(vm, received == ordered, "IPIs are handled");
	return exits_so_far(vm) - before;
}

TEST_F(guest, ipis_exit_while_ipi_virtualization_is_off)
{
	struct vm *vm;

	REQUIRE_SWITCHES();
	if (accel_ipis_exit(mode))
		SKIP(return, "all IPIs exit here");
	vm = vm_create(mode);
	roles_begin();
	ordered = received = 0;
	guest_set_handler(VECTOR, take);
	vm_add_vcpu(vm, 0, sender, 0);
	vm_add_vcpu(vm, 1, role_spinner, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	ASSERT_TRUE(find_folder());
	/* Some exit because the target has been preempted. */
	EXPECT_GT(IPIS / 2, exits_for_ipis(vm));
	ASSERT_EQ(0, turn("ipi_virtualization", "0"));
	EXPECT_TRUE(status_says(" inhibits=- off=ipi_virtualization\n"));
	EXPECT_LE(IPIS - 2, exits_for_ipis(vm));
	/* It stays off when acceleration comes back. */
	ASSERT_EQ(0, turn("acceleration", "0"));
	EXPECT_FALSE(vcpu_acceleration_becomes(&vm->vcpus[0], false));
	ASSERT_EQ(0, turn("acceleration", "1"));
	EXPECT_TRUE(vcpu_acceleration_becomes(&vm->vcpus[0], true));
	EXPECT_TRUE(vcpu_acceleration_becomes(&vm->vcpus[1], true));
	EXPECT_LE(IPIS - 2, exits_for_ipis(vm));
	ASSERT_EQ(0, turn("ipi_virtualization", "1"));
	EXPECT_GT(IPIS / 2, exits_for_ipis(vm));
	roles_finish(vm);
}

/* How many of the VM's interrupts of devices this file of status counts, once it is as wanted. */
static uint64_t count_becomes(const char *name, uint64_t wanted)
{
	struct vapic_counts counts;

	for (int tries = 0; tries < 1000; tries++) {
		vapic_counts_read(&counts);
		if (vapic_counts_get(&counts, name) == wanted)
			break;
		sleep_us(1000);
	}
	return vapic_counts_get(&counts, name);
}

TEST_F(guest, device_is_remapped_while_posting_is_off)
{
	struct vm *vm;

	REQUIRE_SWITCHES();
	/* On Intel KVM itself does that, and vapic has no such switch. */
	if (!accel_is_avic() || !device_is_there() || !device_posts() || !device_is_real())
		SKIP(return, "vapic posts for no device here");
	vm = begin_traffic();
	ASSERT_TRUE(find_folder());
	EXPECT_EQ(1, count_becomes("posted", 1));
	ASSERT_EQ(0, turn("posting", "0"));
	EXPECT_EQ(0, count_becomes("posted", 0));
	EXPECT_EQ(1, count_becomes("remapped", 1));
	traffic_flow(vm, 20);
	ASSERT_EQ(0, turn("posting", "1"));
	EXPECT_EQ(1, count_becomes("posted", 1));
	end_traffic(_metadata, vm, 2);
}

TEST(other_values_are_refused)
{
	static const char *const bad[] = { "\n", "2", "-1", "10", "on", "0 1", "1x", "\n1" };
	struct vm *vm;

	REQUIRE_SWITCHES();
	vm = spinner_begin(0);
	ASSERT_TRUE(find_folder());
	for (unsigned int s = list_switches(); s--;) {
		struct stat status;

		ASSERT_EQ(0, stat(path_of(names[s]), &status));
		EXPECT_EQ(0600, status.st_mode & 0777);
		EXPECT_EQ(0, status.st_uid | status.st_gid);
		for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
			EXPECT_EQ(EINVAL, turn(names[s], bad[i]))
				TH_LOG("%s: %s", names[s], bad[i]);
		}
		EXPECT_STREQ("1", setting(names[s]));
	}
	roles_finish(vm);
}

/* In a process of its own: 0 if it may neither look nor write. */
static int may_not(void)
{
	if (setgid(NOBODY) || setuid(NOBODY))
		return 1;
	if (opendir(VMS) || errno != EACCES)
		return 2;
	if (open_switch("acceleration", O_RDONLY) >= 0 || errno != EACCES)
		return 3;
	if (open_switch("acceleration", O_WRONLY) >= 0 || errno != EACCES)
		return 4;
	return 0;
}

TEST(nobody_but_root_switches)
{
	struct vm *vm;
	pid_t child;
	int status;

	REQUIRE_SWITCHES();
	vm = spinner_begin(0);
	ASSERT_TRUE(find_folder());
	child = fork();
	if (!child)
		_exit(may_not());
	ASSERT_LT(0, child);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	roles_finish(vm);
}

/* A guest moves its APIC, for which KVM never accelerates its VM again. */
TEST(vm_that_is_never_accelerated_is_not_switched)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry base;
	} msrs = { .head.nmsrs = 1, .base = { .index = 0x1b, .data = 0xfed00000 | 1U << 11 } };
	struct vm *vm;

	REQUIRE_SWITCHES();
	vm = vm_create(0);
	vm_add_vcpu(vm, 0, role_spinner, 0);
	ASSERT_TRUE(find_folder());
	EXPECT_EQ(0, turn("acceleration", "1"));
	ASSERT_EQ(1, ioctl(vm->vcpus[0].fd, KVM_SET_MSRS, &msrs));
	for (unsigned int s = list_switches(); s--;) {
		EXPECT_EQ(EOPNOTSUPP, turn(names[s], "0"))
			TH_LOG("%s", names[s]);
		EXPECT_EQ(EOPNOTSUPP, turn(names[s], "1"))
			TH_LOG("%s", names[s]);
		EXPECT_EQ(EINVAL, turn(names[s], "2"))
			TH_LOG("%s", names[s]);
		EXPECT_STREQ("1", setting(names[s]));
	}
	vm_destroy(vm);
}

struct turner {
	pthread_t thread;
	int fd;
	unsigned int turns;
	int error;
};

static void *turn_until_it_fails(void *arg)
{
	struct turner *turner = arg;

	while (!(turner->error = write_to(turner->fd, turner->turns & 1 ? "1" : "0")))
		__atomic_add_fetch(&turner->turns, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Whoever writes may hold the last reference on the VM. */
TEST(vm_ends_while_it_is_switched)
{
	unsigned int turns = 0;

	REQUIRE_SWITCHES();
	for (unsigned int i = 0; i < rounds; i++) {
		struct turner turner = {};
		struct vm *vm = vm_create(0);
		char text[4];

		vm_add_vcpu(vm, 0, role_spinner, 0);
		ASSERT_TRUE(find_folder());
		turner.fd = open_switch("acceleration", O_RDWR);
		ASSERT_LE(0, turner.fd);
		ASSERT_EQ(0, pthread_create(&turner.thread, NULL, turn_until_it_fails, &turner));
		vm_wait(vm, __atomic_load_n(&turner.turns, __ATOMIC_RELAXED) > 1, "it is switched");
		vm_destroy(vm);
		ASSERT_EQ(0, pthread_join(turner.thread, NULL));
		EXPECT_EQ(ENODEV, turner.error);
		for (unsigned int tries = 0; tries < 1000 && !access(folder, F_OK); tries++)
			sleep_us(1000);
		EXPECT_EQ(-1, access(folder, F_OK));
		EXPECT_EQ(-1, pread(turner.fd, text, sizeof(text), 0));
		EXPECT_EQ(ENODEV, errno);
		EXPECT_EQ(ENODEV, write_to(turner.fd, "1"));
		turns += turner.turns;
		close(turner.fd);
	}
	NOTE("%u VMs ended, %u times switched\n", rounds, turns);
}

TEST_MAIN(10)
