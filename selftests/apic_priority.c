// SPDX-License-Identifier: GPL-2.0-only
/*
 * Self-IPIs and priorities: TPR by CR8 and by MMIO, IRR and ISR as the guest
 * sees them, nesting, and NMIs, which hardware does not accelerate.
 */
#include "lib/modes.h"

#include "lib/hyperv.h"
#include "lib/roles.h"

#define LOW		0x45
#define MIDDLE		0x55
#define HIGH		0x65

static volatile bool sent_all;
static volatile uint32_t nmis[GUEST_MAX_CPUS];
static volatile uint32_t order_of[256], order_next;

static void note_order(struct guest_frame *frame)
{
	order_of[frame->vector] = ++order_next;
	guest_count_irq(frame);
}

/* Enable interrupts until this vector was taken, and a little longer for any other vector. */
static void open_window_for(uint8_t vector, uint32_t count)
{
	irq_enable();
	guest_wait(guest_self()->irqs[vector] >= count);
	guest_delay(1000);
	irq_disable();
}

static void send_self(uint8_t vector)
{
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | vector);
}

static void self_ipi_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	for (uint32_t i = 1; i <= count; i++) {
		irq_enable();
		send_self(LOW);
		guest_wait(self->irqs[LOW] == i);
		/* Send to the vCPU's own physical ID. */
		apic_send_fixed(self->apic_id, MIDDLE);
		guest_wait(self->irqs[MIDDLE] == i);
		irq_disable();
		/* Not taken while interrupts are off, and pending until they are on. */
		send_self(HIGH);
		GUEST_ASSERT(apic_vector_is_set(APIC_IRR, HIGH));
		GUEST_ASSERT_EQ(self->irqs[HIGH], i - 1);
		irq_enable();
		guest_wait(self->irqs[HIGH] == i);
		GUEST_ASSERT(!apic_vector_is_set(APIC_IRR, HIGH));
	}
}

static void tpr_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	for (uint32_t i = 1; i <= count; i++) {
		/* CR8 and the TPR register show the same value. */
		write_cr8(7);
		GUEST_ASSERT_EQ(apic_read(APIC_TPR), 0x70);
		apic_write(APIC_TPR, 0x35);
		GUEST_ASSERT_EQ(read_cr8(), 3);

		/* Class 5 masks classes 4 and 5, not 6. */
		write_cr8(5);
		send_self(LOW);
		send_self(MIDDLE);
		send_self(HIGH);
		open_window_for(HIGH, i);
		GUEST_ASSERT_EQ(self->irqs[HIGH], i);
		GUEST_ASSERT_EQ(self->irqs[MIDDLE], i - 1);
		GUEST_ASSERT_EQ(self->irqs[LOW], i - 1);
		GUEST_ASSERT(apic_vector_is_set(APIC_IRR, MIDDLE));
		GUEST_ASSERT_EQ(apic_read(APIC_PPR) & 0xf0, 0x50);

		/* Open one class at a time, by either register. */
		apic_write(APIC_TPR, 0x40);
		open_window_for(MIDDLE, i);
		GUEST_ASSERT_EQ(self->irqs[MIDDLE], i);
		GUEST_ASSERT_EQ(self->irqs[LOW], i - 1);
		write_cr8(0);
		open_window_for(LOW, i);
		GUEST_ASSERT_EQ(self->irqs[LOW], i);
	}
}

/*
 * TPR by CR8 alone.  Hardware may accept the write without an exit, so that KVM learns of it
 * later.  A held interrupt must arrive as soon as the priority is lowered.
 */
static void cr8_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		write_cr8(5);
		send_self(MIDDLE);
		guest_delay(1000);
		GUEST_ASSERT_EQ(self->irqs[MIDDLE], i - 1);
		write_cr8(0);
		guest_wait(self->irqs[MIDDLE] == i);
	}
}

/* Sends itself a higher and a lower vector from inside the handler, with interrupts on. */
static void nesting_handler(struct guest_frame *frame)
{
	struct guest_cpu *self = guest_self();

	GUEST_ASSERT_EQ(frame->vector, MIDDLE);
	GUEST_ASSERT(apic_vector_is_set(APIC_ISR, MIDDLE));
	GUEST_ASSERT_EQ(apic_read(APIC_PPR) & 0xf0, MIDDLE & 0xf0);
	send_self(LOW);
	send_self(HIGH);
	irq_enable();
	while (!self->irqs[HIGH])
		cpu_pause();
	guest_delay(100);
	GUEST_ASSERT_EQ(self->irqs[LOW], 0);
	irq_disable();
	order_of[MIDDLE] = ++order_next;
	self->irqs[MIDDLE]++;
	apic_eoi();
}

static void nesting_guest(uint64_t arg)
{
	struct guest_cpu *self = guest_self();

	(void)arg;
	irq_enable();
	send_self(MIDDLE);
	guest_wait(self->irqs[LOW] == 1);
	GUEST_ASSERT_EQ(order_of[HIGH], 1);
	GUEST_ASSERT_EQ(order_of[MIDDLE], 2);
	GUEST_ASSERT_EQ(order_of[LOW], 3);
	GUEST_ASSERT(!apic_vector_is_set(APIC_ISR, MIDDLE));
}

