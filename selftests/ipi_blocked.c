// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unicast IPIs to a vCPU that has halted: none may be lost, whether the target is
 * known to be blocked in the host or is about to block when the IPI is sent.
 */
#include "lib/modes.h"

#include "lib/figures.h"

#define VECTOR		0x41
#define MAX_ROUNDS	100000

static volatile bool window_open, window_closed, finished;
static volatile uint32_t go, sent, about_to_halt;
static uint64_t latency[MAX_ROUNDS];

/* Halts once for each IPI, and announces each halt right before. */
static void sleeper(uint64_t arg)
{
	struct guest_cpu *self = guest_self();
	uint32_t seen = 0;

	(void)arg;
	while (!finished) {
		irq_disable();
		if (self->irqs[VECTOR] != seen) {
			seen = self->irqs[VECTOR];
			irq_enable();
			continue;
		}
		about_to_halt = seen + 1;
		halt_with_irqs();
	}
}

/* Sends one IPI each time the host says that the target is blocked. */
static void told_sender(uint64_t count)
{
	struct guest_cpu *target = &guest_cpus[1];

	for (uint32_t i = 0; i < count; i++) {
		uint64_t start;

		guest_wait(go > i);
		start = read_tsc();
		apic_send_fixed(target->apic_id, VECTOR);
		sent = i + 1;
		guest_wait(target->irqs[VECTOR] > i);
		latency[i] = target->irq_tsc[VECTOR] - start;
	}
	window_closed = true;
	guest_wait(finished);
}

/*
 * Sends at a random time after the target has announced its halt, so that over many
 * rounds the IPI arrives during each step of blocking in the host.
 */
static void racing_sender(uint64_t count)
{
	struct guest_cpu *target = &guest_cpus[1];
	uint64_t longest = 64;

	for (uint32_t i = 0; i < count; i++) {
		guest_wait(about_to_halt > i);
		guest_delay(guest_random() % longest);
		apic_send_fixed(target->apic_id, VECTOR);
		sent = i + 1;
		guest_wait(target->irqs[VECTOR] > i);
		/* From 64 to 64 Ki iterations, then from the start again. */
		longest = longest >= 65536 ? 64 : longest * 2;
	}
	window_closed = true;
	guest_wait(finished);
}

static struct vm *start(void (*sender)(uint64_t), uint64_t count)
{
	struct vm *vm = vm_create(mode);

	window_open = window_closed = finished = false;
	go = sent = about_to_halt = 0;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, sender, count);
	vm_add_vcpu(vm, 1, sleeper, 0);
	vm_start(vm);
	return vm;
}

static void finish(struct vm *vm)
{
	finished = true;
	/* The sleeper looks at `finished` when it wakes. */
	while (!vm->vcpus[1].finished) {
		vm_send_msi(vm, 1, VECTOR);
		sleep_us(1000);
	}
	vm_join(vm);
	vm_destroy(vm);
}

TEST_F(guest, ipi_wakes_a_vcpu_known_to_be_blocked)
{
	uint32_t count = rounds < MAX_ROUNDS ? rounds : MAX_ROUNDS;
	struct vcpu *target;
	struct figures figures;
	struct vm *vm;

	vm = start(told_sender, count);
	target = &vm->vcpus[1];
	for (uint32_t i = 0; i < count; i++) {
		vm_wait(vm, vcpu_is_blocked(target), "the target blocks");
		ASSERT_EQ(i, target->guest->irqs[VECTOR]);
		go = i + 1;
		vm_wait(vm, target->guest->irqs[VECTOR] > i,
			"the IPI of this round wakes the blocked target");
	}
	vm_wait(vm, window_closed, "the sender is done");
	/* A duplicate would come about now. */
	sleep_us(5000);
	EXPECT_EQ(count, target->guest->irqs[VECTOR]);
	/* Each round put the target to sleep and woke it. */
	EXPECT_LE(count, vcpu_stat(target, "halt_exits"));
	EXPECT_LE(count, vcpu_stat(target, "halt_wakeup"));
	finish(vm);
	figures = figures_of(latency, count);
	NOTE("send to handler in TSC ticks: median %llu, p99 %llu\n",
	     (unsigned long long)figures.median, (unsigned long long)figures.p99);
}

TEST_F(guest, no_ipi_is_lost_while_the_target_goes_to_sleep)
{
	uint32_t count = rounds * 4;
	struct guest_cpu *target;
	uint32_t handled = 0;
	struct vm *vm;

	vm = start(racing_sender, count);
	target = vm->vcpus[1].guest;
	/* The deadline is for each IPI, so that a lost one is named at once. */
	while (handled < count) {
		uint64_t deadline = patience_us() + vm_timeout_us() / 4;

		while (target->irqs[VECTOR] == handled) {
			if (patience_us() > deadline)
				vm_fail(vm, "IPI %u of %u was %s: target handled %u, about to halt %u",
					handled + 1, count,
					sent > handled ? "sent and lost" : "never sent",
					handled, about_to_halt);
			sleep_us(50);
		}
		handled = target->irqs[VECTOR];
	}
	vm_wait(vm, window_closed, "the sender is done");
	/* A duplicate would come about now. */
	sleep_us(5000);
	EXPECT_EQ(count, target->irqs[VECTOR]);
	NOTE("%u IPIs, target halted %llu times, blocked %llu times\n", count,
	     (unsigned long long)vcpu_stat(&vm->vcpus[1], "halt_exits"),
	     (unsigned long long)vcpu_stat(&vm->vcpus[1], "halt_wakeup"));
	finish(vm);
}

TEST_MAIN(100)
