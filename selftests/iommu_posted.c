// SPDX-License-Identifier: GPL-2.0-only
/*
 * What AMD's IOMMU does with the interrupts of a PCI device that vfio-pci assigns to the guest: it
 * posts them past the host's interrupt handler, and its GA log wakes a vCPU that sleeps.
 * device_posted has the tests that do not depend on the vendor.
 *
 * Unless said otherwise, the device raises an interrupt only when the guest has handled the last
 * one, so that no two of them become one.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "lib/test.h"

#include "lib/beside.h"
#include "lib/counters.h"
#include "lib/device.h"
#include "lib/pci.h"
#include "lib/roles.h"

#define VECTOR		0x61

/* What ends quietly in the kernel comes about within this time. */
#define SETTLE_US	5000

/* Counts at the begin of a test. */
static struct device_counts before;

static struct vm *begin(void (*target)(uint64_t))
{
	struct vm *vm = vm_create(0);

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, target, 0);
	device_route(vm, 0, VECTOR);
	device_assign(vm);
	before = device_counts();
	vm_start(vm);
	roles_wait_ready(vm, 0);
	return vm;
}

static void finish(struct vm *vm)
{
	device_take_away();
	roles_finish(vm);
}

#define REQUIRE_IOMMU() do {						\
	REQUIRE_EXPECTED_ACCELERATION();				\
	if (!device_is_there() || !device_is_real())			\
		SKIP(return, "needs QEMU's device edu and vfio-pci behind an AMD IOMMU"); \
} while (0)

static uint32_t handled(struct vm *vm)
{
	return vm->vcpus[0].guest->irqs[VECTOR];
}

static void fire(struct vm *vm)
{
	device_fire_at(&vm->vcpus[0], VECTOR);
}

/*
 * The guest has as many as the device has raised, and all took the way that they should take: past
 * the host's interrupt handler if acceleration is on.
 */
static void expect_all(struct __test_metadata *_metadata, struct vm *vm, uint64_t count)
{
	bool posts = accel_check()->active;
	struct device_counts now;

	sleep_us(SETTLE_US);
	now = device_counts();
	EXPECT_EQ(count, handled(vm));
	EXPECT_EQ(posts ? count : 0, device_posted(&now) - device_posted(&before));
	EXPECT_EQ(posts ? 0 : count, now.remapped - before.remapped);
}

/* Of those posted since begin(), how many went to the GA log. */
static uint64_t logged(void)
{
	return device_counts().woken - before.woken;
}

TEST(running_vcpu_gets_each_interrupt_without_the_host)
{
	struct vm *vm;

	REQUIRE_IOMMU();
	vm = begin(role_spinner);
	for (unsigned int i = 0; i < rounds; i++)
		fire(vm);
	expect_all(_metadata, vm, rounds);
	NOTE("%llu exits for %u interrupts; %llu in the GA log\n",
	     (unsigned long long)vcpu_stat(&vm->vcpus[0], "exits"), rounds,
	     (unsigned long long)logged());
	finish(vm);
}

TEST(log_wakes_a_blocked_vcpu_for_each_interrupt)
{
	struct vm *vm;

	REQUIRE_IOMMU();
	vm = begin(role_sleeper);
	for (unsigned int i = 0; i < rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the vCPU blocks");
		fire(vm);
	}
	expect_all(_metadata, vm, rounds);
	EXPECT_EQ(accel_check()->active ? rounds : 0, logged());
	finish(vm);
}

TEST(preempted_vcpu_gets_each_interrupt_once)
{
	struct vm *vm;
	uint64_t log;

	REQUIRE_IOMMU();
	vm = begin(role_spinner);
	beside(beside_compete, vm);
	for (unsigned int i = 0; i < rounds; i++) {
		fire(vm);
		/* Not always right behind the last: by then the vCPU runs. */
		sleep_us(host_random() % 5000);
	}
	beside_stop();
	expect_all(_metadata, vm, rounds);
	log = logged();
	NOTE("%llu of %u in the GA log\n", (unsigned long long)log, rounds);
	finish(vm);
	/* The vCPU never slept, so there was nobody to wake. */
	if (log && accel_is_avic() && !accel_check()->vapic)
		EXPECTED_FAILURE(return, "stock logs interrupts for a vCPU that was only preempted");
	EXPECT_EQ(0, log);
}

/* ---- More entries than the log has room for ---- */

/*
 * Of the log's interrupt, by which the kernel reads the log in a thread; older kernels have one
 * interrupt for all logs.
 */
#define LOG_IRQ		"AMD-Vi0-GA"
#define LOGS_IRQ	"AMD-Vi\n"
/* The log has 512 entries. */
#define STORM		2000

static void place_log_irq(struct vm *vm, int pcpu)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char line[4096], folder[64] = "", text[16];

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, LOG_IRQ) || strstr(line, LOGS_IRQ))
			snprintf(folder, sizeof(folder), "/proc/irq/%d", atoi(line));
	if (file)
		fclose(file);
	snprintf(text, sizeof(text), "%d", pcpu);
	if (!sysfs_write(folder, "smp_affinity_list", text))
		vm_fail(vm, "cannot move " LOG_IRQ " to processor %d", pcpu);
}

/* Nothing else runs on the processor meanwhile, not even the thread that reads the log. */
static void *storm(void *unused)
{
	(void)unused;
	device_fire(STORM);
	return NULL;
}

static void storm_on(struct vm *vm, int pcpu)
{
	struct sched_param first = { .sched_priority = 99 };
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(pcpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &first);
	if (pthread_create(&thread, &attr, storm, NULL))
		vm_fail(vm, "no thread before all others");
	pthread_join(thread, NULL);
}

TEST(log_that_overflows_wakes_and_goes_on)
{
	uint64_t lost;
	uint32_t count;
	struct vm *vm;
	int pcpu;

	REQUIRE_IOMMU();
	vm = begin(role_sleeper);
	pcpu = host_cpu(vm->vcpus[0].pcpu + 1);
	place_log_irq(vm, pcpu);
	/* The interrupt moves when it comes, its thread when that runs the next time. */
	for (unsigned int i = 0; i < 3; i++) {
		vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the vCPU blocks");
		fire(vm);
	}
	vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the vCPU blocks");
	lost = counters_total("iommu.ga_lost");
	count = handled(vm);
	storm_on(vm, pcpu);
	vm_wait(vm, handled(vm) != count, "the storm is handled");
	lost = counters_total("iommu.ga_lost") - lost;
	EXPECT_EQ(accel_check()->active, lost > 0);
	NOTE("%llu of %u found no room in the log\n", (unsigned long long)lost, STORM);
	/* It is in use again, and nothing is left of the storm. */
	for (unsigned int i = 0; i < rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the vCPU blocks");
		count = handled(vm);
		fire(vm);
		EXPECT_EQ(count + 1, handled(vm));
	}
	finish(vm);
}

TEST_MAIN(200)
