// SPDX-License-Identifier: GPL-2.0-only
/*
 * Brings a vCPU into the state that each step of KVM needs and lets the module
 * pathbench measure the step. Prints one JSON object per step on a line:
 * {"name":…,"samples":…,"ticks":{"median":…,"p99":…,"mean":…,"min":…},"costs":{KIND:{…},…}},
 * where costs are those of testbed/cost.h and have the same four figures.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/accel.h"
#include "lib/device.h"
#include "lib/figures.h"
#include "lib/roles.h"
#include "cost.h"
#include "pathbench/pathbench.h"
#include "sleepers.h"

#define VECTOR 0x64
#define WARM_UP 20
#define DIVIDE_BY_128 0xa
#define SLEEPERS 64
/* Between two looks whether all sleep again. */
#define LOOK_US 2000

struct costs {
	uint64_t of[COST_KINDS];
};

static int device;
static uint64_t *samples;
static struct costs *costs;

static void measure(struct vcpu *vcpu, enum pathbench_path path, uint32_t count, uint32_t first)
{
	struct pathbench_request request = {
		.vcpu_fd = vcpu->fd,
		.path = path,
		.vector = VECTOR,
		.samples = count,
		.event_fd = device_eventfd(),
		.ticks = (uintptr_t)&samples[first],
		.costs = (uintptr_t)&costs[first],
	};

	if (ioctl(device, PATHBENCH_MEASURE, &request))
		vm_fail(vcpu->vm, "PATHBENCH_MEASURE of path %u: %s", path, strerror(errno));
}

static void print_figures(const char *name, uint64_t *values, uint32_t count)
{
	struct figures figures = figures_of(values, count);

	printf("\"%s\":{\"median\":%llu,\"p99\":%llu,\"mean\":%llu,\"min\":%llu}", name,
	       (unsigned long long)figures.median, (unsigned long long)figures.p99,
	       (unsigned long long)figures.mean, (unsigned long long)figures.min);
}

static void report(const char *name, uint32_t count)
{
	static const char *const kinds[COST_KINDS] = {COST_NAMES};

	printf("{\"name\":\"%s\",\"samples\":%u,", name, count);
	print_figures("ticks", samples, count);
	printf(",\"costs\":{");
	for (unsigned int kind = 0; kind < COST_KINDS; kind++) {
		for (uint32_t i = 0; i < count; i++)
			samples[i] = costs[i].of[kind];
		if (kind)
			printf(",");
		print_figures(kinds[kind], samples, count);
	}
	printf("}}\n");
	fflush(stdout);
}

/*
 * The vCPU has run, so that whatever KVM sets up lazily is there; it is paused, and on this
 * processor, or the first sample would pay for its move.
 */
static struct vcpu *paused_vcpu(unsigned int options, void (*role)(uint64_t))
{
	struct vm *vm = vm_create(options);
	struct vcpu *vcpu;

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	vcpu = vm_add_vcpu(vm, 0, role, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	vcpu_pause(vcpu);
	vcpu_pin(vcpu, host_cpu(0));
	return vcpu;
}

/* Steps that the vCPU's own thread takes outside the guest. */
static void own_steps(uint32_t count)
{
	static const struct {
		const char *name;
		enum pathbench_path path;
		bool on_amd, on_intel;
	} steps[] = {
		{"nothing", PATHBENCH_NOTHING, true, true},
		{"load_put", PATHBENCH_LOAD_PUT, true, true},
		{"switch", PATHBENCH_SWITCH, true, true},
		{"block", PATHBENCH_BLOCK, true, false},
		{"has_interrupt", PATHBENCH_HAS_INTERRUPT, true, true},
		{"injectable", PATHBENCH_INJECTABLE, true, true},
		{"sync_to_vapic", PATHBENCH_SYNC_TO_VAPIC, true, true},
		{"save", PATHBENCH_SAVE, true, true},
		{"restore", PATHBENCH_RESTORE, true, true},
		{"toggle", PATHBENCH_TOGGLE, true, true},
		{"window", PATHBENCH_WINDOW, true, false},
		{"sleep", PATHBENCH_SLEEP, false, true},
		{"sync", PATHBENCH_SYNC, false, true},
		{"eoi_bitmap", PATHBENCH_EOI_BITMAP, false, true},
		{"new_eoi_bitmap", PATHBENCH_NEW_EOI_BITMAP, false, true},
	};
	bool is_intel = access("/sys/module/kvm_intel", F_OK) == 0;
	struct vcpu *vcpu = paused_vcpu(0, role_spinner);

	for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (is_intel ? !steps[i].on_intel : !steps[i].on_amd)
			continue;
		measure(vcpu, steps[i].path, WARM_UP, 0);
		measure(vcpu, steps[i].path, count, 0);
		report(steps[i].name, count);
	}
	vcpu_resume(vcpu);
	roles_finish(vcpu->vm);
}

