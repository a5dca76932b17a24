// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures single paths of the host that every vCPU uses: loading and putting a
 * vCPU, entering and leaving the guest, delivering an interrupt to a running and
 * to a blocked vCPU.  It is made for an emulated host where the TSC counts
 * instructions (testbed/run --icount), so that medians are instruction counts;
 * elsewhere they are TSC ticks.
 *
 * Each sample is taken within one thread, from TSC to TSC around one operation.  So
 * the work of other processors counts only if the thread is preempted, which the
 * median ignores.  Prints one line with a JSON object per path.
 *
 * On an emulated host, where a host thread measures, it also prints what the emulator counted
 * besides instructions on the processor of that thread (costs: medians).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/accel.h"
#include "lib/bench.h"
#include "lib/counters.h"
#include "lib/figures.h"
#include "lib/roles.h"

#define VECTOR		0x64
#define IGNORED_PORT	0x80
#define MAX_SAMPLES	100000
#define WARM_UP		8

static uint64_t samples[MAX_SAMPLES], end_to_end[MAX_SAMPLES];
static volatile bool all_sent;

/* Costs by kind, only of samples that stayed on one processor. */
static uint64_t costs[COUNTERS_MAX_COSTS][MAX_SAMPLES];
static uint64_t costs_before[COUNTERS_MAX_COSTS];
static uint32_t costs_count;
static int costs_pcpu;

static void costs_begin(void)
{
	costs_pcpu = sched_getcpu();
	if (counters_costs())
		counters_read_costs(costs_pcpu, costs_before);
}

static void costs_end(uint32_t sample)
{
	uint64_t now[COUNTERS_MAX_COSTS];

	if (!counters_costs())
		return;
	counters_read_costs(costs_pcpu, now);
	if (sample < WARM_UP || sched_getcpu() != costs_pcpu)
		return;
	for (unsigned int kind = 0; kind < counters_costs(); kind++)
		costs[kind][costs_count] = now[kind] - costs_before[kind];
	costs_count++;
}

static void print_figures(const char *key, uint64_t *values, uint32_t count)
{
	struct figures f = figures_of(values, count);

	printf("\"%s\":{\"median\":%llu,\"p99\":%llu,\"mean\":%llu,\"min\":%llu,\"max\":%llu}",
	       key, (unsigned long long)f.median, (unsigned long long)f.p99,
	       (unsigned long long)f.mean, (unsigned long long)f.min,
	       (unsigned long long)f.max);
}

static void print_costs(void)
{
	char name[COUNTER_NAME_SIZE];
	unsigned int first = counters_per_cpu() - counters_costs();

	if (!costs_count)
		return;
	printf(",\"costs\":{");
	for (unsigned int kind = 0; kind < counters_costs(); kind++) {
		if (kind)
			printf(",");
		/* "cost.NAME" */
		counter_name(first + kind, name);
		print_figures(strchr(name, '.') + 1, costs[kind], costs_count);
	}
	printf("}");
	costs_count = 0;
}

static void report(const struct bench *bench, uint32_t count, bool has_end)
{
	printf("{\"name\":\"%s\",\"samples\":%u,\"implementation\":\"%s\",\"accelerated\":%s,",
	       bench->name, count, accel_check()->vapic ? "vapic" : "stock",
	       accel_check()->active ? "true" : "false");
	print_figures("ticks", samples + WARM_UP, count);
	if (has_end) {
		printf(",");
		print_figures("end_to_end", end_to_end + WARM_UP, count);
	}
	print_costs();
	printf("}\n");
	fflush(stdout);
}

/* KVM_GET_REGS loads the vCPU, copies registers and puts it: nothing else. */
static void load_put(const struct bench *bench, uint32_t count)
{
	struct vm *vm = vm_create(0);
	struct vcpu *vcpu = vm_add_vcpu(vm, 0, role_spinner, 0);
	struct kvm_regs regs;

	for (uint32_t i = 0; i < count + WARM_UP; i++) {
		uint64_t start;

		costs_begin();
		start = read_tsc();
		if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
			vm_fail(vm, "KVM_GET_REGS: %s", strerror(errno));
		samples[i] = read_tsc() - start;
		costs_end(i);
	}
	report(bench, count, false);
	vm_destroy(vm);
}

static void exiting_guest(uint64_t arg)
{
	(void)arg;
	for (;;)
		write_port8(IGNORED_PORT, 0);
}

