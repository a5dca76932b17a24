// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt window: an interrupt that KVM has to inject itself waits until the guest takes
 * interrupts.  With AVIC active that is an ExtINT, for which acceleration is inhibited and comes
 * back; while another inhibit is set, it is any interrupt.
 *
 * On Intel a window is independent of acceleration; the same must hold there, too.
 */
#include "lib/test.h"

#include "lib/nested.h"
#include "lib/pic.h"
#include "lib/roles.h"
#include "lib/tracepoint.h"

#define VECTOR		0x74

/* Long for an interrupt to arrive, but short for a person who waits for a known defect. */
#define STUCK_AFTER_US	4000000

static bool defect_is_known(void)
{
	return accel_is_avic() && !accel_check()->vapic;
}

static volatile bool pic_ready;
static volatile uint32_t rounds_begun, window_may_open;

static void begin(void)
{
	roles_begin();
	pic_ready = false;
	rounds_begun = window_may_open = 0;
}

/* Keeps interrupts off until the host allows the window, then on until the ExtINT has arrived. */
static void pic_guest(uint64_t count)
{
	pic_begin();
	pic_ready = true;
	for (uint32_t i = 1; i <= count; i++) {
		rounds_begun = i;
		guest_wait(window_may_open == i);
		GUEST_ASSERT_EQ(pic_extints, i - 1);
		irq_enable();
		guest_wait(pic_extints == i);
		irq_disable();
	}
	role_wait_finished();
}

/* ---- another inhibit is set ---- */

/*
 * Stock KVM sets its inhibit for the window and clears it again, with apicv_update_lock held for
 * writing each time, although the VM is not accelerated anyway.
 */
TEST(windows_of_an_inhibited_vm_change_no_inhibit)
{
	uint64_t windows, before, changes;
	struct vcpu *vcpu;
	struct vm *vm;
	int counter;

	REQUIRE_EXPECTED_ACCELERATION();
	if (tracepoints_are_forbidden())
		SKIP(return, "tracepoints are for root");
	vm = vm_create(0);
	begin();
	vcpu = vm_add_vcpu(vm, 0, pic_guest, rounds);
	/* Inhibited for another reason. */
	vm_add_blocker(vm);
	vm_block(vm, true);
	counter = tracepoint_count(vm, "kvm/kvm_apicv_inhibit_changed");
	vm_start(vm);
	vm_wait(vm, pic_ready, "the PIC is set up");
	windows = vcpu_stat(vcpu, "irq_window_exits");
	before = tracepoint_counted(vm, counter);
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, rounds_begun == i, "the guest disables interrupts");
		pic_set_line(vm, true);
		/* The guest goes on when KVM has seen the interrupt. */
		sleep_us(500);
		window_may_open = i;
		vm_wait(vm, pic_extints == i, "the ExtINT is delivered");
		pic_set_line(vm, false);
	}
	changes = tracepoint_counted(vm, counter) - before;
	windows = vcpu_stat(vcpu, "irq_window_exits") - windows;
	roles_finish(vm);
	NOTE("%llu windows, %llu changes of an inhibit\n", (unsigned long long)windows,
	     (unsigned long long)changes);
	EXPECT_GE(windows, rounds / 2);
	if (changes && defect_is_known() && stock_before(7, 3))
		EXPECTED_FAILURE(return, "stock KVM: %llu changes of an inhibit for %llu windows",
				 (unsigned long long)changes, (unsigned long long)windows);
	EXPECT_EQ(0, changes);
}

/* ---- another inhibit comes and goes ---- */

static volatile bool sender_stop;

/* Stays for a while after its EOI, so that the next IPI needs a window if KVM injects it. */
static void lingering_handler(struct guest_frame *frame)
{
	guest_count_irq(frame);
	guest_delay(guest_random() % 20000);
}

static uint32_t sent[2];

/* IPIs to vCPUs 2 and 3, one at a time each. */
static void eager_sender(uint64_t arg)
{
	(void)arg;
	while (!sender_stop) {
		for (unsigned int i = 0; i < 2; i++) {
			struct guest_cpu *target = &guest_cpus[2 + i];

			if (target->irqs[VECTOR] != sent[i])
				continue;
			sent[i]++;
			apic_send_fixed(target->apic_id, VECTOR);
		}
		guest_poll();
	}
	guest_wait(guest_cpus[2].irqs[VECTOR] == sent[0] && guest_cpus[3].irqs[VECTOR] == sent[1]);
	role_set_ready();
	role_wait_finished();
}

static void wait_for_ipis(struct vm *vm, uint32_t more)
{
	uint32_t before[2] = { guest_cpus[2].irqs[VECTOR], guest_cpus[3].irqs[VECTOR] };

	for (unsigned int i = 0; i < 2; i++)
		vm_wait(vm, guest_cpus[2 + i].irqs[VECTOR] >= before[i] + more, "IPIs arrive");
}

/* Changes the inhibit up to three times, at once or with traffic in between. */
static void disturb(struct vm *vm, bool *blocked)
{
	for (uint64_t changes = host_random() % 4; changes > 0; changes--) {
		*blocked = !*blocked;
		vm_block(vm, *blocked);
		if (host_random() % 2)
			wait_for_ipis(vm, 1 + host_random() % 3);
	}
}

