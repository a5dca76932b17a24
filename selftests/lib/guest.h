/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What code running inside the guest may use.
 *
 * Guest code is ordinary C of the same static, non-PIE program: vm.c maps the
 * program's image at the same addresses in the guest, so functions, globals
 * and pointers to them mean the same on both sides.  Two rules follow.  Guest
 * code calls nothing of libc (it may pick instructions that the guest has not
 * enabled), and what both sides touch is volatile or atomic.
 */
#ifndef SELFTESTS_LIB_GUEST_H
#define SELFTESTS_LIB_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "apic.h"

#define GUEST_MAX_CPUS	16

/* Why a guest last called its host. */
enum guest_call {
	GUEST_RUNNING,
	GUEST_DONE,		/* the guest function returned */
	GUEST_FAILED,		/* see fail_* below */
};

#define GUEST_CALL_PORT	0x5a0

/* One vCPU's block, shared with the host; GS points at it. */
struct guest_cpu {
	struct guest_cpu *self;
	uint32_t index;			/* 0.. in order of creation */
	uint32_t apic_id;
	bool x2apic;
	void (*function)(uint64_t arg);
	uint64_t arg;

	volatile uint32_t call;		/* enum guest_call */
	const char *volatile fail_text;
	const char *volatile fail_file;
	volatile uint32_t fail_line;
	volatile uint64_t fail_a, fail_b;

	volatile uint32_t irqs[256];	/* how often each vector was taken */
	volatile uint64_t irq_tsc[256];	/* TSC at the start of its handler */

	/* guest_poll() answers these: see accel.h. */
	volatile uint32_t probe_asked;
	volatile uint32_t probe_answered;

	uint64_t random;
};

extern struct guest_cpu guest_cpus[GUEST_MAX_CPUS];

/* Saved by the interrupt entry, lowest address first. */
struct guest_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void (*guest_handler)(struct guest_frame *frame);

/*
 * Handlers are shared by all vCPUs.  A vector without one fails the test.
 * guest_count_irq() only counts, notes the time and signals EOI.
 */
void guest_set_handler(uint8_t vector, guest_handler handler);
void guest_count_irq(struct guest_frame *frame);

/* First instruction executed: enables the APIC, runs the function, reports. */
void guest_entry(void);

void __attribute__((noreturn)) guest_exit(enum guest_call call);
void __attribute__((noreturn)) guest_fail(const char *text, const char *file,
					  uint32_t line, uint64_t a, uint64_t b);

#define GUEST_ASSERT_EQ(got, want) do {					\
	uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);	\
	if (got_ != want_)						\
		guest_fail(#got " == " #want, __FILE__, __LINE__, got_, want_); \
} while (0)

#define GUEST_ASSERT(cond) do {						\
	if (!(cond))							\
		guest_fail(#cond, __FILE__, __LINE__, 0, 0);		\
} while (0)

static inline struct guest_cpu *guest_self(void)
{
	struct guest_cpu *self;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(self));
	return self;
}

static inline void barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

static inline void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void irq_enable(void)
{
	/* The nop ends the interrupt shadow of sti. */
	__asm__ volatile("sti; nop" ::: "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline uint64_t irq_save(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) :: "memory");
	return flags;
}

static inline void irq_restore(uint64_t flags)
{
	__asm__ volatile("pushq %0; popfq" :: "r"(flags) : "memory", "cc");
}

/* Enable interrupts and halt with no window between the two. */
static inline void halt_with_irqs(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

static inline uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

static inline uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" :: "c"(msr), "a"((uint32_t)value),
			 "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t read_cr8(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr8, %0" : "=r"(value) :: "memory");
	return value;
}

static inline void write_cr8(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr8" :: "r"(value) : "memory");
}

static inline void write_port8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" :: "a"(value), "Nd"(port) : "memory");
}

static inline uint32_t mmio_read32(uint64_t address)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" :: "r"(value), "r"(address) : "memory");
}

/* APIC registers in whichever mode this vCPU runs. */
uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);
void apic_set_mode_x2apic(void);

/*
 * Send an IPI: dest is an APIC ID or a logical destination, in the width of
 * the current mode; low is the low half of ICR without the destination.
 */
void apic_send(uint32_t dest, uint32_t low);

static inline void apic_send_fixed(uint32_t apic_id, uint8_t vector)
{
	apic_send(apic_id, ICR_FIXED | ICR_PHYSICAL | ICR_ASSERT | vector);
}

static inline void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* Whether the given bit is set in IRR, ISR or TMR (base: APIC_IRR...). */
bool apic_vector_is_set(uint32_t base, uint8_t vector);

/* A small xorshift generator; each vCPU has its own, seeded by its index. */
uint64_t guest_random(void);

/* Spin for about `count` short iterations. */
void guest_delay(uint64_t count);

/* To be called from every loop that waits for long: answers the host's probes. */
void guest_poll(void);

/* Wait until the condition holds, answering probes meanwhile. */
#define guest_wait(cond) do {						\
	while (!(cond))							\
		guest_poll();						\
} while (0)

#endif
