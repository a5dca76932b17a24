// SPDX-License-Identifier: GPL-2.0-only
/*
 * Defects of stock LTS kernels that vapic must not have.  A test that fails because of one is
 * reported as an expected failure on stock that has it; all pass without acceleration.  The first
 * two are those of 6.12 with avic=1 (the second is in 7.3, too), the other that of 6.1 with APICv.
 */
#include "lib/test.h"

#include "lib/pic.h"
#include "lib/roles.h"

#define VECTOR		0x73

/* Long for an ExtINT to arrive, but short for a person who waits for a known defect. */
#define STUCK_AFTER_US	4000000

static bool defect_is_known(void)
{
	return accel_is_avic() && !accel_check()->vapic;
}

static volatile bool pic_ready, sender_stop;
static volatile uint32_t rounds_begun, window_may_open;

/* Keeps interrupts off until the host allows the window, then on until the ExtINT has arrived. */
static void pic_guest(uint64_t count)
{
	pic_begin();
	pic_ready = true;
	for (uint32_t i = 1; i <= count; i++) {
		rounds_begun = i;
		guest_wait(window_may_open == i);
		irq_enable();
		guest_wait(pic_extints == i);
		irq_disable();
	}
	role_wait_finished();
}

/* Stays in the handler for a while after its EOI, so that the next IPI needs a window, too. */
static void lingering_handler(struct guest_frame *frame)
{
	guest_count_irq(frame);
	guest_delay(100000);
}

static void eager_sender(uint64_t arg)
{
	struct guest_cpu *target = &guest_cpus[2];
	uint32_t sent = 0;

	(void)arg;
	while (!sender_stop) {
		apic_send_fixed(target->apic_id, VECTOR);
		sent++;
		guest_wait(target->irqs[VECTOR] == sent);
	}
	role_set_ready();
	role_wait_finished();
}

/*
 * Stock 6.12 has one bit per VM for "a vCPU waits for a window": the first to
 * get its window re-enables AVIC for all, and hardware then ignores the request
 * of the other, whose ExtINT is stuck.
 */
TEST(extint_arrives_although_another_vcpu_opens_a_window)
{
	uint64_t begun;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = vm_create(0);
	roles_begin();
	pic_ready = sender_stop = false;
	rounds_begun = window_may_open = 0;
	guest_set_handler(VECTOR, lingering_handler);
	vm_add_vcpu(vm, 0, pic_guest, rounds);
	vm_add_vcpu(vm, 1, eager_sender, 0);
	vm_add_vcpu(vm, 2, role_spinner, 0);
	vm_start_held(vm, 1U << 1);
	vm_wait(vm, role_is_ready(&vm->vcpus[2]), "the target runs");
	vm_wait(vm, pic_ready, "the PIC is set up");
	vcpu_resume(&vm->vcpus[1]);
	for (uint32_t i = 1; i <= rounds; i++) {
		uint32_t before = guest_cpus[2].irqs[VECTOR];

		vm_wait(vm, rounds_begun == i, "the guest disables interrupts");
		pic_set_line(vm, true);
		vm_wait(vm, guest_cpus[2].irqs[VECTOR] > before + 5, "IPIs flow");
		window_may_open = i;
		begun = patience_us();
		while (defect_is_known() && stock_before(7, 3) && pic_extints != i) {
			if (patience_us() - begun > STUCK_AFTER_US)
				EXPECTED_FAILURE(return, "stock KVM: the ExtINT is stuck");
			sleep_us(100);
		}
		vm_wait(vm, pic_extints == i, "the ExtINT is delivered");
		pic_set_line(vm, false);
	}
	sender_stop = true;
	vm_wait(vm, role_is_ready(&vm->vcpus[1]), "the last IPI is handled");
	roles_finish(vm);
}

/*
 * Stock 6.12 maps the APIC page when a vCPU is created, but only if nothing
 * inhibits AVIC at that moment.  A PIT that was created earlier inhibits AVIC; when
 * it stops reinjecting, every APIC access faults and is emulated.
 */
TEST(vm_is_accelerated_although_its_pit_was_made_first)
{
	struct kvm_reinject_control control = { .pit_reinject = 0 };
	bool accelerated;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = vm_create(0);
	roles_begin();
	vm_add_pit(vm);
	vm_add_vcpu(vm, 0, role_spinner, 0);
	vm_start(vm);
	vm_wait(vm, role_is_ready(&vm->vcpus[0]), "the vCPU runs");
	vm_ioctl(vm, KVM_REINJECT_CONTROL, &control);
	sleep_us(5000);
	/* The first accesses fault in any case. */
	vcpu_is_accelerated(&vm->vcpus[0]);
	accelerated = vcpu_is_accelerated(&vm->vcpus[0]);
	roles_finish(vm);
	if (!accelerated && defect_is_known())
		EXPECTED_FAILURE(return, "stock KVM: the APIC page is not mapped");
	EXPECT_EQ(accel_check()->active, accelerated);
}

/* ---- an interrupt in service while the APIC changes hands ---- */

/* Of a lower priority class than VECTOR. */
#define LOWER_VECTOR	0x63

static volatile bool in_service, may_end, lower_sent;

static void long_handler(struct guest_frame *frame)
{
	(void)frame;
	in_service = true;
	guest_wait(may_end);
	apic_eoi();
}

static void ending_guest(uint64_t arg)
{
	(void)arg;
	irq_enable();
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | VECTOR);
	guest_wait(in_service);
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | LOWER_VECTOR);
	lower_sent = true;
	guest_wait(guest_self()->irqs[LOWER_VECTOR] == 1);
	role_set_ready();
	role_wait_finished();
}

/*
 * KVM knows what is in service by the ISR, but an accelerated EOI on Intel ends what hardware
 * keeps in a field of its own, SVI.  Stock 6.1 does not set the field when acceleration comes
 * back, so the EOI ends nothing, and interrupts of that priority and below wait for ever.
 */
TEST(interrupt_that_began_inhibited_ends_when_accelerated_again)
{
	struct vcpu *vcpu;
	bool accelerated;
	uint64_t begun;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	in_service = may_end = lower_sent = false;
	roles_begin();
	guest_set_handler(VECTOR, long_handler);
	guest_set_handler(LOWER_VECTOR, guest_count_irq);
	vm = vm_create(0);
	vcpu = vm_add_vcpu(vm, 0, ending_guest, 0);
	vm_add_blocker(vm);
	vm_block(vm, true);
	vm_start(vm);
	vm_wait(vm, in_service, "the guest is in its handler");
	EXPECT_FALSE(vcpu_is_accelerated(vcpu));
	vm_block(vm, false);
	accelerated = vcpu_is_accelerated(vcpu);
	for (int tries = 0; accelerated != accel_check()->active && tries < 100; tries++) {
		sleep_us(1000);
		accelerated = vcpu_is_accelerated(vcpu);
	}
	EXPECT_EQ(accel_check()->active, accelerated);
	may_end = true;
	vm_wait(vm, lower_sent, "the guest has left its handler");
	begun = patience_us();
	while (accel_loses_interrupts() && !role_is_ready(vcpu)) {
		if (patience_us() - begun > STUCK_AFTER_US)
			EXPECTED_FAILURE(return, "stock KVM: the EOI has ended nothing");
		sleep_us(100);
	}
	roles_wait_ready(vm, 0);
	roles_finish(vm);
}

TEST_MAIN(10)
