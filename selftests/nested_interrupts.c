// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that is a hypervisor gets its interrupts when SVM says so: none while its GIF is clear,
 * instead of its nested guest where it intercepts them, and in its nested guest where it does not.
 * A virtual interrupt that it gives its nested guest waits for the guest's IF, and exits then if
 * that is intercepted.
 *
 * AVIC knows only a GIF that the processor itself keeps (vGIF).  Where KVM intercepts CLGI and STGI
 * instead, stock KVM lets AVIC interrupt a hypervisor whose GIF is clear.
 */
#include "lib/modes.h"

#include "lib/nested.h"
#include "lib/roles.h"

#define VECTOR		0x61	/* an IPI */
#define VIRTUAL_VECTOR	0x91	/* of V_IRQ, which knows no APIC and needs no EOI */

/* Long enough for an interrupt that comes when it must not. */
#define AWHILE		2000

static volatile bool gif;
static volatile uint32_t early_irqs;	/* taken though GIF was clear */
static volatile uint32_t nested_steps, virtual_irqs, sent;
static volatile bool target_is_up, sending_ends;

static void send_to_self(void)
{
	apic_send(0, ICR_FIXED | ICR_TO_SELF | VECTOR);
}

static void clear_gif(void)
{
	nested_clear_gif();
	gif = false;
}

static void set_gif(void)
{
	gif = true;
	nested_set_gif();
}

/* With interrupts enabled in the hypervisor. */
static uint64_t run_nested(void (*function)(void), const struct nested_setup *setup)
{
	/* They cannot come before VMRUN, and after the exit not before STGI. */
	clear_gif();
	irq_enable();
	nested_steps = 0;
	gif = true;
	return nested_run_with(function, setup);
}

static void ipi_handler(struct guest_frame *frame)
{
	early_irqs += !gif;
	guest_count_irq(frame);
}

static void virtual_handler(struct guest_frame *frame)
{
	(void)frame;
	virtual_irqs++;
}

static void begin(void)
{
	roles_begin();
	gif = true;
	early_irqs = nested_steps = virtual_irqs = sent = 0;
	target_is_up = sending_ends = false;
	guest_set_handler(VECTOR, ipi_handler);
	guest_set_handler(VIRTUAL_VECTOR, virtual_handler);
}

static void one_step(void)
{
	nested_steps = 1;
	nested_end();
}

/* ---- GIF ---- */

static void gif_hypervisor(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	for (uint32_t i = 0; i < count; i++) {
		irq_disable();
		clear_gif();
		irq_enable();
		send_to_self();
		guest_delay(AWHILE);
		set_gif();
		guest_wait(self->irqs[VECTOR] == i + 1);
	}
	role_set_ready();
	role_wait_finished();
}

/* ---- the exit for an interrupt ---- */

static void intercepting_hypervisor(uint64_t count)
{
	struct guest_cpu *self = guest_self();
	struct nested_setup setup = {
		.exit_on_intr = true,
		.interrupt_control = NESTED_V_INTR_MASKING,
	};

	for (uint32_t i = 0; i < count; i++) {
		irq_disable();
		send_to_self();
		GUEST_ASSERT_EQ(run_nested(one_step, &setup), NESTED_EXIT_INTR);
		GUEST_ASSERT_EQ(nested_steps, 0);
		guest_wait(self->irqs[VECTOR] == i + 1);
		GUEST_ASSERT_EQ(run_nested(one_step, &setup), NESTED_EXIT_VMMCALL);
		GUEST_ASSERT_EQ(nested_steps, 1);
	}
	role_set_ready();
	role_wait_finished();
}

/* ---- interrupts for the nested guest ---- */

static void open_window(void)
{
	guest_delay(AWHILE);
	nested_steps = 1;
	irq_enable();
	nested_steps = 2;
	nested_end();
}

static void sharing_hypervisor(uint64_t count)
{
	struct guest_cpu *self = guest_self();
	struct nested_setup setup = { .begin_with_irqs_off = true };

	for (uint32_t i = 0; i < count; i++) {
		irq_disable();
		send_to_self();
		nested_steps = 0;
		GUEST_ASSERT_EQ(nested_run_with(open_window, &setup), NESTED_EXIT_VMMCALL);
		GUEST_ASSERT_EQ(nested_steps, 2);
		GUEST_ASSERT_EQ(self->irqs[VECTOR], i + 1);
	}
	role_set_ready();
	role_wait_finished();
}

/* ---- V_IRQ ---- */

