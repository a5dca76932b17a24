// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC's timer in its three modes, on a vCPU that runs and on one that sleeps: each
 * interrupt comes, comes once, and not before its time, also while acceleration comes and goes;
 * what is masked or stopped stays silent.
 */
#include "lib/modes.h"

#include "lib/roles.h"

#define VECTOR		0x71
#define ID		3

/* KVM's APIC counts at 1 GHz; the divider below is 1. */
#define NS(us)		((us) * 1000)
#define DIVIDE_BY_1	0xb
/* The conversion between ticks of the TSC and nanoseconds is not exact. */
#define EARLY_US	20

static volatile uint64_t tsc_per_us;
static volatile bool sleeps;
/* What the guest has armed and taken; it arms again only when it has taken the last one. */
static volatile uint32_t armed;

static void wait_for_interrupt(uint32_t count)
{
	struct guest_cpu *self = guest_self();

	if (!sleeps) {
		guest_wait(self->irqs[VECTOR] >= count);
		return;
	}
	irq_disable();
	while (self->irqs[VECTOR] < count) {
		halt_with_irqs();
		irq_disable();
	}
	irq_enable();
}

/*
 * In pieces: if the host's own host stalls, the time has passed at once, but its timers have not
 * fired yet.
 */
static void pass_time(uint32_t us)
{
	enum { PIECES = 16 };

	for (unsigned int i = 0; i < PIECES; i++) {
		uint64_t begin = read_tsc();

		guest_wait(read_tsc() - begin > us * tsc_per_us / PIECES);
	}
}

static void set_up(uint32_t timer_mode)
{
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_TDCR, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VECTOR | timer_mode);
	/* An MSR may overtake a store to the APIC page. */
	full_barrier();
}

/* Ends with the interrupt, which may not be early. */
static void await(uint64_t begin, uint32_t us)
{
	struct guest_cpu *self = guest_self();

	wait_for_interrupt(++armed);
	GUEST_ASSERT(self->irq_tsc[VECTOR] + EARLY_US * tsc_per_us >= begin + us * tsc_per_us);
}

static void oneshot_guest(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 0; i < count; i++) {
		uint32_t us = guest_random() % (i % 4 ? 300 : 5000);
		uint64_t begin;

		set_up(APIC_TIMER_ONESHOT);
		begin = read_tsc();
		apic_write(APIC_TMICT, NS(us) + 1);
		await(begin, us);
		GUEST_ASSERT_EQ(apic_read(APIC_TMCCT), 0);
		/* A second one would come now. */
		guest_delay(guest_random() % 2000);
		GUEST_ASSERT_EQ(guest_self()->irqs[VECTOR], armed);
	}
	role_set_ready();
	role_wait_finished();
}

static void deadline_guest(uint64_t count)
{
	irq_enable();
	set_up(APIC_TIMER_DEADLINE);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t us = guest_random() % (i % 4 ? 300 : 5000);
		uint64_t begin = read_tsc();

		write_msr(MSR_TSC_DEADLINE, begin + us * tsc_per_us);
		await(begin, us);
		GUEST_ASSERT_EQ(read_msr(MSR_TSC_DEADLINE), 0);
	}
	/* One that has passed already comes at once. */
	write_msr(MSR_TSC_DEADLINE, 1);
	wait_for_interrupt(++armed);
	role_set_ready();
	role_wait_finished();
}

#define PERIOD_US	2000
#define PERIODS		5

static void periodic_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	irq_enable();
	for (uint32_t i = 0; i < count; i += PERIODS) {
		uint64_t begin;
		uint32_t taken;

		set_up(APIC_TIMER_PERIODIC);
		begin = read_tsc();
		armed = self->irqs[VECTOR];
		apic_write(APIC_TMICT, NS(PERIOD_US));
		wait_for_interrupt(armed + PERIODS);
		/* The first is not early, and no two come for one period. */
		GUEST_ASSERT(self->irq_tsc[VECTOR] + EARLY_US * tsc_per_us >=
			     begin + PERIODS * PERIOD_US * tsc_per_us);
		apic_write(APIC_TMICT, 0);
		apic_write(APIC_LVT_TIMER, VECTOR | APIC_TIMER_PERIODIC | APIC_LVT_MASKED);
		/* One may have been on its way. */
		guest_delay(1000);
		taken = self->irqs[VECTOR];
		pass_time(2 * PERIOD_US);
		GUEST_ASSERT_EQ(self->irqs[VECTOR], taken);
	}
	role_set_ready();
	role_wait_finished();
}

/* What expires while it is masked raises nothing, then or later. */
static void masked_guest(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 0; i < count; i++) {
		set_up(APIC_TIMER_ONESHOT | APIC_LVT_MASKED);
		apic_write(APIC_TMICT, NS(200));
		pass_time(1000);
		GUEST_ASSERT_EQ(apic_read(APIC_TMCCT), 0);
		apic_write(APIC_LVT_TIMER, VECTOR | APIC_TIMER_ONESHOT);
		pass_time(200);
	}
	role_set_ready();
	role_wait_finished();
}

