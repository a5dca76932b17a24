// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures IPIs between vCPUs: time, exits by reason, doorbells.  Prints one
 * JSON object per scenario and line on standard output; README.md describes it.
 *
 * A window opens when every vCPU is in guest mode with its APIC page mapped,
 * and closes when the last IPI was handled; counters are read at both ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/accel.h"
#include "lib/bench.h"
#include "lib/figures.h"
#include "lib/guest_apic.h"
#include "lib/run.h"
#include "lib/window.h"

#define VECTOR		0x60
#define MAX_IPIS	100000
#define MAX_TARGETS	3
#define WARM_UP		4

enum target_state { RUNNING, BLOCKED };

struct scenario {
	void (*send)(void);
	unsigned int targets;		/* 0: the sender itself */
	enum target_state state;
	uint32_t dfr;			/* 0: x2APIC mode, which has none */
};

static volatile bool ready[MAX_TARGETS + 1], warm, window_open, window_closed, finished;
static volatile uint32_t go, waiting_for;
static volatile uint32_t ipis, target_count, logical_dest;
static volatile uint32_t model;
static uint64_t latency[MAX_IPIS];
static const struct scenario *current;	/* in the image, so guests see it too */

/* ---- guest ---- */

static void send_unicast(void)
{
	apic_send_fixed(guest_cpus[1].apic_id, VECTOR);
}

static void send_logical(void)
{
	apic_send(logical_dest, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
}

static void send_others(void)
{
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_OTHERS | VECTOR);
}

static void send_self(void)
{
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | VECTOR);
}

/* Logical ID: the target's bit, in flat mode or in cluster 1. */
static void set_logical_id(void)
{
	struct guest_cpu *self = guest_self();
	uint32_t bit = self->index ? 1U << (self->index - 1) : 8;

	/* In x2APIC mode it follows from the ID. */
	if (self->x2apic)
		return;
	apic_write(APIC_DFR, model);
	apic_write(APIC_LDR, (model == APIC_DFR_FLAT ? bit : 0x10 | bit) << 24);
}

static void running_target(uint64_t arg)
{
	struct guest_cpu *self = guest_self();

	(void)arg;
	set_logical_id();
	irq_enable();
	ready[self->index] = true;
	guest_wait(finished);
}

static void sleeping_target(uint64_t arg)
{
	struct guest_cpu *self = guest_self();

	(void)arg;
	set_logical_id();
	ready[self->index] = true;
	while (!finished)
		halt_with_irqs();
}

/* Send one IPI and wait for all targets; return the time until the last target's handler began. */
static uint64_t send_one(uint32_t i)
{
	unsigned int first = target_count ? 1 : 0;
	uint64_t sent, last = 0;

	sent = read_tsc();
	current->send();
	for (unsigned int t = first; t <= target_count; t++) {
		while (guest_cpus[t].irqs[VECTOR] <= i)
			cpu_pause();
		if (guest_cpus[t].irq_tsc[VECTOR] > last)
			last = guest_cpus[t].irq_tsc[VECTOR];
	}
	return last - sent;
}

static void sender(uint64_t arg)
{
	(void)arg;
	set_logical_id();
	irq_enable();
	ready[0] = true;
	guest_wait(window_open || warm);
	for (uint32_t i = 0; i < WARM_UP + ipis; i++) {
		uint64_t ticks;

		if (i == WARM_UP) {
			warm = false;
			guest_wait(window_open);
		}
		waiting_for = i + 1;
		if (current->state == BLOCKED)
			while (go <= i)
				cpu_pause();
		ticks = send_one(i);
		if (i >= WARM_UP)
			latency[i - WARM_UP] = ticks;
	}
	window_closed = true;
	guest_wait(finished);
}

/* ---- host ---- */

/* Let the sender send its next IPI each time all targets are asleep. */
static void release_when_blocked(struct vm *vm, uint32_t until)
{
	while (go < until) {
		vm_wait(vm, waiting_for > go, "the sender wants to send");
		for (unsigned int t = 1; t <= target_count; t++)
			vm_wait(vm, vcpu_is_blocked(&vm->vcpus[t]), "the target blocks");
		go++;
	}
}

