// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's runtime: interrupt entry and the few services that guest.h
 * declares.  Everything here runs inside the guest at ring 0.
 */
#include "guest.h"

#include "accel.h"
#include "guest_apic.h"

struct guest_cpu guest_cpus[GUEST_MAX_CPUS];

static guest_handler handlers[256];

void guest_set_handler(uint8_t vector, guest_handler handler)
{
	handlers[vector] = handler;
}

void guest_exit(enum guest_call call)
{
	guest_self()->call = call;
	for (;;)
		__asm__ volatile("outl %0, %1"
				 :: "a"((uint32_t)call), "d"((uint16_t)GUEST_CALL_PORT)
				 : "memory");
}

void guest_fail(const char *text, const char *file, uint32_t line,
		uint64_t a, uint64_t b)
{
	struct guest_cpu *self = guest_self();

	irq_disable();
	self->fail_text = text;
	self->fail_file = file;
	self->fail_line = line;
	self->fail_a = a;
	self->fail_b = b;
	guest_exit(GUEST_FAILED);
}

/*
 * One 16-byte stub for each vector; those for which the processor pushes no
 * error code push a zero, so that every frame looks the same.  The vectors
 * with an error code are 8, 10 to 14, 17, 21, 29 and 30: a bit each in 60227d00h.
 */
__asm__(
"	.pushsection .text\n"
"	.balign 16\n"
"	.globl guest_stubs\n"
"guest_stubs:\n"
"	vector = 0\n"
"	.rept 256\n"
"	.balign 16\n"
"	.if (vector > 31) || (((0x60227d00 >> (vector & 31)) & 1) == 0)\n"
"	pushq $0\n"
"	.endif\n"
"	pushq $vector\n"
"	jmp guest_common_entry\n"
"	vector = vector + 1\n"
"	.endr\n"
"	.balign 16\n"
"guest_common_entry:\n"
"	pushq %rax\n	pushq %rbx\n	pushq %rcx\n	pushq %rdx\n"
"	pushq %rbp\n	pushq %rsi\n	pushq %rdi\n"
"	pushq %r8\n	pushq %r9\n	pushq %r10\n	pushq %r11\n"
"	pushq %r12\n	pushq %r13\n	pushq %r14\n	pushq %r15\n"
"	cld\n"
"	movq %rsp, %rdi\n"
"	movq %rsp, %rbx\n"
"	andq $-16, %rsp\n"
"	call guest_dispatch\n"
"	movq %rbx, %rsp\n"
"	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n"
"	popq %r11\n	popq %r10\n	popq %r9\n	popq %r8\n"
"	popq %rdi\n	popq %rsi\n	popq %rbp\n"
"	popq %rdx\n	popq %rcx\n	popq %rbx\n	popq %rax\n"
"	addq $16, %rsp\n"
"	iretq\n"
"	.popsection\n"
);

__attribute__((used)) void guest_dispatch(struct guest_frame *frame);

void guest_dispatch(struct guest_frame *frame)
{
	guest_handler handler = handlers[frame->vector & 0xff];

	if (!handler)
		guest_fail("no handler for this vector (a: vector, b: RIP)",
			   "guest", (uint32_t)frame->error, frame->vector,
			   frame->rip);
	handler(frame);
}

void guest_count_irq(struct guest_frame *frame)
{
	uint64_t now = read_tsc();
	struct guest_cpu *self = guest_self();

	/* The time first: a sender that sees the count reads the time next. */
	self->irq_tsc[frame->vector] = now;
	barrier();
	self->irqs[frame->vector]++;
	apic_eoi();
}

void guest_entry(void)
{
	struct guest_cpu *self = guest_self();

	apic_write(APIC_SPIV, APIC_SPIV_ENABLE | 0xff);
	self->function(self->arg);
	irq_disable();
	guest_exit(GUEST_DONE);
}

uint64_t guest_random(void)
{
	struct guest_cpu *self = guest_self();
	uint64_t x = self->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	self->random = x;
	return x;
}

void guest_delay(uint64_t count)
{
	while (count--)
		barrier();
}

/* Tells the host that a step is done, and waits for its next one. */
static void await_probe_step(struct guest_cpu *self)
{
	uint32_t step = self->probe_host;

	self->probe_guest = step;
	while (self->probe_host == step)
		cpu_pause();
}

void guest_poll(void)
{
	struct guest_cpu *self = guest_self();
	uint64_t flags;

	cpu_pause();
	if (self->probe_host == self->probe_guest)
		return;
	/* Nothing else happens on this vCPU between the steps. */
	flags = irq_save();
	await_probe_step(self);
	for (uint32_t i = 0; i < ACCEL_PROBE_READS; i++)
		apic_read(APIC_LDR);
	await_probe_step(self);
	self->probe_guest = self->probe_host;
	irq_restore(flags);
}
