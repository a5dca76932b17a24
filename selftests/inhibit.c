// SPDX-License-Identifier: GPL-2.0-only
/*
 * What inhibits acceleration for a while: an ExtINT that waits for its window,
 * a debugger that blocks interrupts, a changed APIC ID, Hyper-V's AutoEOI and a
 * reinjecting PIT.  Each is set and cleared while IPIs flow; no IPI may be lost,
 * and acceleration must come back.
 *
 * Whether each of them inhibits is specific to AVIC, so the tests check that on AMD only.
 */
#include "lib/modes.h"

#include "lib/hyperv.h"
#include "lib/pic.h"
#include "lib/roles.h"
#include "lib/traffic.h"

#define TRAFFIC_VCPUS	3

#define NEW_APIC_ID	9
#define VECTOR		0x72

#define EXPECT_ACCELERATED_AGAIN(vcpu) do {				\
	EXPECT_EQ(mode_is_accelerated(), becomes(vcpu, mode_is_accelerated())) \
		TH_LOG("acceleration did not return");			\
} while (0)

#define EXPECT_INHIBITED(vcpu) do {					\
	if (accel_is_avic()) {						\
		EXPECT_EQ(false, becomes(vcpu, false))			\
			TH_LOG("still accelerated");			\
	}								\
} while (0)

/* Waits for the state, which may take a moment to change; returns the last state seen. */
static bool becomes(struct vcpu *vcpu, bool wanted)
{
	bool active = vcpu_is_accelerated(vcpu);

	for (int tries = 0; active != wanted && tries < 100; tries++) {
		sleep_us(1000);
		active = vcpu_is_accelerated(vcpu);
	}
	return active;
}

/* Waits until `more` IPIs were handled, so that some are sent in each state. */
static void let_traffic_flow(struct vm *vm, uint64_t more)
{
	uint64_t before = traffic_handled();

	while (traffic_handled() < before + more) {
		traffic_check(vm);
		sleep_us(200);
	}
}

static struct vm *begin_traffic(void)
{
	struct vm *vm = vm_create(mode);

	traffic_begin(vm, TRAFFIC_VCPUS);
	return vm;
}

/* Probes vCPU 0, because it never halts. */
static void toggle(struct __test_metadata *_metadata, struct vm *vm,
		   void (*set)(struct vm *vm, bool on), bool inhibits)
{
	vm_start(vm);
	let_traffic_flow(vm, 20);
	for (uint32_t i = 0; i < rounds; i++) {
		set(vm, true);
		if (!i && inhibits)
			EXPECT_INHIBITED(&vm->vcpus[0]);
		let_traffic_flow(vm, 20);
		set(vm, false);
		if (i == rounds - 1)
			EXPECT_ACCELERATED_AGAIN(&vm->vcpus[0]);
		let_traffic_flow(vm, 20);
	}
	roles_finished = true;
	traffic_end(vm);
	NOTE("%llu IPIs, inhibited and released %u times\n",
	     (unsigned long long)traffic_handled(), rounds);
	vm_destroy(vm);
}

/* Blocks interrupts of the idle vCPU 3: a vCPU with traffic would stop its channels. */
static void set_block_irq(struct vm *vm, bool on)
{
	struct kvm_guest_debug debug = {
		.control = on ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ : 0,
	};
	struct vcpu *vcpu = &vm->vcpus[TRAFFIC_VCPUS];

	vcpu_pause(vcpu);
	vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug);
	vcpu_resume(vcpu);
}

TEST_F(guest, no_ipi_is_lost_when_a_debugger_blocks_interrupts_of_another_vcpu)
{
	struct vm *vm;

	vm = begin_traffic();
	traffic_alone = false;
	roles_begin();
	vm_add_vcpu(vm, TRAFFIC_VCPUS, role_spinner, 0);
	toggle(_metadata, vm, set_block_irq, true);
}

static void set_auto_eoi(struct vm *vm, bool on)
{
	vcpu_pause(&vm->vcpus[0]);
	hyperv_set_auto_eoi(&vm->vcpus[0], on);
	vcpu_resume(&vm->vcpus[0]);
}

TEST_F(guest, no_ipi_is_lost_when_hyperv_auto_eoi_comes_and_goes)
{
	struct vm *vm;

	vm = begin_traffic();
	if (!hyperv_add(&vm->vcpus[0])) {
		vm_destroy(vm);
		SKIP(return, "KVM has no Hyper-V SynIC");
	}
	toggle(_metadata, vm, set_auto_eoi, true);
}

static void set_reinjection(struct vm *vm, bool on)
{
	struct kvm_reinject_control control = { .pit_reinject = on };

	vm_ioctl(vm, KVM_REINJECT_CONTROL, &control);
}

TEST_F(guest, no_ipi_is_lost_when_pit_reinjection_comes_and_goes)
{
	struct vm *vm;

	vm = begin_traffic();
	/* After the vCPUs: see "Where stock differs" in README.md. */
	vm_add_pit(vm);
	/* It inhibits stock AVIC alone. */
	toggle(_metadata, vm, set_reinjection, !accel_check()->vapic);
}

/* ---- an ExtINT that waits for its window ---- */

static volatile uint32_t rounds_begun;
static volatile bool pic_ready, window_may_open;

