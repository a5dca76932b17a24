// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unicast IPIs to a vCPU that runs: each arrives exactly once, and with
 * acceleration the sender does not exit for it.
 */
#include "lib/modes.h"

#include "lib/doorbell.h"
#include "lib/figures.h"

#define VECTOR		0x40
#define BURST_FIRST	0x50
#define BURST_COUNT	64

#define MAX_ROUNDS	100000

static volatile bool receiver_ready, window_open, window_closed, finished;
static uint64_t latency[MAX_ROUNDS];

static void receiver(uint64_t arg)
{
	(void)arg;
	irq_enable();
	receiver_ready = true;
	guest_wait(finished);
}

/* One IPI at a time; sends the next when the last was handled. */
static void paced_sender(uint64_t count)
{
	struct guest_cpu *target = &guest_cpus[1];

	guest_wait(window_open);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t sent = read_tsc();

		apic_send_fixed(target->apic_id, VECTOR);
		while (target->irqs[VECTOR] == i)
			cpu_pause();
		latency[i] = target->irq_tsc[VECTOR] - sent;
		GUEST_ASSERT_EQ(target->irqs[VECTOR], i + 1);
	}
	window_closed = true;
	guest_wait(finished);
}

/* Sends many vectors at once, without waiting in between. */
static void burst_sender(uint64_t count)
{
	struct guest_cpu *target = &guest_cpus[1];

	guest_wait(window_open);
	for (uint32_t i = 0; i < count; i++) {
		for (unsigned int v = BURST_FIRST; v < BURST_FIRST + BURST_COUNT; v++)
			apic_send_fixed(target->apic_id, v);
		for (unsigned int v = BURST_FIRST; v < BURST_FIRST + BURST_COUNT; v++)
			while (target->irqs[v] == i)
				cpu_pause();
	}
	window_closed = true;
	guest_wait(finished);
}

static struct vm *start(void (*sender)(uint64_t), uint64_t count)
{
	struct vm *vm = vm_create(mode);

	receiver_ready = window_open = window_closed = finished = false;
	for (unsigned int v = VECTOR; v < BURST_FIRST + BURST_COUNT; v++)
		guest_set_handler(v, guest_count_irq);
	vm_add_vcpu(vm, 0, sender, count);
	vm_add_vcpu(vm, 1, receiver, 0);
	vm_start(vm);
	vm_wait(vm, receiver_ready, "the receiver runs");
	/* Both answered a probe: both are in guest mode and their APIC pages are mapped. */
	vcpu_is_accelerated(&vm->vcpus[0]);
	vcpu_is_accelerated(&vm->vcpus[1]);
	return vm;
}

static void finish(struct vm *vm)
{
	finished = true;
	vm_join(vm);
	vm_destroy(vm);
}

TEST_F(guest, acceleration_is_as_expected_of_the_mode)
{
	struct vm *vm = start(paced_sender, 0);

	EXPECT_EQ(mode_is_accelerated(), vcpu_is_accelerated(&vm->vcpus[0]));
	EXPECT_EQ(mode_is_accelerated(), vcpu_is_accelerated(&vm->vcpus[1]));
	window_open = true;
	finish(vm);
}

TEST_F(guest, each_ipi_to_a_running_vcpu_arrives_exactly_once)
{
	uint32_t count = rounds < MAX_ROUNDS ? rounds : MAX_ROUNDS;
	struct figures figures;
	struct vm *vm;

	vm = start(paced_sender, count);
	window_open = true;
	vm_wait(vm, window_closed, "all IPIs are handled");
	/* A duplicate would come about now. */
	sleep_us(2000);
	EXPECT_EQ(count, vm->vcpus[1].guest->irqs[VECTOR]);
	EXPECT_EQ(0, vm->vcpus[0].guest->irqs[VECTOR]);
	finish(vm);
	figures = figures_of(latency, count);
	NOTE("send to handler in TSC ticks: median %llu, p99 %llu\n",
	     (unsigned long long)figures.median, (unsigned long long)figures.p99);
}

TEST_F(guest, ipi_to_a_running_vcpu_exits_only_if_not_virtualized)
{
	uint32_t count = rounds < MAX_ROUNDS ? rounds : MAX_ROUNDS;
	uint64_t exits, interrupted, emulated;
	struct vm *vm;

	vm = start(paced_sender, count);
	emulated = vcpu_stat(&vm->vcpus[0], "insn_emulation");
	interrupted = vcpu_stat(&vm->vcpus[0], "irq_exits");
	exits = vcpu_stat(&vm->vcpus[0], "exits");
	window_open = true;
	vm_wait(vm, window_closed, "all IPIs are handled");
	exits = vcpu_stat(&vm->vcpus[0], "exits") - exits;
	interrupted = vcpu_stat(&vm->vcpus[0], "irq_exits") - interrupted;
	emulated = vcpu_stat(&vm->vcpus[0], "insn_emulation") - emulated;
	NOTE("sender: %u IPIs, %llu exits (%llu by host interrupts), %llu instructions emulated\n",
	     count, (unsigned long long)exits, (unsigned long long)interrupted,
	     (unsigned long long)emulated);
	finish(vm);
	if (mode_is_accelerated())
		EXPECT_EQ(0, emulated);
	if (accel_ipis_exit(mode & VM_X2APIC)) {
		EXPECT_LE(count, exits);
		return;
	}
	/* With a processor for each vCPU, few IPIs hit a target that the host has preempted. */
	if (host_cpu_count() > 2)
		EXPECT_GT(count / 2, exits - interrupted);
}

TEST_F(guest, ipi_to_a_running_vcpu_needs_no_exit_to_be_noticed)
{
	uint32_t count = rounds < MAX_ROUNDS ? rounds : MAX_ROUNDS;
	struct doorbell_watch watch;
	struct vm *vm;

	vm = start(paced_sender, count);
	doorbell_watch_begin(&watch, &vm->vcpus[1]);
	window_open = true;
	vm_wait_slowly(vm, window_closed, "all IPIs are handled");
	EXPECT_TRUE(doorbell_watch_end(&watch, latency, count));
	finish(vm);
}

TEST_F(guest, burst_of_vectors_arrives_completely)
{
	uint32_t count = rounds / BURST_COUNT + 1;
	struct vm *vm;

	vm = start(burst_sender, count);
	window_open = true;
	vm_wait(vm, window_closed, "every vector of every burst is handled");
	sleep_us(2000);
	for (unsigned int v = BURST_FIRST; v < BURST_FIRST + BURST_COUNT; v++)
		EXPECT_EQ(count, vm->vcpus[1].guest->irqs[v]);
	finish(vm);
}

TEST_MAIN(200)
