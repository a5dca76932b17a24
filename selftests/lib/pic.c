// SPDX-License-Identifier: GPL-2.0-only
/* Sets up one pin of the 8259 pair and counts its interrupts. */
#include "pic.h"

#include "guest_apic.h"

#define PIN		3
#define FIRST_VECTOR	0x30
#define COMMAND		0x20
#define DATA		0x21

volatile uint32_t pic_extints;

static void handler(struct guest_frame *frame)
{
	(void)frame;
	/* The local APIC does not know this interrupt: the EOI goes to the PIC. */
	write_port8(COMMAND, 0x20);
	pic_extints++;
}

void pic_begin(void)
{
	pic_begin_at(PIN);
}

void pic_begin_at(unsigned int pin)
{
	pic_extints = 0;
	guest_set_handler(FIRST_VECTOR + pin, handler);
	/* Initialize: edge-triggered, vectors, the second one on pin 2, 8086 mode. */
	write_port8(COMMAND, 0x11);
	write_port8(DATA, FIRST_VECTOR);
	write_port8(DATA, 1U << 2);
	write_port8(DATA, 0x01);
	write_port8(DATA, (uint8_t)~(1U << pin));
	apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
}

void pic_mask_all(void)
{
	write_port8(DATA, 0xff);
}

void pic_set_line(struct vm *vm, bool high)
{
	struct kvm_irq_level line = { .irq = PIN, .level = high };

	vm_ioctl(vm, KVM_IRQ_LINE, &line);
}
