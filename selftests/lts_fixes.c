// SPDX-License-Identifier: GPL-2.0-only
/*
 * Defects of stock LTS kernels with AVIC that vapic must not have.  These tests fail
 * on stock 6.12 with avic=1, where that is reported as an expected failure; they pass
 * without acceleration.
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
		while (defect_is_known() && pic_extints != i) {
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

TEST_MAIN(10)
