// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PIT, whose missed ticks KVM makes up for ("reinjection").  No tick may be lost, by way of
 * the IOAPIC and of the PIC, while interrupts are on and after they were off for some periods.
 * And it must not keep the VM from being accelerated, which it does under stock AVIC.
 */
#include "lib/test.h"

#include "lib/ioapic.h"
#include "lib/pic.h"
#include "lib/roles.h"

#define VECTOR		0x62
/* GSI 0, unless user space routes it elsewhere. */
#define PIN		0
#define HZ_OF_PIT	1193182
/* Long, because an emulated host may stop for some time. */
#define PERIOD_US	50000
#define COUNT		((uint64_t)HZ_OF_PIT * PERIOD_US / 1000000)
#define PERIODS_OFF	5
#define HASTE		20

static volatile bool by_pic, hasty, asks, starts, started, stops, off, is_off, on_again;
static volatile uint32_t taken;

static void count_tick(struct guest_frame *frame)
{
	taken++;
	guest_count_irq(frame);
}

/* Channel 0, both bytes, mode 2; or mode 0, whose single tick comes after the longest time. */
static void program(bool periodic)
{
	uint32_t count = !periodic ? 0 : hasty ? COUNT / HASTE : COUNT;

	write_port8(0x43, periodic ? 0x34 : 0x30);
	write_port8(0x40, count & 0xff);
	write_port8(0x40, count >> 8);
}

static void ticking_guest(uint64_t unused)
{
	(void)unused;
	/* The PIT's line is at both controllers; the PIC begins unmasked, the IOAPIC masked. */
	if (by_pic) {
		pic_begin_at(0);
	} else {
		pic_mask_all();
		ioapic_route(PIN, guest_self()->apic_id, VECTOR, 0);
	}
	irq_enable();
	role_set_ready();
	guest_wait(starts || roles_finished);
	if (starts)
		program(true);
	started = true;
	while (!roles_finished) {
		if (off && !on_again) {
			irq_disable();
			is_off = true;
			guest_wait(on_again);
			irq_enable();
		}
		if (stops) {
			program(false);
			stops = false;
		}
		/* For the state of channel 0 */
		if (asks)
			write_port8(0x43, 0);
		guest_poll();
	}
}

static uint32_t ticks(void)
{
	return by_pic ? pic_extints : taken;
}

static struct vm *begin(bool pic)
{
	struct vm *vm = vm_create(0);

	roles_begin();
	by_pic = pic;
	hasty = asks = starts = started = stops = off = is_off = on_again = false;
	taken = 0;
	guest_set_handler(VECTOR, count_tick);
	vm_add_pit(vm);
	vm_add_vcpu(vm, 0, ticking_guest, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	return vm;
}

/*
 * Sets *BEGUN to a time less than a period before the guest started the PIT, without which nobody
 * knows how many ticks are due. A busy machine may need some attempts.
 */
static struct vm *begin_ticking(bool pic, uint64_t *begun)
{
	for (unsigned int tries = 0;; tries++) {
		struct vm *vm = begin(pic);

		*begun = host_clock_us();
		starts = true;
		vm_wait(vm, started, "the guest starts the PIT");
		if (host_clock_us() - *begun < PERIOD_US)
			return vm;
		if (tries == 20)
			vm_fail(vm, "the machine is too busy to know when the PIT started");
		roles_finish(vm);
	}
}

/* Stock AVIC is off as long as the PIT reinjects. */
static bool inhibited_by_stock(void)
{
	return accel_is_avic() && !accel_check()->vapic;
}

/* A guest that was behind, maybe since the machine is busy, is not for a second. */
static bool becomes_accelerated(struct vcpu *vcpu)
{
	for (unsigned int tries = 0; tries < 40; tries++) {
		if (vcpu_is_accelerated(vcpu))
			return true;
		sleep_us(100000);
	}
	return false;
}

/* Ticks that are due in so much time, by the clock that KVM sets the PIT's timer by. */
static uint64_t due(uint64_t since_us)
{
	return (host_clock_us() - since_us) / PERIOD_US;
}

/*
 * How many ticks are missing, at the least, in some periods.  None is at some time in each, if the
 * guest keeps up: see begin_ticking().
 */
static uint64_t missing(uint64_t since_us)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int samples = 0; least && samples < 200; samples++) {
		uint64_t now = due(since_us) - ticks();

		if (now < least)
			least = now;
		sleep_us(PERIOD_US / 7);
	}
	return least;
}

TEST(pit_that_reinjects_does_not_inhibit)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin(false);
	if (inhibited_by_stock() && !vcpu_is_accelerated(&vm->vcpus[0])) {
		EXPECTED_FAILURE(roles_finish(vm); return,
				 "stock AVIC is off while a PIT reinjects, though it does not tick");
	}
	EXPECT_EQ(accel_check()->active, vcpu_is_accelerated(&vm->vcpus[0]));
	roles_finish(vm);
}

