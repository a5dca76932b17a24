// SPDX-License-Identifier: GPL-2.0-only
/* The report of a failed test: the state of every vCPU. */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lapic.h"
#include "run.h"
#include "stats.h"

#define EXIT_FAIL	1	/* KSFT_FAIL */
#define EXIT_XFAIL	2	/* KSFT_XFAIL */

static atomic_int failing;

static void print_vectors(const struct kvm_lapic_state *lapic, const char *name,
			  uint32_t base)
{
	fprintf(stderr, " %s", name);
	for (unsigned int vector = 0; vector < 256; vector++)
		if (lapic_bit(lapic, base, vector))
			fprintf(stderr, " %02xh", vector);
	fprintf(stderr, ";");
}

void vcpu_report(struct vcpu *vcpu)
{
	struct guest_cpu *guest = vcpu->guest;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp = { 0 };
	struct kvm_regs regs;
	uint64_t exits = 0, halts = 0, blocking = 0;

	/* Ask before the pause, because the pause ends the blocking. */
	stats_read(vcpu->stats_fd, "blocking", &blocking);
	stats_read(vcpu->stats_fd, "exits", &exits);
	stats_read(vcpu->stats_fd, "halt_exits", &halts);
	fprintf(stderr, "# vcpu %u (id %u, pcpu %d): %s%s, exits %llu, halts %llu\n",
		guest->index, vcpu->id, vcpu->pcpu,
		vcpu->finished ? "finished" : vcpu->parked ? "parked" : "in KVM_RUN",
		blocking ? ", blocked" : "", (unsigned long long)exits,
		(unsigned long long)halts);
	if (!vcpu_try_pause(vcpu)) {
		fprintf(stderr, "#   did not leave KVM_RUN within a second\n");
		return;
	}
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) || ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic)) {
		fprintf(stderr, "#   registers unavailable: %s\n", strerror(errno));
		return;
	}
	ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp);
	fprintf(stderr, "#   rip %llx rsp %llx rflags %llx (IF %llu) mp_state %u\n",
		regs.rip, regs.rsp, regs.rflags, regs.rflags >> 9 & 1, mp.mp_state);
	fprintf(stderr, "#   ID %08x TPR %02x PPR %02x LDR %08x DFR %08x SPIV %03x ICR %08x:%08x\n",
		lapic_read(&lapic, APIC_ID), lapic_read(&lapic, APIC_TPR),
		lapic_read(&lapic, APIC_PPR), lapic_read(&lapic, APIC_LDR),
		lapic_read(&lapic, APIC_DFR), lapic_read(&lapic, APIC_SPIV),
		lapic_read(&lapic, APIC_ICR_HIGH), lapic_read(&lapic, APIC_ICR));
	fprintf(stderr, "#  ");
	print_vectors(&lapic, "IRR", APIC_IRR);
	print_vectors(&lapic, "ISR", APIC_ISR);
	print_vectors(&lapic, "TMR", APIC_TMR);
	fprintf(stderr, "\n#   handled:");
	for (unsigned int vector = 0; vector < 256; vector++)
		if (guest->irqs[vector])
			fprintf(stderr, " %02xh x%u", vector, guest->irqs[vector]);
	fprintf(stderr, "\n");
	if (guest->call == GUEST_FAILED)
		fprintf(stderr, "#   guest assertion: %s:%u: %s (a %llx, b %llx)\n",
			guest->fail_file, guest->fail_line, guest->fail_text,
			(unsigned long long)guest->fail_a,
			(unsigned long long)guest->fail_b);
}

/* See vm_expect_failure(). */
static struct {
	char *reason;
	size_t size;
	const char *why;
} expected;

void vm_expect_failure(char *reason, size_t size, const char *why)
{
	expected.reason = reason;
	expected.size = size;
	expected.why = why;
}

void vm_fail(struct vm *vm, const char *format, ...)
{
	va_list args;

	/* One thread reports; the others wait for the end of the process. */
	if (atomic_exchange(&failing, 1))
		for (;;)
			pause();
	fflush(stdout);
	fprintf(stderr, "# FAILED: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	if (vm && vm->on_failure)
		vm->on_failure(vm);
	if (vm)
		for (unsigned int i = 0; i < vm->vcpu_count && i < VM_REPORTED; i++)
			vcpu_report(&vm->vcpus[i]);
	fflush(stderr);
	if (!expected.why)
		_exit(EXIT_FAIL);
	snprintf(expected.reason, expected.size, "%s", expected.why);
	_exit(EXIT_XFAIL);
}