static void measure(const struct bench *bench, uint32_t count)
{
	const struct scenario *scenario = bench->arg;
	struct vm *vm = vm_create(scenario->dfr ? 0 : VM_X2APIC);
	struct window window;
	struct figures figures;

	current = scenario;
	warm = window_open = window_closed = finished = false;
	go = waiting_for = 0;
	ipis = count;
	/* One processor for each vCPU and one for the host's side; at least two targets. */
	target_count = scenario->targets;
	if (target_count > 2 && host_cpu_count() < target_count + 2)
		target_count = 2;
	model = scenario->dfr;
	logical_dest = (1U << target_count) - 1;
	if (model == APIC_DFR_CLUSTER)
		logical_dest |= 0x10;
	/* The targets' IDs begin with 1, all in cluster 0. */
	if (!model)
		logical_dest <<= 1;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, sender, 0);
	for (unsigned int t = 1; t <= target_count; t++)
		vm_add_vcpu(vm, t, scenario->state == BLOCKED ? sleeping_target : running_target, 0);
	for (unsigned int t = 0; t <= target_count; t++)
		ready[t] = false;
	vm_start(vm);
	for (unsigned int t = 0; t <= target_count; t++)
		vm_wait(vm, ready[t], "every vCPU is ready");

	warm = true;
	if (scenario->state == BLOCKED)
		release_when_blocked(vm, WARM_UP);
	vm_wait(vm, !warm, "the warm-up is over");
	/* An answered probe proves guest mode; it comes after the warm-up's last exit. */
	for (unsigned int t = 0; t <= target_count; t++)
		if (!t || scenario->state == RUNNING)
			vcpu_is_accelerated(&vm->vcpus[t]);

	window_begin(&window, vm);
	window_open = true;
	if (scenario->state == BLOCKED)
		release_when_blocked(vm, WARM_UP + count);
	vm_wait_slowly(vm, window_closed, "every IPI is handled");
	window_end(&window);

	finished = true;
	for (unsigned int t = 1; t <= target_count; t++)
		while (!vm->vcpus[t].finished) {
			vm_send_msi(vm, t, VECTOR);
			sleep_us(1000);
		}
	vm_join(vm);
	figures = figures_of(latency, count);
	printf("{\"name\":\"%s\",\"ipis\":%u,\"targets\":%u,\"implementation\":\"%s\",\"accelerated\":%s,",
	       bench->name, count, target_count ? target_count : 1,
	       accel_check()->vapic ? "vapic" : "stock",
	       accel_check()->active ? "true" : "false");
	printf("\"ticks\":{\"median\":%llu,\"p99\":%llu,\"mean\":%llu,\"min\":%llu,\"max\":%llu},",
	       (unsigned long long)figures.median, (unsigned long long)figures.p99,
	       (unsigned long long)figures.mean, (unsigned long long)figures.min,
	       (unsigned long long)figures.max);
	window_print(&window, count);
	printf("}\n");
	fflush(stdout);
	vm_destroy(vm);
}

#define SEVERAL	MAX_TARGETS

#define SCENARIO(...) measure, &(const struct scenario){ __VA_ARGS__ }

static const struct bench benches[] = {
	{ "unicast_running", SCENARIO(send_unicast, 1, RUNNING, APIC_DFR_FLAT) },
	{ "unicast_blocked", SCENARIO(send_unicast, 1, BLOCKED, APIC_DFR_FLAT) },
	{ "logical_flat", SCENARIO(send_logical, SEVERAL, RUNNING, APIC_DFR_FLAT) },
	{ "logical_cluster", SCENARIO(send_logical, SEVERAL, RUNNING, APIC_DFR_CLUSTER) },
	{ "broadcast", SCENARIO(send_others, SEVERAL, RUNNING, APIC_DFR_FLAT) },
	{ "self", SCENARIO(send_self, 0, RUNNING, APIC_DFR_FLAT) },
	{ "x2apic_unicast_running", SCENARIO(send_unicast, 1, RUNNING, 0) },
	{ "x2apic_unicast_blocked", SCENARIO(send_unicast, 1, BLOCKED, 0) },
	{ "x2apic_cluster", SCENARIO(send_logical, SEVERAL, RUNNING, 0) },
	{ "x2apic_broadcast", SCENARIO(send_others, SEVERAL, RUNNING, 0) },
	{ "x2apic_self", SCENARIO(send_self, 0, RUNNING, 0) },
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, benches, sizeof(benches) / sizeof(benches[0]), MAX_IPIS);
}