TEST(no_interrupt_is_lost_when_another_inhibit_changes_in_a_window)
{
	bool blocked = true;
	uint64_t begun;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	MAY_LOSE_INTERRUPTS();
	vm = vm_create(0);
	begin();
	sender_stop = false;
	sent[0] = sent[1] = 0;
	guest_set_handler(VECTOR, lingering_handler);
	vm_add_vcpu(vm, 0, pic_guest, 2 * rounds);
	vm_add_vcpu(vm, 1, eager_sender, 0);
	vm_add_vcpu(vm, 2, role_spinner, 0);
	vm_add_vcpu(vm, 3, role_spinner, 0);
	vm_add_blocker(vm);
	vm_block(vm, true);
	vm_start_held(vm, 1U << 1);
	vm_wait(vm, role_is_ready(&vm->vcpus[2]) && role_is_ready(&vm->vcpus[3]),
		"the targets run");
	vm_wait(vm, pic_ready, "the PIC is set up");
	vcpu_resume(&vm->vcpus[1]);
	for (uint32_t i = 1; i <= 2 * rounds; i++) {
		vm_wait(vm, rounds_begun == i, "the guest disables interrupts");
		disturb(vm, &blocked);
		pic_set_line(vm, true);
		if (host_random() % 2)
			wait_for_ipis(vm, 1);
		disturb(vm, &blocked);
		window_may_open = i;
		disturb(vm, &blocked);
		begun = patience_us();
		while (defect_is_known() && stock_before(7, 3) && pic_extints != i) {
			if (patience_us() - begun > STUCK_AFTER_US)
				EXPECTED_FAILURE(return, "stock KVM: the ExtINT is stuck");
			sleep_us(100);
		}
		vm_wait(vm, pic_extints == i, "the ExtINT is delivered");
		pic_set_line(vm, false);
	}
	vm_block(vm, false);
	EXPECT_EQ(accel_check()->active, vcpu_acceleration_becomes(&vm->vcpus[0], accel_check()->active))
		TH_LOG("acceleration did not return");
	sender_stop = true;
	vm_wait(vm, role_is_ready(&vm->vcpus[1]), "the last IPI is handled");
	roles_finish(vm);
}

/* ---- windows that never open ---- */

/*
 * The vCPU becomes ready for the ExtINT in another way than by a window, so there is no exit for
 * the window.
 */
static void nested_guest(void)
{
	while (pic_extints == 0)
		cpu_pause();
	nested_end();
}

static void pic_hypervisor(uint64_t nested)
{
	pic_begin();
	pic_ready = true;
	guest_wait(window_may_open);
	GUEST_ASSERT_EQ(pic_extints, 0);
	if (nested) {
		nested_run(nested_guest);
	} else {
		irq_enable();
		guest_wait(pic_extints == 1);
	}
	role_set_ready();
	role_wait_finished();
}

/* KVM injects the ExtINT into the nested guest, because only there interrupts are on. */
TEST(acceleration_returns_though_a_nested_guest_took_the_extint)
{
	bool nested = nested_available(), accelerated;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = vm_create(0);
	begin();
	vm_add_vcpu(vm, 0, pic_hypervisor, nested);
	vm_add_vcpu(vm, 1, role_spinner, 0);
	vm_start(vm);
	vm_wait(vm, pic_ready && role_is_ready(&vm->vcpus[1]), "the vCPUs run");
	pic_set_line(vm, true);
	if (accel_is_avic())
		EXPECT_EQ(false, vcpu_acceleration_becomes(&vm->vcpus[1], false))
			TH_LOG("the window inhibits nothing");
	window_may_open = 1;
	vm_wait(vm, role_is_ready(&vm->vcpus[0]), "the ExtINT is delivered");
	pic_set_line(vm, false);
	EXPECT_EQ(1, pic_extints);
	NOTE("%s a nested guest\n", nested ? "in" : "without");
	accelerated = vcpu_acceleration_becomes(&vm->vcpus[1], accel_check()->active);
	roles_finish(vm);
	if (!accelerated && defect_is_known() && stock_before(7, 3))
		EXPECTED_FAILURE(return, "stock KVM: the inhibit of the window remains");
	EXPECT_EQ(accel_check()->active, accelerated);
}

static volatile bool may_send_init, init_sent;

static void init_sender(uint64_t arg)
{
	(void)arg;
	/* The other vCPU must take the ExtINT; a boot processor takes it, too, if LINT0 is open. */
	apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
	role_set_ready();
	guest_wait(may_send_init);
	apic_send(guest_cpus[1].apic_id, ICR_INIT | ICR_ASSERT);
	init_sent = true;
	role_wait_finished();
}

static void pic_waiter(uint64_t arg)
{
	(void)arg;
	pic_begin();
	pic_ready = true;
	for (;;)
		guest_poll();
}

TEST(acceleration_returns_when_the_vcpu_that_waits_is_reset)
{
	bool accelerated;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = vm_create(0);
	begin();
	may_send_init = init_sent = false;
	vm_add_vcpu(vm, 0, init_sender, 0);
	vm_add_vcpu(vm, 1, pic_waiter, 0);
	vm_start_held(vm, 1U << 1);
	vm_wait(vm, role_is_ready(&vm->vcpus[0]), "the other vCPU runs");
	vcpu_resume(&vm->vcpus[1]);
	vm_wait(vm, pic_ready, "the PIC is set up");
	pic_set_line(vm, true);
	if (accel_is_avic())
		EXPECT_EQ(false, vcpu_acceleration_becomes(&vm->vcpus[0], false))
			TH_LOG("the window inhibits nothing");
	may_send_init = true;
	vm_wait(vm, init_sent, "the INIT is sent");
	accelerated = vcpu_acceleration_becomes(&vm->vcpus[0], accel_check()->active);
	vm_destroy(vm);
	EXPECT_EQ(0, pic_extints);
	if (!accelerated && defect_is_known())
		EXPECTED_FAILURE(return, "stock KVM: the inhibit of the window remains");
	EXPECT_EQ(accel_check()->active, accelerated);
}

TEST_MAIN(10)
