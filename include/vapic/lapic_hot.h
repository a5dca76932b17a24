/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations on a local APIC's register page in source that C and C++ share: so short that a
 * call would cost more. Ordering: RegisterPage (lapic/register_page.hpp).
 *
 * @regs is the 4 KiB page.
 */
#ifndef VAPIC_LAPIC_HOT_H
#define VAPIC_LAPIC_HOT_H

#include <vapic/hw/cell.h>
#include <vapic/lapic.h>

#define VAPIC_LAPIC_ID 0x020
#define VAPIC_LAPIC_TPR 0x080
#define VAPIC_LAPIC_PPR 0x0a0
#define VAPIC_LAPIC_ISR 0x100
#define VAPIC_LAPIC_IRR 0x200
#define VAPIC_LAPIC_TIMER_DIVIDE 0x3e0

/* NOLINTBEGIN(cppcoreguidelines-pro-type-cstyle-cast): C reads this too */

/* A 32-bit register of the page. ORDERING irr-set; only the owner writes the others. */
VAPIC_CELL(vapic_lapic_word, u32)

static inline u32 vapic_lapic_read(const void *regs, u32 offset)
{
	return vapic_lapic_word_load((const struct vapic_lapic_word *)((const u8 *)regs + offset));
}

static inline void vapic_lapic_write(void *regs, u32 offset, u32 value)
{
	vapic_lapic_word_store((struct vapic_lapic_word *)((u8 *)regs + offset), value);
}

/*
 * Set @vector in the IRR. Any task or interrupt may call this.
 *
 * ORDERING irr-set
 *   writers:  IPI hardware and the IOMMU set bits, VMRUN and the doorbell clear
 *             them, KVM does both for an inactive vCPU; all atomically
 *   order:    sequentially consistent, a locked OR. With a weaker order, the sender's next
 *             read (is the target in guest mode, asleep?) could pass this write
 *   pairs:    vapic_avic_vcpu_block() and vcpu_enter_guest(), which write the state
 *             first and look at IRR second
 *   barrier:  here
 *   if lost:  a sleeping vCPU is never woken for the interrupt
 *   checked:  residency_history_test; selftest ipi_blocked; selftest ipi_lost; model avic
 *             (SENDER_PLAIN_STORE)
 */
static inline void vapic_lapic_set_irr(void *regs, u8 vector)
{
	struct vapic_lapic_word *irr = (struct vapic_lapic_word *)((u8 *)regs + VAPIC_LAPIC_IRR);

	/* 32 vectors to a register, registers 4 words apart. */
	vapic_lapic_word_set(&irr[(vector & 0xe0u) / 8], (u32)1 << vector % 32);
}

/* True if @vector is set in the bank at @offset of the page. */
static inline bool vapic_lapic_test(const void *regs, u32 offset, u8 vector)
{
	return vapic_lapic_read(regs, offset + vector / 32 * 0x10) >> vector % 32 & 1;
}

/* Bits of the n-th of a bank's eight registers. */
static inline u32 vapic_lapic_bits(const struct vapic_lapic_word *bank, u32 n)
{
	return vapic_lapic_word_load(&bank[(u64)4 * n]);
}

/*
 * Highest vector of the bank at @offset of the page, or VAPIC_NO_VECTOR. Nearly always
 * there is none, so two registers go into one test.
 */
static inline u32 vapic_lapic_highest(const void *regs, u32 offset)
{
	const struct vapic_lapic_word *bank =
		(const struct vapic_lapic_word *)((const u8 *)regs + offset);
	u32 n = 0;

#pragma GCC unroll 4
	for (n = 8; n; n -= 2) {
		const u32 high = vapic_lapic_bits(bank, n - 1);
		const u32 low = vapic_lapic_bits(bank, n - 2);

		if (!(high | low))
			continue;
		/* 31 ^ clz() is one instruction, the number of the highest bit. */
		return high ? 32 * (n - 1) + (31 ^ (u32)__builtin_clz(high)) :
			      32 * (n - 2) + (31 ^ (u32)__builtin_clz(low));
	}
	return VAPIC_NO_VECTOR;
}

/* How many vectors the bank at @offset of the page holds. Nearly always none, as above. */
static inline u32 vapic_lapic_count(const void *regs, u32 offset)
{
	const struct vapic_lapic_word *bank =
		(const struct vapic_lapic_word *)((const u8 *)regs + offset);
	u32 bits = 0, vectors = 0, n = 0;

#pragma GCC unroll 8
	for (n = 0; n < 8; n++)
		bits |= vapic_lapic_bits(bank, n);
	if (!bits)
		return 0;

	for (n = 0; n < 8; n++)
		for (bits = vapic_lapic_bits(bank, n); bits; bits &= bits - 1)
			vectors++;
	return vectors;
}

/*
 * Processor priority: the task's priority or the class of @vector, the interrupt in service,
 * whichever class is higher. If the classes are equal, it is the task's whole priority.
 */
static inline u32 vapic_lapic_ppr(const void *regs, u32 vector)
{
	const u32 task = vapic_lapic_read(regs, VAPIC_LAPIC_TPR) & 0xff;

	if (vector == VAPIC_NO_VECTOR || (task & 0xf0) >= (vector & 0xf0))
		return task;
	return vector & 0xf0;
}

/* Compute the processor priority register from TPR and ISR. For the page's owner only. */
static inline void vapic_lapic_update_ppr(void *regs)
{
	const u32 in_service = vapic_lapic_highest(regs, VAPIC_LAPIC_ISR);

	vapic_lapic_write(regs, VAPIC_LAPIC_PPR, vapic_lapic_ppr(regs, in_service));
}

/* True if @vector is of a higher class than @than, a vector or a priority. */
static inline bool vapic_lapic_above(u32 vector, u32 than)
{
	return (vector & 0xf0) > (than & 0xf0);
}

/*
 * True if an idle processor would take the pending interrupt @vector while @in_service is in
 * service: the class of @vector is above those of @in_service and of the task. @in_service is
 * 0 if no interrupt is in service.
 */
static inline bool vapic_lapic_takes(const void *regs, u32 vector, u32 in_service)
{
	return vapic_lapic_above(vector, vapic_lapic_read(regs, VAPIC_LAPIC_TPR)) &&
	       vapic_lapic_above(vector, in_service);
}

/*
 * The divisor, 1 to 128, that bits 0, 1 and 3 of the divide configuration register encode.
 * Source: Intel SDM volume 3, "Divide Configuration Register".
 */
static inline u32 vapic_lapic_timer_divisor(const void *regs)
{
	const u32 divide = vapic_lapic_read(regs, VAPIC_LAPIC_TIMER_DIVIDE);

	return 1u << (((divide & 3) | (divide >> 1 & 4)) + 1) % 8;
}

/* False if @image is that of a vCPU with another ID. Nothing else in an image is an error. */
static inline bool vapic_lapic_image_fits(const void *image, const struct vapic_lapic_form *form)
{
	return !form->x2apic || !form->x2apic_ids ||
	       vapic_lapic_read(image, VAPIC_LAPIC_ID) == form->id;
}

/* Copy all registers between a page and an image, in aligned 64-bit words without tearing. */
static inline void vapic_lapic_copy(void *to, const void *from)
{
	u64 words = VAPIC_LAPIC_IMAGE / 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* NOLINTEND(cppcoreguidelines-pro-type-cstyle-cast) */

#endif
