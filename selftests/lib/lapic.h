/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The image of a local APIC that KVM_GET_LAPIC and KVM_SET_LAPIC exchange: the register
 * page as it is in memory, each register 32 bits wide at its offset of apic.h.
 */
#ifndef SELFTESTS_LIB_LAPIC_H
#define SELFTESTS_LIB_LAPIC_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "apic.h"

static inline uint32_t lapic_read(const struct kvm_lapic_state *lapic, uint32_t reg)
{
	uint32_t word;

	memcpy(&word, lapic->regs + reg, sizeof(word));
	return word;
}

static inline void lapic_write(struct kvm_lapic_state *lapic, uint32_t reg, uint32_t word)
{
	memcpy(lapic->regs + reg, &word, sizeof(word));
}

/* A bit of IRR, ISR or TMR (base: APIC_IRR...). */
static inline bool lapic_bit(const struct kvm_lapic_state *lapic, uint32_t base, uint8_t vector)
{
	return lapic_read(lapic, base + vector / 32 * 0x10) >> vector % 32 & 1;
}

static inline void lapic_set(struct kvm_lapic_state *lapic, uint32_t base, uint8_t vector, bool on)
{
	uint32_t reg = base + vector / 32 * 0x10, bit = 1U << vector % 32;

	lapic_write(lapic, reg, (lapic_read(lapic, reg) & ~bit) | (on ? bit : 0));
}

/* The highest vector set, or -1. */
static inline int lapic_highest(const struct kvm_lapic_state *lapic, uint32_t base)
{
	for (int vector = 255; vector >= 0; vector--)
		if (lapic_bit(lapic, base, vector))
			return vector;
	return -1;
}

/*
 * The PPR that follows from TPR and ISR: all of TPR if its class is not below that of ISR,
 * otherwise the class of ISR.
 */
static inline uint32_t lapic_ppr(const struct kvm_lapic_state *lapic)
{
	int in_service = lapic_highest(lapic, APIC_ISR);
	uint32_t tpr = lapic_read(lapic, APIC_TPR) & 0xff;
	uint32_t isr = in_service < 0 ? 0 : in_service & 0xf0;

	return (tpr & 0xf0) >= isr ? tpr : isr;
}

#endif