/* In x2APIC mode, a timer running that does not expire meanwhile. */
static void role_linux(uint64_t unused)
{
	(void)unused;
	apic_write(APIC_TDCR, DIVIDE_BY_128);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_ONESHOT | VECTOR);
	apic_write(APIC_TMICT, UINT32_MAX);
	role_set_ready();
	role_wait_finished();
}

/* What is saved and restored of a guest as Linux is one. */
static void linux_steps(uint32_t count)
{
	static const struct {
		const char *name;
		enum pathbench_path path;
	} steps[] = {
		{"save_linux", PATHBENCH_SAVE},
		{"restore_linux", PATHBENCH_RESTORE},
	};
	struct vcpu *vcpu = paused_vcpu(VM_X2APIC, role_linux);

	for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		measure(vcpu, steps[i].path, WARM_UP, 0);
		measure(vcpu, steps[i].path, count, 0);
		report(steps[i].name, count);
	}
	vcpu_resume(vcpu);
	roles_finish(vcpu->vm);
}

/* The least of all samples: an interrupt may add to some. */
static struct costs least_costs(struct vcpu *vcpu, enum pathbench_known known)
{
	struct pathbench_request request = {
		.vcpu_fd = vcpu->fd,
		.path = PATHBENCH_KNOWN,
		.vector = known,
		.samples = WARM_UP,
		.ticks = (uintptr_t)samples,
		.costs = (uintptr_t)costs,
	};
	struct costs least;

	if (ioctl(device, PATHBENCH_MEASURE, &request))
		vm_fail(vcpu->vm, "PATHBENCH_KNOWN of %u: %s", known, strerror(errno));
	least = costs[0];
	for (unsigned int i = 1; i < WARM_UP; i++)
		for (unsigned int kind = 0; kind < COST_KINDS; kind++)
			if (costs[i].of[kind] < least.of[kind])
				least.of[kind] = costs[i].of[kind];
	return least;
}

/*
 * Whether the emulator counts what known code costs; a line of TAP for each kind. Where the
 * code around it costs something, that is not counted.
 */
