// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures interrupts of an assigned device: exits by reason and time, of interrupts that are
 * remapped, so that the host takes them and gives them to KVM, and of those that are posted.
 * Prints one JSON object per scenario and line on standard output; README.md describes it.
 *
 * The next interrupt is raised when the guest has handled the last one.  Posted are those of
 * scenarios that say so, where those of the device can be.
 */
#include <stdio.h>

#include "lib/accel.h"
#include "lib/bench.h"
#include "lib/device.h"
#include "lib/figures.h"
#include "lib/roles.h"
#include "lib/window.h"

#define VECTOR		0x63
#define MAX_INTERRUPTS	100000
#define WARM_UP		4

struct scenario {
	bool posted;
	bool blocked;		/* the target is, before each interrupt; it runs otherwise */
	bool at_target;		/* the host takes the interrupt on the target's processor */
};

static uint64_t latency[MAX_INTERRUPTS];

static void fire_at(struct vcpu *vcpu, bool blocked, uint32_t sample)
{
	uint32_t handled = vcpu->guest->irqs[VECTOR];
	uint64_t start;

	if (blocked)
		vm_wait(vcpu->vm, vcpu_is_blocked(vcpu), "the target blocks");
	start = read_tsc();
	device_fire(1);
	vm_wait(vcpu->vm, vcpu->guest->irqs[VECTOR] != handled, "the interrupt is handled");
	latency[sample] = vcpu->guest->irq_tsc[VECTOR] - start;
}

/* What the scenario says must be what became of the interrupts; false if KVM had none posted. */
static bool went_this_way(struct vm *vm, const struct scenario *scenario,
			  const struct device_counts *before, uint32_t count)
{
	struct device_counts now = device_counts();
	uint64_t posted = device_posted(&now) - device_posted(before);
	uint64_t remapped = now.remapped - before->remapped;

	if (scenario->posted && remapped == count)
		return false;
	if (posted != (scenario->posted ? count : 0) || remapped != (scenario->posted ? 0 : count))
		vm_fail(vm, "of %u interrupts %llu were posted and %llu remapped", count,
			(unsigned long long)posted, (unsigned long long)remapped);
	return true;
}

static void report(const struct bench *bench, struct window *window, uint32_t count)
{
	struct figures f = figures_of(latency, count);

	printf("{\"name\":\"%s\",\"interrupts\":%u,\"implementation\":\"%s\",\"accelerated\":%s,"
	       "\"ticks\":{\"median\":%llu,\"p99\":%llu,\"mean\":%llu,\"min\":%llu,\"max\":%llu},",
	       bench->name, count, accel_check()->vapic ? "vapic" : "stock",
	       accel_check()->active ? "true" : "false", (unsigned long long)f.median,
	       (unsigned long long)f.p99, (unsigned long long)f.mean, (unsigned long long)f.min,
	       (unsigned long long)f.max);
	window_print(window, count);
	printf("}\n");
	fflush(stdout);
}

static void measure(const struct bench *bench, uint32_t count)
{
	const struct scenario *scenario = bench->arg;
	struct device_counts before;
	struct window window;
	struct vcpu *vcpu;
	struct vm *vm;

	vm = vm_create(0);
	if (!device_is_there())
		vm_fail(vm, "this needs an assigned device");
	/* Behind a real IOMMU only KVM decides. */
	if (scenario->posted ? !device_posts() : device_is_real()) {
		fprintf(stderr, "# not with this device\n");
		vm_destroy(vm);
		return;
	}
	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	vcpu = vm_add_vcpu(vm, 0, scenario->blocked ? role_sleeper : role_spinner, 0);
	device_route(vm, 0, VECTOR);
	device_assign(vm);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	if (!device_is_real()) {
		device_set_remapped(!scenario->posted);
		device_set_pcpu(scenario->at_target ? vcpu->pcpu : -1);
	}
	for (uint32_t i = 0; i < WARM_UP; i++)
		fire_at(vcpu, scenario->blocked, 0);
	before = device_counts();
	window_begin(&window, vm);
	for (uint32_t i = 0; i < count; i++)
		fire_at(vcpu, scenario->blocked, i);
	window_end(&window);
	if (went_this_way(vm, scenario, &before, count))
		report(bench, &window, count);
	else
		fprintf(stderr, "# KVM has no interrupt posted\n");
	if (!device_is_real()) {
		device_set_remapped(false);
		device_set_pcpu(-1);
	}
	device_take_away();
	roles_finish(vm);
}

static const struct bench scenarios[] = {
	{ "remapped_running_at_target", measure, &(struct scenario){ .at_target = true } },
	{ "remapped_running", measure, &(struct scenario){ 0 } },
	{ "posted_running", measure, &(struct scenario){ .posted = true } },
	{ "remapped_blocked", measure, &(struct scenario){ .blocked = true } },
	{ "posted_blocked", measure, &(struct scenario){ .blocked = true, .posted = true } },
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, scenarios, sizeof(scenarios) / sizeof(scenarios[0]),
			  MAX_INTERRUPTS);
}