static void virtual_hypervisor(uint64_t count)
{
	struct nested_setup setup = {
		.begin_with_irqs_off = true,
		.interrupt_control = NESTED_V_INTR_MASKING | NESTED_V_IRQ | NESTED_V_PRIORITY |
				     (uint64_t)VIRTUAL_VECTOR << 32,
	};

	for (uint32_t i = 0; i < count; i++) {
		setup.exit_on_vintr = true;
		GUEST_ASSERT_EQ(run_nested(open_window, &setup), NESTED_EXIT_VINTR);
		GUEST_ASSERT_EQ(nested_steps, 1);
		GUEST_ASSERT_EQ(virtual_irqs, i);
		setup.exit_on_vintr = false;
		GUEST_ASSERT_EQ(run_nested(open_window, &setup), NESTED_EXIT_VMMCALL);
		GUEST_ASSERT_EQ(nested_steps, 2);
		GUEST_ASSERT_EQ(virtual_irqs, i + 1);
	}
	role_set_ready();
	role_wait_finished();
}

/* ---- all of it, with IPIs from another vCPU ---- */

static void sender(uint64_t count)
{
	struct guest_cpu *target = &guest_cpus[0];

	/* An APIC that is not enabled yet drops IPIs. */
	guest_wait(target_is_up);
	for (uint32_t i = 0; i < count; i++) {
		guest_delay(guest_random() % 20000);
		sent = i + 1;
		apic_send_fixed(target->apic_id, VECTOR);
		guest_wait(target->irqs[VECTOR] > i);
	}
	sending_ends = true;
	role_wait_finished();
}

static void short_stay(void)
{
	guest_delay(guest_random() % 5000);
	nested_steps = 1;
	nested_end();
}

static void disturbed_hypervisor(uint64_t arg)
{
	struct nested_setup setup = {
		.exit_on_intr = true,
		.interrupt_control = NESTED_V_INTR_MASKING,
	};

	(void)arg;
	target_is_up = true;
	while (!sending_ends) {
		uint64_t code;

		irq_enable();
		clear_gif();
		guest_delay(guest_random() % 5000);
		set_gif();
		guest_delay(guest_random() % 1000);
		code = run_nested(short_stay, &setup);
		/* An interrupt may come as late as between its step and its end. */
		GUEST_ASSERT(code == NESTED_EXIT_INTR ||
			     (code == NESTED_EXIT_VMMCALL && nested_steps == 1));
	}
	role_set_ready();
	role_wait_finished();
}

static bool defect_is_known(void)
{
	return mode_is_accelerated() && !nested_has_vgif() && !accel_check()->vapic;
}

static void run(struct __test_metadata *_metadata, void (*hypervisor)(uint64_t), bool disturbed)
{
	struct vcpu *vcpu;
	struct vm *vm;

	if (!nested_available())
		SKIP(return, "KVM does not offer SVM to guests");
	begin();
	vm = vm_create(mode);
	vcpu = vm_add_vcpu(vm, 0, hypervisor, rounds);
	if (disturbed)
		vm_add_vcpu(vm, 1, sender, rounds * 4);
	vm_start(vm);
	vm_wait(vm, role_is_ready(vcpu), "the hypervisor is done");
	if (disturbed)
		EXPECT_EQ(sent, vcpu->guest->irqs[VECTOR]);
	/* KVM inhibits AVIC while a nested guest runs, no longer. */
	vcpu_is_accelerated(vcpu);
	EXPECT_EQ(mode_is_accelerated(), vcpu_is_accelerated(vcpu));
	roles_finish(vm);
	if (early_irqs && defect_is_known())
		EXPECTED_FAILURE(return, "stock KVM: AVIC without vGIF does not see GIF");
	EXPECT_EQ(0, early_irqs);
}

TEST_F(guest, no_interrupt_while_gif_is_clear)
{
	run(_metadata, gif_hypervisor, false);
}

/* The same defect would fail these at once. */
static void run_if_sound(struct __test_metadata *_metadata, void (*hypervisor)(uint64_t),
			 bool disturbed)
{
	if (defect_is_known())
		SKIP(return, "AVIC without vGIF does not see GIF");
	run(_metadata, hypervisor, disturbed);
}

TEST_F(guest, pending_interrupt_exits_before_the_nested_guest_runs)
{
	run_if_sound(_metadata, intercepting_hypervisor, false);
}

TEST_F(guest, nested_guest_takes_what_its_hypervisor_does_not_intercept)
{
	run_if_sound(_metadata, sharing_hypervisor, false);
}

TEST_F(guest, virtual_interrupt_waits_for_the_nested_guest)
{
	run_if_sound(_metadata, virtual_hypervisor, false);
}

TEST_F(guest, no_ipi_is_lost_or_early_while_gif_and_nested_guests_come_and_go)
{
	run_if_sound(_metadata, disturbed_hypervisor, true);
}

TEST_MAIN(50)
