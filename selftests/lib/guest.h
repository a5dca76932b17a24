/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions and data that code inside the guest may use.
 *
 * Guest code is ordinary C of the same static, non-PIE program: boot.c maps the
 * program's image at the same addresses in the guest, so functions, globals
 * and pointers to them mean the same on both sides.  Two rules follow.  Guest
 * code must not call libc, which may select instructions that the guest has not
 * enabled; and everything that both sides access must be volatile or atomic.
 */
#ifndef SELFTESTS_LIB_GUEST_H
#define SELFTESTS_LIB_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"

#define GUEST_MAX_CPUS	1024

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
	uint32_t index;			/* from 0, in order of creation */
	uint32_t apic_id;
	volatile bool x2apic;		/* the APIC mode, which apic_read() and so on go by */
	void (*function)(uint64_t arg);
	uint64_t arg;

	volatile uint32_t call;		/* enum guest_call */
	const char *volatile fail_text;
	const char *volatile fail_file;
	volatile uint32_t fail_line;
	volatile uint64_t fail_a, fail_b;

	volatile uint32_t irqs[256];	/* how often each vector was taken */
	volatile uint64_t irq_tsc[256];	/* TSC at the start of its handler */

	/* Probes of acceleration, which guest_poll() answers: see accel.c for the steps. */
	volatile uint32_t probe_host;
	volatile uint32_t probe_guest;

	uint64_t random;
};

extern struct guest_cpu guest_cpus[GUEST_MAX_CPUS];

/* Host: changes the random numbers of all vCPUs that are added from now on; 0 at first. */
extern uint64_t guest_seed;

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

/* A small xorshift generator; each vCPU has its own, seeded by its index and guest_seed. */
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
