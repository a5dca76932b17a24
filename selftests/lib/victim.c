// SPDX-License-Identifier: GPL-2.0-only
/* The victim, the vCPU that sends to it, and how the host handles both. */
#include "victim.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "guest_apic.h"
#include "lapic.h"
#include "run.h"
#include "state.h"

#define ANSWER_VECTOR	0x71

/* ---- the guest ---- */

static volatile bool bombarding, bombard, stop;
static volatile uint32_t asked, questions, taken, starts;

/*
 * Never returns, because interrupts on vectors of exceptions push another frame than the entry
 * stubs expect.
 */
static void __attribute__((noreturn)) victim_loop(void)
{
	struct guest_cpu *self = guest_self();

	irq_enable();
	for (;;) {
		for (unsigned int i = 0; i < 64; i++)
			cpu_pause();
		if (guest_random() & 1)
			halt_with_irqs();
		self->random++;
	}
}

static void victim(uint64_t arg)
{
	(void)arg;
	if (!guest_self()->x2apic)
		apic_write(APIC_LDR, 1U << (24 + VICTIM));
	starts++;
	victim_loop();
}

/* Handler of every vector, because an image may make any of them pending. */
static void victim_handler(struct guest_frame *frame)
{
	struct guest_cpu *self = guest_self();

	if (self->index != VICTIM)
		guest_fail("the wrong vCPU got an interrupt", __FILE__, __LINE__, frame->vector, 0);
	self->irqs[frame->vector]++;
	taken++;
	apic_eoi();
	/* Start the loop again with an empty stack; the host has stored its top in arg. */
	__asm__ volatile("mov %0, %%rsp; call *%1" :: "r"(self->arg), "r"(victim_loop) : "memory");
	__builtin_unreachable();
}

static void hostile_sends(void)
{
	uint32_t low = ICR_FIXED | ICR_ASSERT | HOSTILE_VECTOR;

	switch (guest_random() % 3) {
	case 0:
		apic_send(1U << VICTIM, low | ICR_LOGICAL);
		break;
	case 1:
		apic_send(0, low | ICR_TO_OTHERS);
		break;
	default:
		apic_send_fixed(VICTIM, HOSTILE_VECTOR);
	}
	guest_delay(guest_random() % 0x400);
}

/*
 * vCPU 0: sends one IPI to the victim when the host asks for it, and sends continuously while the
 * host says so.
 */
static void asker(uint64_t arg)
{
	(void)arg;
	while (!stop) {
		bombarding = bombard;
		if (bombarding)
			hostile_sends();
		if (questions != asked) {
			apic_send_fixed(VICTIM, ANSWER_VECTOR);
			full_barrier();
			questions = asked;
		}
		guest_poll();
	}
}

/* ---- the host ---- */

/* The image being tried, for the report of a failed test. */
static struct {
	uint32_t number;
	struct kvm_lapic_state image;
} trial;

/* The victim's state before it has run. */
static struct vcpu_state good;

static void print_trial(struct vm *vm)
{
	(void)vm;
	fprintf(stderr, "# image %u:\n", trial.number);
	for (uint32_t reg = 0; reg < sizeof(trial.image.regs); reg += 0x10)
		fprintf(stderr, "%s %03x=%08x%s", reg % 0x80 ? "" : "# ", reg,
			lapic_read(&trial.image, reg), reg % 0x80 == 0x70 ? "\n" : "");
}

struct vm *victim_begin(unsigned int options)
{
	struct vm *vm = vm_create(options);
	struct vcpu *victim_vcpu;

	bombarding = bombard = stop = false;
	asked = questions = taken = starts = 0;
	for (unsigned int v = 0; v < 256; v++)
		guest_set_handler(v, victim_handler);
	vm->on_failure = print_trial;
	vm_add_vcpu(vm, 0, asker, 0);
	victim_vcpu = vm_add_vcpu(vm, VICTIM, victim, 0);
	vcpu_save(victim_vcpu, &good);
	/* Enable the APIC from the start, because KVM sets the TPR threshold only then. */
	lapic_write(&good.lapic, APIC_SPIV, APIC_SPIV_ENABLE | 0xff);
	victim_vcpu->guest->arg = good.regs.rsp;
	vm_start(vm);
	vm_wait(vm, starts == 1, "the vCPU starts");
	return vm;
}