/* All ticks that are due come, and the guest is accelerated meanwhile. */
static void each_tick_comes(struct __test_metadata *_metadata, bool pic)
{
	uint64_t begun;
	struct vm *vm = begin_ticking(pic, &begun);

	vm_wait(vm, ticks() >= rounds / 2, "half of the ticks have come");
	/* The PIC's interrupts need windows, for which AVIC is off again and again. */
	if (!pic && accel_check()->active && !inhibited_by_stock())
		EXPECT_TRUE(becomes_accelerated(&vm->vcpus[0]));
	vm_wait(vm, ticks() >= rounds, "all ticks have come");
	EXPECT_EQ(0, missing(begun));
	NOTE("%u ticks, %llu due\n", ticks(), (unsigned long long)due(begun));
	roles_finish(vm);
}

TEST(each_tick_comes_by_the_ioapic)
{
	REQUIRE_EXPECTED_ACCELERATION();
	each_tick_comes(_metadata, false);
}

TEST(each_tick_comes_by_the_pic)
{
	REQUIRE_EXPECTED_ACCELERATION();
	each_tick_comes(_metadata, true);
}

/* Interrupts are off for some periods, again and again; the ticks come later. */
static void ticks_are_made_up_for(struct __test_metadata *_metadata, bool pic)
{
	uint64_t begun;
	struct vm *vm = begin_ticking(pic, &begun);
	uint32_t before;

	for (unsigned int i = 0; i < 3; i++) {
		vm_wait(vm, due(begun) >= (i + 1) * rounds / 4, "it ticks for a while");
		on_again = is_off = false;
		off = true;
		vm_wait(vm, is_off, "the guest turns interrupts off");
		before = ticks();
		sleep_us(PERIODS_OFF * PERIOD_US);
		EXPECT_EQ(before, ticks());
		on_again = true;
		off = false;
		vm_wait(vm, ticks() + 2 >= due(begun), "the guest has caught up");
	}
	EXPECT_EQ(0, missing(begun));
	NOTE("%u ticks, %llu due\n", ticks(), (unsigned long long)due(begun));
	if (!pic && accel_check()->active && !inhibited_by_stock())
		EXPECT_TRUE(becomes_accelerated(&vm->vcpus[0]));
	/* It ticks on. */
	before = ticks();
	vm_wait(vm, ticks() >= before + 4, "the PIT ticks on");
	roles_finish(vm);
}

TEST(ticks_that_the_ioapic_held_are_made_up_for)
{
	REQUIRE_EXPECTED_ACCELERATION();
	ticks_are_made_up_for(_metadata, false);
}

TEST(ticks_that_the_pic_held_are_made_up_for)
{
	REQUIRE_EXPECTED_ACCELERATION();
	ticks_are_made_up_for(_metadata, true);
}

/* As Linux does soon after it has booted. The VM may die while it is inhibited. */
TEST(guest_that_stops_the_pit_is_accelerated)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin(false);
	starts = true;
	vm_wait(vm, ticks() >= 2, "it ticks");
	off = true;
	sleep_us(PERIODS_OFF * PERIOD_US);
	stops = true;
	on_again = true;
	off = false;
	vm_wait(vm, !stops, "the guest has stopped the PIT");
	if (accel_check()->active && !inhibited_by_stock())
		EXPECT_TRUE(becomes_accelerated(&vm->vcpus[0]));
	roles_finish(vm);
}

TEST(vm_may_die_while_the_guest_is_behind)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	for (unsigned int i = 0; i < 3; i++) {
		vm = begin(false);
		starts = true;
		vm_wait(vm, ticks() >= 1, "it ticks");
		off = true;
		sleep_us(3 * PERIOD_US + i * 7000);
		vm_destroy(vm);
	}
}

/*
 * Whoever ends reinjection holds KVM's lock of the PIT, and must not wait for a vCPU that waits for
 * that lock.  Vapic has something to wait for after a tick that is due while the vCPU is outside of
 * the guest, and may have yet to say that the last one was taken.
 */
TEST(reinjection_ends_while_a_vcpu_programs_the_pit)
{
	struct kvm_reinject_control control = { 0 };
	struct vm *vm;
	uint32_t before;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin(false);
	hasty = asks = starts = true;
	vm_wait(vm, started, "the guest starts the PIT");
	for (unsigned int i = 0; i < 2 * rounds; i++) {
		sleep_us(4 * PERIOD_US / HASTE + i % 11 * PERIOD_US / HASTE / 10);
		control.pit_reinject = false;
		vm_ioctl(vm, KVM_REINJECT_CONTROL, &control);
		control.pit_reinject = true;
		vm_ioctl(vm, KVM_REINJECT_CONTROL, &control);
	}
	before = ticks();
	vm_wait(vm, ticks() >= before + 4, "the PIT ticks on");
	roles_finish(vm);
}

TEST_MAIN(24)
