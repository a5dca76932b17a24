// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of an assigned device, which the IOMMU posts while acceleration is on: each must
 * arrive, and once, whatever the vCPU does meanwhile and whatever changes about it.
 *
 * Unless said otherwise, the device raises an interrupt only when the guest has handled the last
 * one, so that no two of them become one.
 */
#include "lib/test.h"

#include "lib/beside.h"
#include "lib/device.h"
#include "lib/roles.h"

#define VECTOR		0x61

/* Counts at the begin of a test. */
static struct device_counts before;

static struct vm *begin(void (*target)(uint64_t), unsigned int targets)
{
	struct vm *vm = vm_create(0);

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	for (unsigned int i = 0; i < targets; i++)
		vm_add_vcpu(vm, i, target, 0);
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

#define REQUIRE_DEVICE() do {						\
	REQUIRE_EXPECTED_ACCELERATION();				\
	if (!device_is_there())						\
		SKIP(return, "needs the test module fake_device, or an AMD IOMMU"); \
} while (0)

/* All of them were posted if acceleration is on, and none otherwise. */
static void expect_fired(struct __test_metadata *_metadata, uint64_t count)
{
	struct device_counts now = device_counts();
	uint64_t posted = device_posted(&now) - device_posted(&before);
	uint64_t remapped = now.remapped - before.remapped;

	EXPECT_EQ(accel_check()->active ? count : 0, posted);
	EXPECT_EQ(accel_check()->active ? 0 : count, remapped);
}

TEST(each_interrupt_reaches_a_running_vcpu_once)
{
	struct vcpu *target;
	uint64_t exits;
	struct vm *vm;

	REQUIRE_DEVICE();
	vm = begin(role_spinner, 1);
	target = &vm->vcpus[0];
	exits = vcpu_stat(target, "exits");
	for (unsigned int i = 0; i < rounds; i++)
		device_fire_at(&vm->vcpus[0], VECTOR);
	exits = vcpu_stat(target, "exits") - exits;
	/* A duplicate would come about now. */
	sleep_us(5000);
	EXPECT_EQ(rounds, target->guest->irqs[VECTOR]);
	expect_fired(_metadata, rounds);
	NOTE("%llu exits for %u interrupts\n", (unsigned long long)exits, rounds);
	finish(vm);
}

TEST(each_interrupt_wakes_a_blocked_vcpu_once)
{
	struct vcpu *target;
	struct vm *vm;

	REQUIRE_DEVICE();
	vm = begin(role_sleeper, 1);
	target = &vm->vcpus[0];
	for (unsigned int i = 0; i < rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(target), "the target blocks");
		device_fire_at(&vm->vcpus[0], VECTOR);
	}
	sleep_us(5000);
	EXPECT_EQ(rounds, target->guest->irqs[VECTOR]);
	expect_fired(_metadata, rounds);
	/*
	 * The IOMMU had to wake it for that, by the vector or its log; but for a vCPU that was
	 * preempted in its last steps to sleep, and looks for interrupts when it goes on.
	 */
	if (accel_check()->active) {
		uint64_t woken = device_counts().woken - before.woken;

		EXPECT_GE(rounds, woken);
		EXPECT_LE(rounds - rounds / 1000, woken);
	}
	finish(vm);
}

/* From no delay up to some 100 us after the last interrupt, while the vCPU halts. */
TEST(no_interrupt_is_lost_while_the_target_goes_to_sleep)
{
	struct vm *vm;

	REQUIRE_DEVICE();
	vm = begin(role_sleeper, 1);
	for (unsigned int i = 0; i < 4 * rounds; i++) {
		for (unsigned int spins = host_random() % (1U << i % 16); spins; spins--)
			cpu_pause();
		device_fire_at(&vm->vcpus[0], VECTOR);
	}
	sleep_us(5000);
	EXPECT_EQ(4 * rounds, vm->vcpus[0].guest->irqs[VECTOR]);
	expect_fired(_metadata, 4 * rounds);
	finish(vm);
}

/* ---- What happens beside ---- */

TEST(interrupt_of_a_preempted_vcpu_waits_for_it_without_a_notification)
{
	struct device_counts now;
	unsigned int fired = 0;
	struct vm *vm;
	bool rings;

	REQUIRE_DEVICE();
	/*
	 * VT-d's IOMMU is told to be quiet. With vapic, AMD's rings the processor that the vCPU was
	 * on, which ignores it.
	 */
	rings = device_is_real() && accel_check()->vapic;
	vm = begin(role_spinner, 1);
	beside(beside_compete, vm);
	do {
		device_fire_at(&vm->vcpus[0], VECTOR);
		sleep_us(300);
		now = device_counts();
		fired++;
	} while (fired < rounds ||
		 (accel_check()->active && !rings && now.suppressed == before.suppressed &&
		  now.woken == before.woken && fired < 100 * rounds));
	beside_stop();
	EXPECT_EQ(fired, vm->vcpus[0].guest->irqs[VECTOR]);
	expect_fired(_metadata, fired);
	finish(vm);
	/* It never slept, so nobody had to wake it. */
	if (now.woken != before.woken && accel_is_avic() && !accel_check()->vapic)
		EXPECTED_FAILURE(return, "stock has the GA log tell of %llu of %u interrupts",
				 (unsigned long long)(now.woken - before.woken), fired);
	EXPECT_EQ(before.woken, now.woken);
	if (accel_check()->active && !rings)
		EXPECT_LT(before.suppressed, now.suppressed);
}

