// SPDX-License-Identifier: GPL-2.0-only
/* Accesses to the APIC page or to the MSRs, depending on the vCPU's mode. */
#include "guest_apic.h"

#include "guest.h"

uint32_t apic_read(uint32_t reg)
{
	if (guest_self()->x2apic)
		return (uint32_t)read_msr(MSR_X2APIC + (reg >> 4));
	return mmio_read32(APIC_BASE_ADDR + reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
	if (guest_self()->x2apic)
		write_msr(MSR_X2APIC + (reg >> 4), value);
	else
		mmio_write32(APIC_BASE_ADDR + reg, value);
}

void apic_set_mode_x2apic(void)
{
	write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	guest_self()->x2apic = true;
}

void apic_disable(void)
{
	write_msr(MSR_APIC_BASE,
		  read_msr(MSR_APIC_BASE) & ~(APIC_BASE_X2APIC | APIC_BASE_ENABLE));
	guest_self()->x2apic = false;
}

void apic_set_mode_xapic(void)
{
	write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
	apic_write(APIC_SPIV, APIC_SPIV_ENABLE | 0xff);
}

void apic_send(uint32_t dest, uint32_t low)
{
	uint64_t flags;

	/*
	 * What the IPI announces must be visible before it, and
	 * a write to an x2APIC MSR does not order earlier stores.
	 */
	full_barrier();
	if (guest_self()->x2apic) {
		write_msr(MSR_X2APIC + (APIC_ICR >> 4), (uint64_t)dest << 32 | low);
		return;
	}
	/* A handler that also sends must not run between the writes of the two halves. */
	flags = irq_save();
	mmio_write32(APIC_BASE_ADDR + APIC_ICR_HIGH, dest << 24);
	mmio_write32(APIC_BASE_ADDR + APIC_ICR, low);
	irq_restore(flags);
}

uint32_t apic_broadcast_id(void)
{
	return guest_self()->x2apic ? X2APIC_BROADCAST : XAPIC_BROADCAST;
}

void apic_set_logical_id(uint8_t id)
{
	if (!guest_self()->x2apic)
		apic_write(APIC_LDR, (uint32_t)id << 24);
}

bool apic_vector_is_set(uint32_t base, uint8_t vector)
{
	return apic_read(base + (vector / 32) * 0x10) >> (vector % 32) & 1;
}