void victim_end(struct vm *vm)
{
	stop = true;
	vm_wait(vm, vm->vcpus[0].finished, "vCPU 0 ends");
	vm_destroy(vm);
}

static void set_bombard(struct vm *vm, bool on)
{
	bombard = on;
	vm_wait(vm, bombarding == on, "vCPU 0 does as it is told");
}

void victim_maybe_bombard(struct vm *vm)
{
	set_bombard(vm, host_random() % 2);
}

void victim_pause_quietly(struct vm *vm)
{
	vcpu_pause(&vm->vcpus[VICTIM]);
	set_bombard(vm, false);
}

int victim_give(struct vm *vm, uint32_t number, const struct kvm_lapic_state *image)
{
	trial.number = number;
	trial.image = *image;
	return ioctl(vm->vcpus[VICTIM].fd, KVM_SET_LAPIC, image) ? -errno : 0;
}

/* Not if the timer interrupt is an SMI, which needs memory for saved state: the guest has none. */
static bool may_run(const struct kvm_lapic_state *image)
{
	return (lapic_read(image, APIC_LVT_TIMER) & 0x700) != ICR_SMI;
}

/*
 * Restores a good state of everything but the APIC, because an image's timer may have made SMI or
 * INIT pending.
 */
bool victim_run(struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpus[VICTIM];
	struct vcpu_state hostile = good, rest;

	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &hostile.lapic);
	if (!may_run(&hostile.lapic))
		return false;
	/* Start behind the setup of the APIC, which would undo a part of the image. */
	hostile.regs.rip = (uint64_t)victim_loop;
	vcpu_save(vcpu, &rest);
	vcpu_restore(vcpu, &hostile);
	victim_maybe_bombard(vm);
	vcpu_resume(vcpu);
	sleep_us(host_random() % 500);
	victim_pause_quietly(vm);
	return true;
}

static void expect_empty(struct vm *vm, uint32_t base, const char *when)
{
	struct kvm_lapic_state lapic;
	int vector;

	vcpu_ioctl(&vm->vcpus[VICTIM], KVM_GET_LAPIC, &lapic);
	vector = lapic_highest(&lapic, base);
	if (vector >= 0)
		vm_fail(vm, "vector %xh is set in the registers from %03x on %s", vector, base,
			when);
}

void victim_recover(struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpus[VICTIM];
	uint32_t answers = vcpu->guest->irqs[ANSWER_VECTOR];
	uint32_t taken_before = taken, starts_before = starts;
	struct vcpu_state rest;

	/* This executes an INIT that the timer made pending. */
	vcpu_save(vcpu, &rest);
	vcpu_restore(vcpu, &good);
	expect_empty(vm, APIC_ISR, "right after a good image");
	expect_empty(vm, APIC_TMR, "right after a good image");
	expect_empty(vm, APIC_IRR, "right after a good image");
	vcpu_resume(vcpu);
	vm_wait(vm, starts != starts_before, "the vCPU starts anew with a good image");
	asked++;
	vm_wait(vm, questions == asked, "vCPU 0 has sent its IPI");
	vm_wait(vm, taken != taken_before, "the vCPU answers an IPI after a good image");
	vcpu_pause(vcpu);
	expect_empty(vm, APIC_IRR, "after the answer");
	if (taken != taken_before + 1 || vcpu->guest->irqs[ANSWER_VECTOR] != answers + 1)
		vm_fail(vm, "%u interrupts after a good image, though one was sent",
			taken - taken_before);
	vcpu_resume(vcpu);
}

uint32_t victim_interrupts(void)
{
	return taken;
}
