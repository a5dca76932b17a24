// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens while an event is on its way to its handler: the host takes away the pages that the
 * processor needs for that, so that KVM has to inject the event again; a gate is not present; an
 * interrupt waits for the end of the shadow of STI.  Nothing of it concerns acceleration, but all
 * of it runs beside it.
 */
#define _GNU_SOURCE
#include "lib/modes.h"

#include <sys/mman.h>

#include "lib/roles.h"

#define FLUSH_PORT	0x5a4

#define NOT_PRESENT	11
#define PROTECTION	13
#define DOUBLE_FAULT	8
#define SOFTWARE	0x80
#define TRAP		0x82
#define IPI		0x61

#define GATE_PRESENT	(1UL << 47)
#define GATE_TRAP	(1UL << 40)

/* On a page of its own, which the host takes away. */
static uint64_t own_idt[256][2] __attribute__((aligned(4096)));

static volatile uint32_t not_present, double_faults, software, traps;
static volatile uint64_t interrupted_at;

extern char software_int[], after_protection[], trap_entry[];

struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void use_own_idt(void)
{
	struct table table;
	const volatile uint64_t *old;

	__asm__ volatile("sidt %0" : "=m"(table));
	old = (const volatile uint64_t *)table.base;
	for (unsigned int i = 0; i < 256; i++) {
		own_idt[i][0] = old[2 * i];
		own_idt[i][1] = old[2 * i + 1];
	}
	table.base = (uint64_t)own_idt;
	__asm__ volatile("lidt %0" :: "m"(table) : "memory");
}

static void set_present(uint8_t vector, bool on)
{
	volatile uint64_t *gate = own_idt[vector];

	*gate = on ? *gate | GATE_PRESENT : *gate & ~GATE_PRESENT;
}

/* ---- the host takes away the IDT and the stack, and gives them back at once ---- */

static void take_away(struct vcpu *vcpu, uint64_t address)
{
	void *page = (void *)(address & -4096UL);

	if (mprotect(page, 4096, PROT_NONE) || mprotect(page, 4096, PROT_READ | PROT_WRITE))
		vm_fail(vcpu->vm, "mprotect");
}

static bool flush(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	if (vcpu->run->exit_reason != KVM_EXIT_IO || vcpu->run->io.port != FLUSH_PORT)
		return false;
	vcpu_ioctl(vcpu, KVM_GET_REGS, &regs);
	take_away(vcpu, (uint64_t)own_idt);
	/* All that a handler's frame can be on. */
	take_away(vcpu, regs.rsp);
	take_away(vcpu, regs.rsp - 256);
	return true;
}

/* ---- a software interrupt whose gate is not present ---- */

static void not_present_handler(struct guest_frame *frame)
{
	GUEST_ASSERT_EQ(frame->rip, software_int);
	GUEST_ASSERT_EQ(frame->error, SOFTWARE * 8 + 2);
	not_present++;
	set_present(SOFTWARE, true);
}

static void software_handler(struct guest_frame *frame)
{
	(void)frame;
	software++;
}

static void __attribute__((noinline)) interrupt_itself(void)
{
	__asm__ volatile("outl %%eax, %%dx\n"
			 "software_int: int %2\n"
			 :: "a"(0), "d"(FLUSH_PORT), "i"(SOFTWARE) : "memory");
}

static void software_guest(uint64_t count)
{
	use_own_idt();
	for (uint32_t i = 1; i <= count; i++) {
		set_present(SOFTWARE, false);
		interrupt_itself();
		GUEST_ASSERT_EQ(not_present, i);
		GUEST_ASSERT_EQ(software, i);
	}
	role_set_ready();
	role_wait_finished();
}

/* ---- an exception whose gate is not present ---- */

static void double_fault_handler(struct guest_frame *frame)
{
	GUEST_ASSERT_EQ(frame->error, 0);
	double_faults++;
	set_present(PROTECTION, true);
	frame->rip = (uint64_t)after_protection;
}

static void __attribute__((noinline)) access_non_canonical(void)
{
	__asm__ volatile("outl %%eax, %%dx\n"
			 "movb (%2), %%r8b\n"
			 "after_protection:\n"
			 :: "a"(0), "d"(FLUSH_PORT), "c"(1UL << 63) : "r8", "memory");
}

static void exception_guest(uint64_t count)
{
	use_own_idt();
	for (uint32_t i = 1; i <= count; i++) {
		set_present(PROTECTION, false);
		access_non_canonical();
		GUEST_ASSERT_EQ(double_faults, i);
	}
	role_set_ready();
	role_wait_finished();
}

/* ---- a software interrupt in the shadow of STI, with an IPI pending ---- */

static void ipi_handler(struct guest_frame *frame)
{
	interrupted_at = frame->rip;
	guest_count_irq(frame);
}

__asm__(
"	.pushsection .text\n"
"trap_entry:\n"
"	incl traps(%rip)\n"
"	nop\n"
"	iretq\n"
"	.popsection\n"
);

static void __attribute__((noinline)) trap_in_shadow(bool flushed)
{
	__asm__ volatile("testl %%eax, %%eax\n"
			 "jz 1f\n"
			 "outl %%eax, %%dx\n"
			 "1: sti\n"
			 "int %2\n"
			 "cli\n"
			 :: "a"((uint32_t)flushed), "d"(FLUSH_PORT), "i"(TRAP) : "memory", "cc");
}

static void shadow_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();
	uint64_t target = (uint64_t)trap_entry;

	use_own_idt();
	own_idt[TRAP][0] = (own_idt[TRAP][0] & 0x0000ffffffff0000UL) | GATE_TRAP |
			   (target & 0xffff) | (target >> 16 & 0xffff) << 48;
	own_idt[TRAP][1] = target >> 32;
	for (uint32_t i = 1; i <= count; i++) {
		irq_disable();
		apic_send(0, ICR_FIXED | ICR_TO_SELF | IPI);
		trap_in_shadow(i % 2);
		GUEST_ASSERT_EQ(traps, i);
		GUEST_ASSERT_EQ(self->irqs[IPI], i);
		GUEST_ASSERT_EQ(interrupted_at, target);
	}
	role_set_ready();
	role_wait_finished();
}

static void run(void (*guest)(uint64_t))
{
	struct vcpu *vcpu;
	struct vm *vm;

	roles_begin();
	not_present = double_faults = software = traps = 0;
	guest_set_handler(NOT_PRESENT, not_present_handler);
	guest_set_handler(DOUBLE_FAULT, double_fault_handler);
	guest_set_handler(SOFTWARE, software_handler);
	guest_set_handler(IPI, ipi_handler);
	vm = vm_create(mode);
	vm->on_exit = flush;
	vcpu = vm_add_vcpu(vm, 0, guest, rounds);
	vm_start(vm);
	vm_wait(vm, role_is_ready(vcpu), "the guest is done");
	roles_finish(vm);
}

TEST_F(guest, software_interrupt_without_gate_is_not_present_at_the_instruction)
{
	run(software_guest);
}

TEST_F(guest, exception_without_gate_is_a_double_fault)
{
	run(exception_guest);
}

TEST_F(guest, interrupt_comes_before_a_handler_that_ends_the_shadow)
{
	run(shadow_guest);
}

TEST_MAIN(50)
