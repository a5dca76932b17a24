// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures the host's paths that every vCPU goes through, one by one: loading
 * and putting a vCPU, entering and leaving the guest, delivering an interrupt to
 * a running and to a blocked vCPU.  Made for an emulated host where the TSC
 * counts instructions (testbed/run --icount), so that medians are instruction
 * counts; elsewhere they are TSC ticks.
 *
 * Each sample is taken within one thread, from TSC to TSC around one operation,
 * so that what other processors do meanwhile counts only if they take over,
 * which the median ignores.  Prints one JSON object per path on a line.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/accel.h"
#include "lib/figures.h"
#include "lib/roles.h"

#define VECTOR		0x64
#define IGNORED_PORT	0x80
#define MAX_SAMPLES	100000
#define WARM_UP		8

static uint64_t samples[MAX_SAMPLES], end_to_end[MAX_SAMPLES];
static volatile bool all_sent;

static void print_figures(const char *key, uint64_t *values, uint32_t count)
{
	struct figures f = figures_of(values, count);

	printf("\"%s\":{\"median\":%llu,\"p99\":%llu,\"mean\":%llu,\"min\":%llu,\"max\":%llu}",
	       key, (unsigned long long)f.median, (unsigned long long)f.p99,
	       (unsigned long long)f.mean, (unsigned long long)f.min,
	       (unsigned long long)f.max);
}

static void report(const char *name, uint32_t count, bool has_end)
{
	printf("{\"name\":\"%s\",\"samples\":%u,\"implementation\":\"%s\",\"accelerated\":%s,",
	       name, count, accel_check()->vapic ? "vapic" : "stock",
	       accel_check()->active ? "true" : "false");
	print_figures("ticks", samples + WARM_UP, count);
	if (has_end) {
		printf(",");
		print_figures("end_to_end", end_to_end + WARM_UP, count);
	}
	printf("}\n");
	fflush(stdout);
}

/* KVM_GET_REGS loads the vCPU, copies registers and puts it: nothing else. */
static void load_put(uint32_t count)
{
	struct vm *vm = vm_create(0);
	struct vcpu *vcpu = vm_add_vcpu(vm, 0, role_spinner, 0);
	struct kvm_regs regs;

	for (uint32_t i = 0; i < count + WARM_UP; i++) {
		uint64_t start = read_tsc();

		if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
			vm_fail(vm, "KVM_GET_REGS: %s", strerror(errno));
		samples[i] = read_tsc() - start;
	}
	report("vcpu_load_put", count, false);
	vm_destroy(vm);
}

static void exiting_guest(uint64_t arg)
{
	(void)arg;
	for (;;)
		write_port8(IGNORED_PORT, 0);
}

/* A whole KVM_RUN: load, enter, an exit for port I/O, put. */
static void run_exit(uint32_t count)
{
	struct vm *vm = vm_create(0);
	struct vcpu *vcpu = vm_add_vcpu(vm, 0, exiting_guest, 0);

	for (uint32_t i = 0; i < count + WARM_UP; i++) {
		uint64_t start = read_tsc();

		if (ioctl(vcpu->fd, KVM_RUN, 0) || vcpu->run->exit_reason != KVM_EXIT_IO)
			vm_fail(vm, "KVM_RUN does not end with port I/O");
		samples[i] = read_tsc() - start;
	}
	report("run_exit", count, false);
	vm_destroy(vm);
}

/* KVM_SIGNAL_MSI from another processor; end_to_end is until the handler began. */
static void deliver(const char *name, bool blocked, uint32_t count)
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
		start = read_tsc();
		vm_send_msi(vm, 0, VECTOR);
		end = read_tsc();
		vm_wait(vm, guest->irqs[VECTOR] > i, "the interrupt is handled");
		samples[i] = end - start;
		end_to_end[i] = guest->irq_tsc[VECTOR] - start;
	}
	report(name, count, true);
	roles_finish(vm);
}

static void deliver_running(uint32_t count)
{
	deliver("deliver_running", false, count);
}

static void deliver_blocked(uint32_t count)
{
	deliver("deliver_blocked", true, count);
}

/* A handler that answers vCPU 0 at once, from the woken vCPU. */
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

/* A guest's IPI to a vCPU that halts; end_to_end is there and back, both blocking. */
static void ipi_round_trip(uint32_t count)
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
	report("ipi_blocked_round_trip", count, true);
	roles_finish(vm);
}

static const struct {
	const char *name;
	void (*measure)(uint32_t count);
} paths[] = {
	{ "vcpu_load_put", load_put },
	{ "run_exit", run_exit },
	{ "deliver_running", deliver_running },
	{ "deliver_blocked", deliver_blocked },
	{ "ipi_blocked_round_trip", ipi_round_trip },
};

static void usage(const char *program)
{
	fprintf(stderr, "Usage: %s [-n SAMPLES] [PATH...]\n", program);
	exit(2);
}

int main(int argc, char **argv)
{
	uint32_t count = 200;
	unsigned int measured = 0;
	int option;

	while ((option = getopt(argc, argv, "n:")) != -1) {
		if (option != 'n')
			usage(argv[0]);
		count = strtoul(optarg, NULL, 0);
	}
	if (!count || count > MAX_SAMPLES - WARM_UP)
		usage(argv[0]);
	fprintf(stderr, "# %s\n", accel_check()->reason);
	if (accel_check()->verdict != ACCEL_OK)
		return accel_check()->verdict == ACCEL_UNAVAILABLE ? 4 : 1;
	for (unsigned int i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		bool wanted = optind == argc;

		for (int arg = optind; arg < argc; arg++)
			wanted |= !strcmp(argv[arg], paths[i].name);
		if (!wanted)
			continue;
		paths[i].measure(count);
		measured++;
	}
	if (!measured)
		usage(argv[0]);
	return 0;
}