/* Three interrupts pending at once arrive by priority, in whatever order they were sent. */
static void order_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	for (uint32_t i = 1; i <= count; i++) {
		order_next = 0;
		send_self(MIDDLE);
		send_self(HIGH);
		send_self(LOW);
		irq_enable();
		guest_wait(self->irqs[LOW] == i);
		irq_disable();
		GUEST_ASSERT_EQ(order_of[HIGH], 1);
		GUEST_ASSERT_EQ(order_of[MIDDLE], 2);
		GUEST_ASSERT_EQ(order_of[LOW], 3);
	}
}

/* Halts with TPR above LOW: only HIGH may wake it. */
static void masked_sleeper(uint64_t arg)
{
	struct guest_cpu *self = guest_self();

	(void)arg;
	write_cr8(5);
	role_set_ready();
	halt_with_irqs();
	irq_disable();
	/* Nothing but HIGH ends the halt; LOW waits in IRR. */
	GUEST_ASSERT_EQ(self->irqs[HIGH], 1);
	GUEST_ASSERT_EQ(self->irqs[LOW], 0);
	GUEST_ASSERT(apic_vector_is_set(APIC_IRR, LOW));
	write_cr8(0);
	role_wait_finished();
}

static void nmi_handler(struct guest_frame *frame)
{
	(void)frame;
	nmis[guest_self()->index]++;
}

static void nmi_sender(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		for (unsigned int target = 1; target <= 2; target++) {
			apic_send(guest_cpus[target].apic_id, ICR_NMI | ICR_ASSERT);
			guest_wait(nmis[target] == i);
		}
	}
	sent_all = true;
	role_wait_finished();
}

static struct vm *begin(void)
{
	struct vm *vm = vm_create(mode);

	roles_begin();
	guest_set_handler(LOW, note_order);
	guest_set_handler(MIDDLE, note_order);
	guest_set_handler(HIGH, note_order);
	order_next = 0;
	sent_all = false;
	return vm;
}

static void run_alone(void (*guest)(uint64_t), uint64_t arg)
{
	struct vm *vm = begin();

	if (guest == nesting_guest)
		guest_set_handler(MIDDLE, nesting_handler);
	vm_add_vcpu(vm, 0, guest, arg);
	vm_start(vm);
	vm_join(vm);
	vm_destroy(vm);
}

TEST_F(guest, self_ipi_is_taken_when_interrupts_are_on)
{
	run_alone(self_ipi_guest, rounds);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[HIGH]);
}

TEST_F(guest, tpr_masks_lower_classes_until_lowered)
{
	run_alone(tpr_guest, rounds);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[LOW]);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[HIGH]);
}

/* With acceleration and, while it is inhibited, without. */
TEST_F(guest, interrupt_held_by_cr8_comes_when_it_falls)
{
	struct vm *vm;

	run_alone(cr8_guest, rounds);
	vm = begin();
	vm_add_vcpu(vm, 0, cr8_guest, rounds);
	if (hyperv_add(&vm->vcpus[0]))
		hyperv_set_auto_eoi(&vm->vcpus[0], true);
	vm_start(vm);
	vm_join(vm);
	vm_destroy(vm);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[MIDDLE]);
}

TEST_F(guest, higher_class_nests_and_lower_class_waits_for_eoi)
{
	run_alone(nesting_guest, 0);
	EXPECT_EQ(1, guest_cpus[0].irqs[MIDDLE]);
}

TEST_F(guest, pending_interrupts_come_by_priority)
{
	run_alone(order_guest, rounds);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[LOW]);
}

TEST_F(guest, halted_vcpu_sleeps_through_an_interrupt_that_tpr_masks)
{
	struct vm *vm;

	vm = begin();
	vm_add_vcpu(vm, 0, masked_sleeper, 0);
	vm_start(vm);
	vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the vCPU sleeps");
	vm_send_msi(vm, 0, LOW);
	sleep_us(20000);
	EXPECT_EQ(0, guest_cpus[0].irqs[LOW]);
	vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the vCPU sleeps again");
	vm_send_msi(vm, 0, HIGH);
	vm_wait(vm, guest_cpus[0].irqs[LOW] == 1, "the masked interrupt comes at last");
	EXPECT_EQ(1, guest_cpus[0].irqs[HIGH]);
	roles_finish(vm);
}

TEST_F(guest, nmi_ipi_reaches_running_and_halted_vcpus)
{
	struct vm *vm;

	vm = begin();
	nmis[1] = nmis[2] = 0;
	guest_set_handler(2, nmi_handler);
	vm_add_vcpu(vm, 0, nmi_sender, rounds);
	vm_add_vcpu(vm, 1, role_spinner, 0);
	vm_add_vcpu(vm, 2, role_sleeper, 0);
	vm_start_held(vm, 1U << 0);
	roles_wait_ready(vm, 1);
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, sent_all, "every NMI is handled");
	EXPECT_EQ(rounds, nmis[1]);
	EXPECT_EQ(rounds, nmis[2]);
	roles_finish(vm);
}

TEST_MAIN(20)