static void pic_guest(uint64_t count)
{
	pic_begin();
	irq_enable();
	pic_ready = true;
	for (uint32_t i = 1; i <= count; i++) {
		irq_disable();
		rounds_begun = i;
		/* Interrupts stay off while the host raises the line; probes are answered. */
		guest_wait(window_may_open);
		GUEST_ASSERT_EQ(pic_extints, i - 1);
		irq_enable();
		guest_wait(pic_extints == i);
		window_may_open = false;
	}
	role_wait_finished();
}

static volatile uint32_t ipis_sent, ipis_seen;
static volatile bool sender_stop;

/*
 * Takes IPIs, and reports each only when interrupts are on again, so that this
 * vCPU never needs a window of its own.  Stock KVM mixes up the windows of two
 * vCPUs; lts_fixes.c tests that.
 */
static void windowless_target(uint64_t arg)
{
	struct guest_cpu *self = guest_self();

	(void)arg;
	irq_enable();
	role_set_ready();
	while (!roles_finished) {
		ipis_seen = self->irqs[VECTOR];
		guest_poll();
	}
}

/* Keeps IPIs flowing to vCPU 2, one at a time. */
static void ipi_sender(uint64_t arg)
{
	struct guest_cpu *target = &guest_cpus[2];

	(void)arg;
	irq_enable();
	while (!sender_stop) {
		ipis_sent++;
		apic_send_fixed(target->apic_id, VECTOR);
		guest_wait(ipis_seen == ipis_sent);
	}
	role_set_ready();
	role_wait_finished();
}

static void wait_for_ipis(struct vm *vm, uint32_t more)
{
	uint32_t before = ipis_seen;

	vm_wait(vm, ipis_seen >= before + more, "IPIs keep arriving");
}

TEST_F(guest, no_ipi_is_lost_while_extint_waits_for_its_window)
{
	struct vm *vm;

	vm = vm_create(mode);
	roles_begin();
	rounds_begun = ipis_sent = ipis_seen = 0;
	pic_ready = window_may_open = sender_stop = false;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, pic_guest, rounds);
	vm_add_vcpu(vm, 1, ipi_sender, 0);
	vm_add_vcpu(vm, 2, windowless_target, 0);
	vm_start_held(vm, 1U << 1);
	vm_wait(vm, role_is_ready(&vm->vcpus[2]), "the target runs");
	vm_wait(vm, pic_ready, "the PIC is set up");
	vcpu_resume(&vm->vcpus[1]);
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, rounds_begun == i, "the guest disables interrupts");
		pic_set_line(vm, true);
		wait_for_ipis(vm, 10);
		if (i == 1)
			EXPECT_INHIBITED(&vm->vcpus[1]);
		window_may_open = true;
		vm_wait(vm, pic_extints == i, "the ExtINT is delivered");
		pic_set_line(vm, false);
		wait_for_ipis(vm, 10);
	}
	EXPECT_ACCELERATED_AGAIN(&vm->vcpus[0]);
	sender_stop = true;
	vm_wait(vm, role_is_ready(&vm->vcpus[1]), "the last IPI is handled");
	EXPECT_EQ(ipis_sent, guest_cpus[2].irqs[VECTOR]);
	EXPECT_EQ(rounds, pic_extints);
	roles_finish(vm);
}

/* ---- an APIC ID that changes ---- */

static volatile uint32_t new_id, new_id_set;
static volatile bool all_sent;

static void renaming_target(uint64_t arg)
{
	struct guest_cpu *self = guest_self();

	(void)arg;
	irq_enable();
	role_set_ready();
	while (!roles_finished) {
		uint32_t wanted = new_id;

		if (wanted != new_id_set) {
			apic_write(APIC_ID, wanted << 24);
			self->apic_id = wanted;
			full_barrier();
			new_id_set = wanted;
		}
		guest_poll();
	}
}

static uint32_t renamed_total;

static void send_to_renamed(uint32_t count)
{
	struct guest_cpu *target = &guest_cpus[1];

	while (count--) {
		renamed_total++;
		apic_send_fixed(target->apic_id, VECTOR);
		guest_wait(target->irqs[VECTOR] == renamed_total);
	}
}

static void renaming_sender(uint64_t count)
{
	irq_enable();
	while (count--) {
		send_to_renamed(10);
		new_id = NEW_APIC_ID;
		guest_wait(new_id_set == NEW_APIC_ID);
		send_to_renamed(10);
		new_id = 1;
		guest_wait(new_id_set == 1);
	}
	send_to_renamed(10);
	all_sent = true;
	role_wait_finished();
}

/* In x2APIC mode the ID cannot change. */
TEST(ipi_follows_a_changed_apic_id_and_acceleration_returns)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = vm_create(mode);
	roles_begin();
	new_id = new_id_set = 1;
	renamed_total = 0;
	all_sent = false;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, renaming_sender, rounds);
	vm_add_vcpu(vm, 1, renaming_target, 0);
	vm_start_held(vm, 1U << 0);
	roles_wait_ready(vm, 1);
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, all_sent, "every IPI is handled");
	sleep_us(2000);
	EXPECT_EQ(rounds * 20 + 10, guest_cpus[1].irqs[VECTOR]);
	EXPECT_ACCELERATED_AGAIN(&vm->vcpus[0]);
	EXPECT_ACCELERATED_AGAIN(&vm->vcpus[1]);
	roles_finish(vm);
}

TEST_MAIN(5)