static int check_known(void)
{
	static const struct {
		const char *what;
		enum pathbench_known known;
		int kind; /* -1: none at all */
		bool on_amd;
	} kinds[] = {
		{"operations with LOCK", KNOWN_LOCK, COST_LOCKED, true},
		{"XCHGs with memory", KNOWN_XCHG, COST_LOCKED, true},
		{"VMREADs", KNOWN_VMREAD, COST_VMREAD, false},
		{"VMWRITEs", KNOWN_VMWRITE, COST_VMWRITE, false},
		{"RDMSRs", KNOWN_RDMSR, COST_RDMSR, true},
		{"WRMSRs", KNOWN_WRMSR, COST_WRMSR, true},
		{"returns to elsewhere", KNOWN_RETURN_MISS, COST_RETURN_MISS, true},
		{"returns to the caller", KNOWN_RETURN, -1, true},
	};
	static const char *const names[COST_KINDS] = {COST_NAMES};
	bool is_intel = access("/sys/module/kvm_intel", F_OK) == 0;
	struct vcpu *vcpu = paused_vcpu(0, role_spinner);
	struct costs around = least_costs(vcpu, KNOWN_NOTHING);
	unsigned int number = 0, failed = 0;

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct costs costs_of;
		bool ok = true;

		if (!is_intel && !kinds[i].on_amd)
			continue;
		costs_of = least_costs(vcpu, kinds[i].known);
		for (int kind = 0; kind < COST_KINDS; kind++) {
			uint64_t counted = costs_of.of[kind] - around.of[kind];

			if (counted != (kind == kinds[i].kind ? KNOWN_TIMES : 0)) {
				printf("# %s: %lld\n", names[kind], (long long)counted);
				ok = false;
			}
		}
		failed += !ok;
		printf("%sok %u costs of %u %s are counted\n", ok ? "" : "not ", ++number,
		       KNOWN_TIMES, kinds[i].what);
	}
	vcpu_resume(vcpu);
	roles_finish(vcpu->vm);
	return failed ? 1 : 0;
}

/*
 * One at a time: each must be handled before the next finds the same state. With @device they are
 * those of an assigned one.
 */
static void deliver_by(const char *name, enum pathbench_path path, bool device, bool blocked,
		       uint32_t count)
{
	struct vm *vm = vm_create(0);
	struct guest_cpu *guest;
	struct vcpu *vcpu;

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	vcpu = vm_add_vcpu(vm, 0, blocked ? role_sleeper : role_spinner, 0);
	guest = vcpu->guest;
	if (device) {
		device_route(vm, 0, VECTOR);
		device_assign(vm);
	}
	vm_start(vm);
	roles_wait_ready(vm, 0);
	for (uint32_t i = 0; i < WARM_UP + count; i++) {
		if (blocked)
			vm_wait(vm, vcpu_is_blocked(vcpu), "the target blocks");
		measure(vcpu, path, 1, i < WARM_UP ? 0 : i - WARM_UP);
		vm_wait(vm, guest->irqs[VECTOR] > i, "the interrupt is handled");
	}
	report(name, count);
	if (device)
		device_take_away();
	roles_finish(vm);
}

static void deliver(const char *name, enum pathbench_path path, bool blocked, uint32_t count)
{
	deliver_by(name, path, false, blocked, count);
}

static void deliver_running(uint32_t count)
{
	deliver("deliver_running", PATHBENCH_DELIVER, false, count);
}

static void deliver_blocked(uint32_t count)
{
	deliver("deliver_blocked", PATHBENCH_DELIVER, true, count);
	deliver("deliver_blocked_again", PATHBENCH_DELIVER_AGAIN, true, count);
}

/* Where vCPUs sleep: @target is woken, 0 for none. */
static void measure_asleep(int vcpu_fd, enum pathbench_path path, uint32_t sleepers,
			   uint32_t target, uint32_t sample)
{
	struct pathbench_request request = {
		.vcpu_fd = vcpu_fd,
		.path = path,
		.vector = SLEEPERS_VECTOR,
		.samples = 1,
		.sleepers = sleepers,
		.target = target,
		.ticks = (uintptr_t)&samples[sample],
		.costs = (uintptr_t)&costs[sample],
	};

	while (ioctl(device, PATHBENCH_MEASURE, &request)) {
		if (errno != EAGAIN) {
			perror("a wake-up");
			exit(1);
		}
		sleep_us(LOOK_US);
	}
}

static void wake_sleepers(uint32_t count)
{
	static const struct {
		const char *name;
		enum pathbench_path path;
		bool one_due;
	} steps[] = {
		{"wake_one_of_64", PATHBENCH_WAKE, true},
		{"wake_one_of_64_again", PATHBENCH_WAKE_AGAIN, true},
		{"wake_thread_again", PATHBENCH_WAKE_THREAD, true},
		{"wake_none_of_64", PATHBENCH_WAKE, false},
	};
	int vcpu_fd = sleepers_start(SLEEPERS, SLEEPERS);

	for (unsigned int step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
		for (uint32_t i = 0; i < WARM_UP + count; i++)
			measure_asleep(vcpu_fd, steps[step].path, SLEEPERS,
				       steps[step].one_due ? 1 + i % SLEEPERS : 0,
				       i < WARM_UP ? 0 : i - WARM_UP);
		report(steps[step].name, count);
	}
}