static void *migrate(void *vm)
{
	while (!beside_ends) {
		vcpu_pin(&((struct vm *)vm)->vcpus[0], host_cpu(host_random()));
		sleep_us(500);
	}
	return NULL;
}

static void fire_while(struct __test_metadata *_metadata, void *(*what)(void *),
		       void (*target)(uint64_t))
{
	struct vm *vm = begin(target, 1);

	beside(what, vm);
	for (unsigned int i = 0; i < 4 * rounds; i++)
		device_fire_at(&vm->vcpus[0], VECTOR);
	beside_stop();
	sleep_us(5000);
	EXPECT_EQ(4 * rounds, vm->vcpus[0].guest->irqs[VECTOR]);
	if (what == migrate)
		expect_fired(_metadata, 4 * rounds);
	/* Whatever went on beside, the vCPU is accelerated afterwards. */
	if (target == role_spinner)
		EXPECT_EQ(accel_check()->active, vcpu_is_accelerated(&vm->vcpus[0]));
	finish(vm);
}

TEST(no_interrupt_is_lost_while_a_running_vcpu_moves)
{
	REQUIRE_DEVICE();
	fire_while(_metadata, migrate, role_spinner);
}

TEST(no_interrupt_is_lost_while_a_sleeping_vcpu_moves)
{
	REQUIRE_DEVICE();
	fire_while(_metadata, migrate, role_sleeper);
}

static void *inhibit(void *vm)
{
	bool on = false;

	vm_add_blocker(vm);
	do {
		on = !on;
		vm_block(vm, on);
		sleep_us(500);
	} while (on || !beside_ends);
	return NULL;
}

TEST(no_interrupt_is_lost_while_acceleration_comes_and_goes)
{
	REQUIRE_DEVICE();
	MAY_LOSE_INTERRUPTS();
	fire_while(_metadata, inhibit, role_spinner);
}

TEST(no_sleeper_is_lost_while_acceleration_comes_and_goes)
{
	REQUIRE_DEVICE();
	MAY_LOSE_INTERRUPTS();
	fire_while(_metadata, inhibit, role_sleeper);
}

/*
 * The guest moves its MSI from one vCPU to the other right after an interrupt. The first must
 * still get that one.
 */
TEST(no_interrupt_is_lost_while_the_msi_moves)
{
	bool host_has_it;
	struct vm *vm;

	REQUIRE_DEVICE();
	/* One that the host is still about to hand on would take the new route. */
	host_has_it = device_is_real() && !accel_check()->active;
	vm = begin(role_spinner, 2);
	for (unsigned int i = 0; i < 4 * rounds; i++) {
		vm_wait(vm, vm->vcpus[i % 2].guest->irqs[VECTOR] == i / 2,
			"the interrupt before the last is handled");
		if (host_has_it)
			vm_wait(vm, vm->vcpus[(i + 1) % 2].guest->irqs[VECTOR] == (i + 1) / 2,
				"the last interrupt is handled");
		device_route(vm, i % 2, VECTOR);
		device_fire(1);
	}
	for (unsigned int i = 0; i < 2; i++)
		vm_wait(vm, vm->vcpus[i].guest->irqs[VECTOR] == 2 * rounds,
			"each vCPU has half of the interrupts");
	sleep_us(5000);
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_EQ(2 * rounds, vm->vcpus[i].guest->irqs[VECTOR]);
	expect_fired(_metadata, 4 * rounds);
	finish(vm);
}

static void *keep_firing(void *vm)
{
	(void)vm;
	while (!beside_ends)
		device_fire(1);
	return NULL;
}

/* The device fires, but may have to wait for a processor. */
static void wait_for_another_remapped(uint64_t remapped)
{
	uint64_t begun = patience_us();

	while (device_counts().remapped == remapped && patience_us() - begun < vm_timeout_us())
		sleep_us(100);
}

/* Of an interrupt storm while the VM ends nothing is posted to what the VM has left. */
TEST(vm_may_die_while_its_device_fires)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct device_counts died;
		struct vm *vm;

		REQUIRE_DEVICE();
		vm = begin(i % 2 ? role_spinner : role_sleeper, 2);
		beside(keep_firing, vm);
		sleep_us(2000);
		vm_destroy(vm);
		died = device_counts();
		sleep_us(2000);
		wait_for_another_remapped(died.remapped);
		beside_stop();
		before = device_counts();
		EXPECT_EQ(device_posted(&died), device_posted(&before));
		EXPECT_LT(died.remapped, before.remapped);
		device_take_away();
	}
}

TEST_MAIN(50)
