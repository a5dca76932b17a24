// SPDX-License-Identifier: GPL-2.0-only
/*
 * Brings a vCPU into the state that each step of KVM needs and lets the module
 * pathbench measure the step. Prints one JSON object per step on a line:
 * {"name":…,"samples":…,"ticks":{"median":…,"p99":…,"mean":…,"min":…}}.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/accel.h"
#include "lib/figures.h"
#include "lib/roles.h"
#include "pathbench/pathbench.h"
#include "sleepers.h"

#define VECTOR 0x64
#define WARM_UP 20
#define SLEEPERS 64
/* Between two looks whether all sleep again. */
#define LOOK_US 2000

static int device;
static uint64_t *samples;

static void ask(struct vcpu *vcpu, unsigned long what, enum pathbench_path path, uint32_t count,
		uint64_t *results)
{
	struct pathbench_request request = {
		.vcpu_fd = vcpu->fd,
		.path = path,
		.vector = VECTOR,
		.samples = count,
		.ticks = (uint64_t)(uintptr_t)results,
	};

	if (ioctl(device, what, &request))
		vm_fail(vcpu->vm, "pathbench, path %u: %s", path, strerror(errno));
}

static void measure(struct vcpu *vcpu, enum pathbench_path path, uint32_t count, uint64_t *ticks)
{
	ask(vcpu, PATHBENCH_MEASURE, path, count, ticks);
}

static void report(const char *name, uint32_t count)
{
	struct figures figures = figures_of(samples, count);

	printf("{\"name\":\"%s\",\"samples\":%u,\"ticks\":{\"median\":%llu,\"p99\":%llu,"
	       "\"mean\":%llu,\"min\":%llu}}\n",
	       name, count, (unsigned long long)figures.median, (unsigned long long)figures.p99,
	       (unsigned long long)figures.mean, (unsigned long long)figures.min);
	fflush(stdout);
}

/*
 * Steps that the vCPU's own thread takes outside the guest. The vCPU has run, so
 * that whatever KVM sets up lazily is there, and is paused meanwhile.
 */
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
	struct vm *vm = vm_create(0);
	struct vcpu *vcpu;

	roles_begin();
	vcpu = vm_add_vcpu(vm, 0, role_spinner, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	vcpu_pause(vcpu);
	/* Or the first sample pays for the vCPU's move to this processor. */
	vcpu_pin(vcpu, host_cpu(0));
	for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (is_intel ? !steps[i].on_intel : !steps[i].on_amd)
			continue;
		measure(vcpu, steps[i].path, WARM_UP, samples);
		measure(vcpu, steps[i].path, count, samples);
		report(steps[i].name, count);
	}
	if (!is_intel) {
		ask(vcpu, PATHBENCH_LOCKS, PATHBENCH_WINDOW, count, samples);
		report("window_locks", count);
	}
	vcpu_resume(vcpu);
	roles_finish(vm);
}

/* One at a time: each must be handled before the next finds the same state. */
static void deliver(const char *name, enum pathbench_path path, bool blocked, uint32_t count)
{
	struct vm *vm = vm_create(0);
	struct guest_cpu *guest;
	struct vcpu *vcpu;

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	vcpu = vm_add_vcpu(vm, 0, blocked ? role_sleeper : role_spinner, 0);
	guest = vcpu->guest;
	vm_start(vm);
	roles_wait_ready(vm, 0);
	for (uint32_t i = 0; i < WARM_UP + count; i++) {
		uint64_t ticks;

		if (blocked)
			vm_wait(vm, vcpu_is_blocked(vcpu), "the target blocks");
		measure(vcpu, path, 1, &ticks);
		vm_wait(vm, guest->irqs[VECTOR] > i, "the interrupt is handled");
		if (i >= WARM_UP)
			samples[i - WARM_UP] = ticks;
	}
	report(name, count);
	roles_finish(vm);
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
static uint64_t wake_sleeper(int vcpu_fd, enum pathbench_path path, uint32_t target)
{
	uint64_t ticks;
	struct pathbench_request request = {
		.vcpu_fd = vcpu_fd,
		.path = path,
		.vector = SLEEPERS_VECTOR,
		.samples = 1,
		.sleepers = SLEEPERS,
		.target = target,
		.ticks = (uintptr_t)&ticks,
	};

	while (ioctl(device, PATHBENCH_MEASURE, &request)) {
		if (errno != EAGAIN) {
			perror("a wake-up");
			exit(1);
		}
		sleep_us(LOOK_US);
	}
	return ticks;
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
	int vcpu_fd = sleepers_start(SLEEPERS);

	for (unsigned int step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
		for (uint32_t i = 0; i < WARM_UP + count; i++)
			samples[i < WARM_UP ? 0 : i - WARM_UP] =
				wake_sleeper(vcpu_fd, steps[step].path,
					     steps[step].one_due ? 1 + i % SLEEPERS : 0);
		report(steps[step].name, count);
	}
}

static const struct {
	const char *name;
	void (*measure)(uint32_t count);
	bool by_default;
} groups[] = {
	{"own", own_steps, true},
	{"running", deliver_running, true},
	{"blocked", deliver_blocked, true},
	/* Last: its vCPUs stay. */
	{"sleepers", wake_sleepers, false},
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
	uint32_t count = argc >= 2 ? strtoul(argv[1], NULL, 0) : 0;

	if (!count) {
		fprintf(stderr, "Usage: %s SAMPLES [own|running|blocked|sleepers...]\n", argv[0]);
		return 2;
	}
	device = open("/dev/vapic-pathbench", O_RDWR | O_CLOEXEC);
	samples = calloc(count + WARM_UP, sizeof(*samples));
	if (device < 0 || !samples) {
		perror("/dev/vapic-pathbench");
		return 1;
	}
	fprintf(stderr, "# %s\n", accel_check()->reason);
	if (accel_check()->verdict != ACCEL_OK)
		return 1;
	for (unsigned int i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (is_wanted(i, argv + 2))
			groups[i].measure(count);
	return 0;
}
