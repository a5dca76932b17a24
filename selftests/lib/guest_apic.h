/* SPDX-License-Identifier: GPL-2.0-only */
/* Access to the local APIC of the vCPU that runs this code, in xAPIC or x2APIC mode. */
#ifndef SELFTESTS_LIB_GUEST_APIC_H
#define SELFTESTS_LIB_GUEST_APIC_H

#include <stdbool.h>
#include <stdint.h>

#include "apic.h"

/* APIC registers in whichever mode this vCPU runs. */
uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);

/* Changes of mode, with interrupts off; each must be one that the manuals allow. */
void apic_set_mode_x2apic(void);
void apic_disable(void);
void apic_set_mode_xapic(void);

/*
 * Send an IPI: dest is an APIC ID or a logical destination, in the width of
 * the current mode; low is the low half of ICR without the destination.
 */
void apic_send(uint32_t dest, uint32_t low);

static inline void apic_send_fixed(uint32_t apic_id, uint8_t vector)
{
	apic_send(apic_id, ICR_FIXED | ICR_PHYSICAL | ICR_ASSERT | vector);
}

/* The physical destination that is every vCPU. */
uint32_t apic_broadcast_id(void);

/* Sets the 8-bit logical ID.  In x2APIC mode it follows from the APIC ID, so this does nothing. */
void apic_set_logical_id(uint8_t id);

/* The logical ID in x2APIC mode: the cluster and a bit in it. */
static inline uint32_t x2apic_logical_id(uint32_t apic_id)
{
	return apic_id >> 4 << 16 | 1U << (apic_id & 0xf);
}

static inline void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* Whether the given bit is set in IRR, ISR or TMR (base: APIC_IRR...). */
bool apic_vector_is_set(uint32_t base, uint8_t vector);

#endif
