/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local APIC as a guest sees it: register offsets and the fields that the
 * tests use.  Values are those of the AMD64 manual volume 2, "Advanced
 * Programmable Interrupt Controller"; in x2APIC mode register R is MSR
 * 800h + R / 10h.
 */
#ifndef SELFTESTS_LIB_APIC_H
#define SELFTESTS_LIB_APIC_H

#define APIC_BASE_ADDR		0xfee00000UL
#define APIC_BASE_ENABLE	(1UL << 11)
#define APIC_BASE_X2APIC	(1UL << 10)
#define APIC_BASE_BSP		(1UL << 8)

#define APIC_ID			0x020
#define APIC_VERSION		0x030
#define APIC_TPR		0x080
#define APIC_PPR		0x0a0
#define APIC_EOI		0x0b0
#define APIC_REMOTE_READ	0x0c0
#define APIC_LDR		0x0d0
#define APIC_DFR		0x0e0
#define APIC_SPIV		0x0f0
#define APIC_ISR		0x100
#define APIC_TMR		0x180
#define APIC_IRR		0x200
#define APIC_ESR		0x280
#define APIC_LVT_CMCI		0x2f0
#define APIC_ICR		0x300
#define APIC_ICR_HIGH		0x310
#define APIC_LVT_TIMER		0x320
#define APIC_LVT_LINT0		0x350
#define APIC_LVT_ERROR		0x370
#define APIC_TMICT		0x380
#define APIC_TMCCT		0x390
#define APIC_TDCR		0x3e0
#define APIC_SELF_IPI		0x3f0	/* x2APIC only */

/* Reserved bits of the ICR in x2APIC mode, but for bit 12. */
#define X2APIC_ICR_RESERVED	0xfff32000UL

#define APIC_SPIV_ENABLE	(1U << 8)
#define APIC_DFR_FLAT		0xffffffffU
#define APIC_DFR_CLUSTER	0x0fffffffU

#define APIC_LVT_EXTINT		(7U << 8)
#define APIC_LVT_MASKED		(1U << 16)
#define APIC_TIMER_MODE		(3U << 17)
#define APIC_TIMER_ONESHOT	(0U << 17)
#define APIC_TIMER_PERIODIC	(1U << 17)
#define APIC_TIMER_DEADLINE	(2U << 17)

#define ICR_FIXED		(0U << 8)
#define ICR_LOWEST		(1U << 8)
#define ICR_SMI			(2U << 8)
#define ICR_NMI			(4U << 8)
#define ICR_INIT		(5U << 8)
#define ICR_STARTUP		(6U << 8)
#define ICR_PHYSICAL		(0U << 11)
#define ICR_LOGICAL		(1U << 11)
#define ICR_BUSY		(1U << 12)
#define ICR_ASSERT		(1U << 14)
#define ICR_TO_DEST		(0U << 18)
#define ICR_TO_SELF		(1U << 18)
#define ICR_TO_ALL		(2U << 18)
#define ICR_TO_OTHERS		(3U << 18)

#define XAPIC_BROADCAST		0xffU
#define X2APIC_BROADCAST	0xffffffffU

#define MSR_APIC_BASE		0x0000001b
#define MSR_TSC_DEADLINE	0x000006e0
#define MSR_X2APIC		0x00000800

#endif
