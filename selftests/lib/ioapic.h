/* SPDX-License-Identifier: GPL-2.0-only */
/* The IOAPIC as a guest programs it. */
#ifndef SELFTESTS_LIB_IOAPIC_H
#define SELFTESTS_LIB_IOAPIC_H

#include "cpu.h"

#define IOAPIC_BASE		0xfec00000UL
#define IOAPIC_LEVEL		(1U << 15)
#define IOAPIC_REMOTE_IRR	(1U << 14)

static inline void ioapic_write(uint8_t reg, uint32_t value)
{
	mmio_write32(IOAPIC_BASE, reg);
	mmio_write32(IOAPIC_BASE + 0x10, value);
}

static inline uint32_t ioapic_read(uint8_t reg)
{
	mmio_write32(IOAPIC_BASE, reg);
	return mmio_read32(IOAPIC_BASE + 0x10);
}

/* The low half of a pin's entry. */
static inline uint32_t ioapic_read_pin(unsigned int pin)
{
	return ioapic_read(0x10 + pin * 2);
}

/* Route a pin, fixed and physical, active high; flags: IOAPIC_LEVEL or none. */
static inline void ioapic_route(unsigned int pin, uint32_t apic_id, uint8_t vector, uint32_t flags)
{
	ioapic_write(0x11 + pin * 2, apic_id << 24);
	ioapic_write(0x10 + pin * 2, vector | flags);
}

#endif