/* An IPI to 64 others of which one sleeps. */
static void broadcast(uint32_t count)
{
	int vcpu_fd = sleepers_start(SLEEPERS, 1);

	for (uint32_t i = 0; i < WARM_UP + count; i++)
		measure_asleep(vcpu_fd, PATHBENCH_BROADCAST, SLEEPERS, 1,
			       i < WARM_UP ? 0 : i - WARM_UP);
	report("broadcast_64", count);
}

/* What measuring takes. */
static void nothing(uint32_t count)
{
	struct vcpu *vcpu = paused_vcpu(0, role_spinner);

	measure(vcpu, PATHBENCH_NOTHING, count, 0);
	report("nothing", count);
	vcpu_resume(vcpu);
	roles_finish(vcpu->vm);
}

/* What KVM does for a device's interrupt that is remapped. */
static void device_running(uint32_t count)
{
	device_is_there();
	deliver_by("device_remapped_running", PATHBENCH_SIGNAL, true, false, count);
}

/* Likewise, and for one that is posted to a vCPU that sleeps, as KVM does it on Intel. */
static void device_blocked(uint32_t count)
{
	int vcpu_fd;

	nothing(count);
	device_is_there();
	deliver_by("device_remapped_blocked", PATHBENCH_SIGNAL_AGAIN, true, true, count);
	if (!device_posts() || access("/sys/module/kvm_intel", F_OK))
		return;
	vcpu_fd = sleepers_start(1, 1);
	for (uint32_t i = 0; i < WARM_UP + count; i++)
		measure_asleep(vcpu_fd, PATHBENCH_WAKE_AGAIN, 1, 1, i < WARM_UP ? 0 : i - WARM_UP);
	report("device_posted_blocked", count);
}

static const struct {
	const char *name;
	void (*measure)(uint32_t count);
	bool by_default;
} groups[] = {
	{"own", own_steps, true},
	{"linux", linux_steps, true},
	{"running", deliver_running, true},
	{"blocked", deliver_blocked, true},
	/* Last: its vCPUs stay. */
	{"sleepers", wake_sleepers, false},
	{"broadcast", broadcast, false},
	{"device_running", device_running, false},
	/* Last: it leaves a vCPU. */
	{"device_blocked", device_blocked, false},
};

static bool is_wanted(unsigned int group, char **names)
{
	if (!*names)
		return groups[group].by_default;
	while (*names)
		if (!strcmp(*names++, groups[group].name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	bool only_known = argc == 2 && !strcmp(argv[1], "known");
	uint32_t count = argc >= 2 ? strtoul(argv[1], NULL, 0) : 0;

	if (!count && !only_known) {
		fprintf(stderr,
			"Usage: %s SAMPLES [GROUP...]\n"
			"       %s known\n"
			"Groups: own linux running blocked sleepers broadcast device_running device_blocked\n",
			argv[0], argv[0]);
		return 2;
	}
	device = open("/dev/vapic-pathbench", O_RDWR | O_CLOEXEC);
	samples = calloc(count + WARM_UP, sizeof(*samples));
	costs = calloc(count + WARM_UP, sizeof(*costs));
	if (device < 0 || !samples || !costs) {
		perror("/dev/vapic-pathbench");
		return 1;
	}
	fprintf(stderr, "# %s\n", accel_check()->reason);
	if (accel_check()->verdict != ACCEL_OK)
		return 1;
	if (only_known)
		return check_known();
	for (unsigned int i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (is_wanted(i, argv + 2))
			groups[i].measure(count);
	return 0;
}