static void run_on(struct vm *vm, const cpu_set_t *pcpus)
{
	if (sched_setaffinity(0, sizeof(*pcpus), pcpus))
		vm_fail(vm, "cannot choose processors to run on: %s", strerror(errno));
}

/*
 * A whole KVM_RUN: load, enter, an exit for port I/O, put.  Always on the same processor: KVM
 * writes TSC_AUX for the guest and back, but not on the first one, which has the guest's zero.
 */
static void run_exit(const struct bench *bench, uint32_t count)
{
	struct vm *vm = vm_create(0);
	struct vcpu *vcpu = vm_add_vcpu(vm, 0, exiting_guest, 0);
	cpu_set_t any, one;

	CPU_ZERO(&one);
	CPU_SET(host_cpu(host_cpu_count() - 1), &one);
	if (sched_getaffinity(0, sizeof(any), &any))
		vm_fail(vm, "cannot ask for processors to run on: %s", strerror(errno));
	run_on(vm, &one);
	for (uint32_t i = 0; i < count + WARM_UP; i++) {
		uint64_t start;

		costs_begin();
		start = read_tsc();
		if (ioctl(vcpu->fd, KVM_RUN, 0) || vcpu->run->exit_reason != KVM_EXIT_IO)
			vm_fail(vm, "KVM_RUN does not end with port I/O");
		samples[i] = read_tsc() - start;
		costs_end(i);
	}
	run_on(vm, &any);
	report(bench, count, false);
	vm_destroy(vm);
}

/* KVM_SIGNAL_MSI from another processor; end_to_end is the time until the handler began. */
static void deliver(const struct bench *bench, bool blocked, uint32_t count)
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
	for (uint32_t i = 0; i < count + WARM_UP; i++) {
		uint64_t start, end;

		if (blocked)
			vm_wait(vm, vcpu_is_blocked(vcpu), "the target blocks");
		costs_begin();
		start = read_tsc();
		vm_send_msi(vm, 0, VECTOR);
		end = read_tsc();
		costs_end(i);
		vm_wait(vm, guest->irqs[VECTOR] > i, "the interrupt is handled");
		samples[i] = end - start;
		end_to_end[i] = guest->irq_tsc[VECTOR] - start;
	}
	report(bench, count, true);
	roles_finish(vm);
}

static void deliver_running(const struct bench *bench, uint32_t count)
{
	deliver(bench, false, count);
}

static void deliver_blocked(const struct bench *bench, uint32_t count)
{
	deliver(bench, true, count);
}

/* Handler of the woken vCPU, which answers vCPU 0 at once. */
static void answering_handler(struct guest_frame *frame)
{
	guest_count_irq(frame);
	apic_send_fixed(guest_cpus[0].apic_id, VECTOR + 1);
}

/* Halts for each answer, so both sides block and are woken in turn. */
static void pinging_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	irq_disable();
	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = read_tsc(), sent;

		apic_send_fixed(guest_cpus[1].apic_id, VECTOR);
		sent = read_tsc();
		while (self->irqs[VECTOR + 1] == i) {
			halt_with_irqs();
			irq_disable();
		}
		samples[i] = sent - start;
		end_to_end[i] = self->irq_tsc[VECTOR + 1] - start;
	}
	all_sent = true;
	role_wait_finished();
}

/* A guest's IPI to a vCPU that halts; end_to_end is there and back, with both sides blocking. */
static void ipi_round_trip(const struct bench *bench, uint32_t count)
{
	struct vm *vm = vm_create(0);

	roles_begin();
	all_sent = false;
	guest_set_handler(VECTOR, answering_handler);
	guest_set_handler(VECTOR + 1, guest_count_irq);
	vm_add_vcpu(vm, 0, pinging_guest, count + WARM_UP);
	vm_add_vcpu(vm, 1, role_sleeper, 0);
	vm_start_held(vm, 1U << 0);
	roles_wait_ready(vm, 1);
	vcpu_resume(&vm->vcpus[0]);
	vm_wait_slowly(vm, all_sent, "every round trip is done");
	report(bench, count, true);
	roles_finish(vm);
}

static const struct bench paths[] = {
	{ "vcpu_load_put", load_put, NULL },
	{ "run_exit", run_exit, NULL },
	{ "deliver_running", deliver_running, NULL },
	{ "deliver_blocked", deliver_blocked, NULL },
	{ "ipi_blocked_round_trip", ipi_round_trip, NULL },
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, paths, sizeof(paths) / sizeof(paths[0]),
			  MAX_SAMPLES - WARM_UP);
}