/* What is stopped before its time, or is of another mode, raises nothing. */
static void stopped_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	irq_enable();
	for (uint32_t i = 0; i < count; i++) {
		set_up(APIC_TIMER_ONESHOT);
		/* Far enough away that nobody is late for it */
		apic_write(APIC_TMICT, NS(500000));
		GUEST_ASSERT(apic_read(APIC_TMCCT) <= NS(500000));
		apic_write(APIC_TMICT, 0);
		GUEST_ASSERT_EQ(apic_read(APIC_TMCCT), 0);

		/* The deadline is not for other modes, and a change of mode forgets it. */
		write_msr(MSR_TSC_DEADLINE, read_tsc());
		GUEST_ASSERT_EQ(read_msr(MSR_TSC_DEADLINE), 0);
		set_up(APIC_TIMER_DEADLINE);
		write_msr(MSR_TSC_DEADLINE, read_tsc() + 500000 * tsc_per_us);
		set_up(APIC_TIMER_ONESHOT);
		set_up(APIC_TIMER_DEADLINE);
		GUEST_ASSERT_EQ(read_msr(MSR_TSC_DEADLINE), 0);
		GUEST_ASSERT_EQ(self->irqs[VECTOR], 0);
	}
	role_set_ready();
	role_wait_finished();
}

static struct vm *begin_vm(void (*guest)(uint64_t), bool sleeper)
{
	struct vm *vm = vm_create(mode);
	struct vcpu *vcpu;

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	armed = 0;
	sleeps = sleeper;
	vcpu = vm_add_vcpu(vm, ID, guest, rounds);
	tsc_per_us = vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL) / 1000;
	return vm;
}

static bool is_done(struct vm *vm)
{
	return role_is_ready(&vm->vcpus[0]);
}

static void run(void (*guest)(uint64_t), bool sleeper)
{
	struct vm *vm = begin_vm(guest, sleeper);

	vm_start(vm);
	vm_wait_slowly(vm, is_done(vm), "the timer has fired each time");
	roles_finish(vm);
}

TEST_F(guest, one_shot_timer_interrupts_a_running_vcpu_once)
{
	run(oneshot_guest, false);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[VECTOR]);
}

TEST_F(guest, one_shot_timer_wakes_a_halted_vcpu_once)
{
	run(oneshot_guest, true);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[VECTOR]);
}

TEST_F(guest, deadline_interrupts_a_running_vcpu_once)
{
	run(deadline_guest, false);
	EXPECT_EQ(rounds + 1, guest_cpus[0].irqs[VECTOR]);
}

TEST_F(guest, deadline_wakes_a_halted_vcpu_once)
{
	run(deadline_guest, true);
	EXPECT_EQ(rounds + 1, guest_cpus[0].irqs[VECTOR]);
}

TEST_F(guest, periodic_timer_fires_until_it_is_stopped)
{
	run(periodic_guest, false);
	EXPECT_LE(rounds, guest_cpus[0].irqs[VECTOR]);
	run(periodic_guest, true);
	EXPECT_LE(rounds, guest_cpus[0].irqs[VECTOR]);
}

TEST_F(guest, timer_that_is_stopped_is_silent)
{
	run(stopped_guest, false);
	EXPECT_EQ(0, guest_cpus[0].irqs[VECTOR]);
}

TEST_F(guest, timer_that_expires_while_masked_is_forgotten)
{
	run(masked_guest, false);
	/* Once each time, if KVM remembers. The timer is KVM's, under vapic too. */
	ASSERT_GE(rounds, guest_cpus[0].irqs[VECTOR]);
	if (guest_cpus[0].irqs[VECTOR])
		EXPECTED_FAILURE(return, "KVM: it fires when it is unmasked");
}

static void toggle_meanwhile(struct __test_metadata *_metadata, void (*guest)(uint64_t),
			     uint32_t wanted, bool sleeper)
{
	struct vm *vm = begin_vm(guest, sleeper);
	uint32_t toggles = 0;

	vm_add_blocker(vm);
	vm_start(vm);
	while (!is_done(vm)) {
		uint32_t before = guest_cpus[0].irqs[VECTOR];

		vm_block(vm, toggles++ % 2 == 0);
		vm_wait(vm, is_done(vm) || guest_cpus[0].irqs[VECTOR] != before,
			"the timer fires while acceleration comes or goes");
	}
	vm_block(vm, false);
	EXPECT_EQ(wanted, guest_cpus[0].irqs[VECTOR]);
	NOTE("%u interrupts, %u changes\n", guest_cpus[0].irqs[VECTOR], toggles);
	EXPECT_LE(1, toggles);
	roles_finish(vm);
}

TEST_F(guest, no_timer_interrupt_is_lost_while_acceleration_comes_and_goes)
{
	MAY_LOSE_INTERRUPTS();
	toggle_meanwhile(_metadata, oneshot_guest, rounds, false);
	toggle_meanwhile(_metadata, oneshot_guest, rounds, true);
	toggle_meanwhile(_metadata, deadline_guest, rounds + 1, true);
}

TEST_MAIN(12)
