// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of a PCI device that vfio-pci assigns to the guest, on a host with AMD's IOMMU: in
 * guest mode they go into the backing page, and the GA log wakes a vCPU that sleeps.
 *
 * The device raises an interrupt only when the guest has handled the last one, so that no two of
 * them become one, and each is accounted for.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "lib/test.h"

#include "lib/device.h"
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
	uint32_t count = handled(vm);

	device_fire(1);
	vm_wait(vm, handled(vm) != count, "the device's interrupt is handled");
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

/* Up to some 100 us after the last interrupt, while the vCPU halts. */
TEST(no_interrupt_is_lost_while_the_vcpu_goes_to_sleep)
{
	struct vm *vm;

	REQUIRE_IOMMU();
	vm = begin(role_sleeper);
	for (unsigned int i = 0; i < rounds; i++) {
		for (unsigned int spins = host_random() % (1U << i % 16); spins; spins--)
			cpu_pause();
		fire(vm);
	}
	expect_all(_metadata, vm, rounds);
	NOTE("%llu of %u in the GA log\n", (unsigned long long)logged(), rounds);
	finish(vm);
}

/* ---- A vCPU that another thread keeps from its processor ---- */

static volatile bool competition_ends;

static void *compete(void *vm)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(((struct vm *)vm)->vcpus[0].pcpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	while (!competition_ends)
		cpu_pause();
	return NULL;
}

TEST(preempted_vcpu_gets_each_interrupt_once)
{
	pthread_t thread;
	struct vm *vm;
	uint64_t log;

	REQUIRE_IOMMU();
	vm = begin(role_spinner);
	competition_ends = false;
	pthread_create(&thread, NULL, compete, vm);
	for (unsigned int i = 0; i < rounds; i++) {
		fire(vm);
		/* Not always right behind the last: by then the vCPU runs. */
		sleep_us(host_random() % 5000);
	}
	competition_ends = true;
	pthread_join(thread, NULL);
	expect_all(_metadata, vm, rounds);
	log = logged();
	NOTE("%llu of %u in the GA log\n", (unsigned long long)log, rounds);
	finish(vm);
	/* The vCPU never slept, so there was nobody to wake. */
	if (log && accel_is_avic() && !accel_check()->vapic)
		EXPECTED_FAILURE(return, "stock logs interrupts for a vCPU that was only preempted");
	EXPECT_EQ(0, log);
}

TEST_MAIN(200)
