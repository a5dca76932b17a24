// SPDX-License-Identifier: GPL-2.0-only
/*
 * What inhibits acceleration for a while: an ExtINT that waits for its window, a debugger that
 * blocks interrupts, a changed APIC ID, two vCPUs with one physical or logical ID, Hyper-V's
 * AutoEOI, a reinjecting PIT and a nested guest.  Each is set and cleared (-n times) while IPIs
 * and a device's interrupts flow; none may be lost, and acceleration must come back.
 *
 * The other inhibits never end, as KVM has it: DISABLED and SEV belong to the VM, ABSENT ends
 * once, when the VM gets its interrupt controller, and APIC_BASE_MODIFIED stays once it is set.
 *
 * The device's interrupts are posted if the module of device.h is loaded, otherwise KVM delivers
 * them.  Only AVIC is inhibited by each of these causes, so that is checked on AMD alone.
 */
#include <unistd.h>

#include "lib/modes.h"

#include "lib/device.h"
#include "lib/hyperv.h"
#include "lib/nested.h"
#include "lib/pic.h"
#include "lib/roles.h"
#include "lib/tracepoint.h"
#include "lib/traffic.h"

#define TRAFFIC_VCPUS	3
/* Behind the device's vCPU. */
#define FOLLOWER	(TRAFFIC_VCPUS + 1)
#define NEIGHBOUR	(TRAFFIC_VCPUS + 2)

/* IPIs between a switch and the next: so few that the switch finds others on their way. */
#define FLOW		4

#define NEW_APIC_ID	9
#define VECTOR		0x72

#define EXPECT_ACCELERATED_AGAIN(vcpu) do {				\
	EXPECT_EQ(mode_is_accelerated(), vcpu_acceleration_becomes(vcpu, mode_is_accelerated())) \
		TH_LOG("acceleration did not return");			\
} while (0)

#define EXPECT_INHIBITED(vcpu) do {					\
	EXPECT_EQ(false, accel_is_avic() && vcpu_acceleration_becomes(vcpu, false))	\
		TH_LOG("still accelerated");				\
} while (0)

static struct vm *begin_traffic(void)
{
	struct vm *vm = vm_create(mode);

	traffic_begin_beside_device(vm, TRAFFIC_VCPUS);
	return vm;
}

static int changes_counter = -1;
static uint64_t changes_before;

static void start_traffic(struct vm *vm)
{
	/* Only root may count. */
	changes_counter = geteuid() ? -1 : tracepoint_count(vm, "kvm/kvm_apicv_inhibit_changed");
	vm_start(vm);
	device_traffic_begin(vm);
	traffic_flow(vm, 20);
	if (changes_counter >= 0)
		changes_before = tracepoint_counted(vm, changes_counter);
}

/* How often KVM changed what inhibits the VM; no less often than that is due to @rounds. */
static uint64_t changes(struct __test_metadata *_metadata, struct vm *vm, bool inhibits)
{
	uint64_t count;

	if (changes_counter < 0)
		return 0;
	count = tracepoint_counted(vm, changes_counter) - changes_before;
	close(changes_counter);
	if (inhibits && accel_is_avic())
		EXPECT_LE(2 * rounds, count);
	return count;
}

static void finish_traffic(struct __test_metadata *_metadata, struct vm *vm, bool inhibits)
{
	uint64_t interrupts = device_traffic_end(vm);
	uint64_t changed = changes(_metadata, vm, inhibits);

	/* Probes vCPU 0, because it never halts. */
	EXPECT_ACCELERATED_AGAIN(&vm->vcpus[0]);
	traffic_flow(vm, 20);
	roles_finished = true;
	traffic_end(vm);
	EXPECT_LT(0, interrupts);
	NOTE("%u times inhibited and released (%llu changes): %llu IPIs, %llu interrupts of a device\n",
	     rounds, (unsigned long long)changed, (unsigned long long)traffic_handled(),
	     (unsigned long long)interrupts);
	vm_destroy(vm);
}

static void toggle(struct __test_metadata *_metadata, struct vm *vm,
		   void (*set)(struct vm *vm, bool on), bool inhibits)
{
	if (mode & VM_X2APIC)
		MAY_MISS_SLEEPERS();
	start_traffic(vm);
	for (uint32_t i = 0; i < rounds; i++) {
		set(vm, true);
		if (!i && inhibits)
			EXPECT_INHIBITED(&vm->vcpus[0]);
		traffic_flow(vm, FLOW);
		set(vm, false);
		traffic_flow(vm, FLOW);
	}
	finish_traffic(_metadata, vm, inhibits);
}

/* A debugger blocks interrupts of a vCPU that never runs, which inhibits the whole VM. */
TEST_F(guest, no_interrupt_is_lost_when_a_debugger_blocks_interrupts_of_another_vcpu)
{
	struct vm *vm;

	MAY_LOSE_INTERRUPTS();
	vm = begin_traffic();
	vm_add_blocker(vm);
	toggle(_metadata, vm, vm_block, true);
}

static void set_auto_eoi(struct vm *vm, bool on)
{
	vcpu_pause(&vm->vcpus[0]);
	hyperv_set_auto_eoi(&vm->vcpus[0], on);
	vcpu_resume(&vm->vcpus[0]);
}

TEST_F(guest, no_interrupt_is_lost_when_hyperv_auto_eoi_comes_and_goes)
{
	struct vm *vm;

	vm = begin_traffic();
	if (!hyperv_add(&vm->vcpus[0])) {
		vm_destroy(vm);
		SKIP(return, "KVM has no Hyper-V SynIC");
	}
	MAY_LOSE_INTERRUPTS();
	toggle(_metadata, vm, set_auto_eoi, true);
}

static void set_reinjection(struct vm *vm, bool on)
{
	struct kvm_reinject_control control = { .pit_reinject = on };

	vm_ioctl(vm, KVM_REINJECT_CONTROL, &control);
}

TEST_F(guest, no_interrupt_is_lost_when_pit_reinjection_comes_and_goes)
{
	struct vm *vm;

	vm = begin_traffic();
	/* After the vCPUs: see "Where stock differs" in README.md. */
	vm_add_pit(vm);
	/* It inhibits stock AVIC alone. */
	toggle(_metadata, vm, set_reinjection, !accel_check()->vapic);
}

/* ---- IDs that two vCPUs have ---- */

static volatile uint32_t order_reg, order_value, ordered, obeyed;

/* Writes to its APIC what the host orders. */
static void follower(uint64_t ldr)
{
	apic_set_logical_id(ldr);
	irq_enable();
	role_set_ready();
	while (!roles_finished) {
		if (obeyed != ordered) {
			full_barrier();
			apic_write(order_reg, order_value);
			full_barrier();
			obeyed = ordered;
		}
		guest_poll();
	}
}

static void order(struct vm *vm, uint32_t reg, uint32_t value)
{
	order_reg = reg;
	order_value = value;
	full_barrier();
	ordered++;
	vm_wait(vm, obeyed == ordered, "the guest writes to its APIC");
}

static struct vm *begin_with_follower(void)
{
	struct vm *vm = begin_traffic();

	ordered = obeyed = 0;
	vm_add_vcpu(vm, FOLLOWER, follower, 1U << FOLLOWER);
	vm_add_vcpu(vm, NEIGHBOUR, role_sleeper, 1U << NEIGHBOUR);
	return vm;
}

/* Nobody sends to either of the two vCPUs that have the ID for a while. */
static void set_physical_alias(struct vm *vm, bool on)
{
	order(vm, APIC_ID, (on ? NEIGHBOUR : FOLLOWER) << 24);
}

static void set_logical_alias(struct vm *vm, bool on)
{
	order(vm, APIC_LDR, 1U << (on ? NEIGHBOUR : FOLLOWER) << 24);
}

/* Stock 6.1 inhibits for an ID that is not the vCPU's own, and never ends that. */
static bool changed_id_inhibits_for_ever(void)
{
	return stock_before(6, 12) && accel_check()->active;
}

#define FOR_EVER	"stock KVM of this Linux never ends the inhibit for a changed APIC ID"

/* In x2APIC mode IDs cannot change. */
TEST(no_interrupt_is_lost_when_two_vcpus_share_a_physical_id)
{
	REQUIRE_EXPECTED_ACCELERATION();
	if (changed_id_inhibits_for_ever())
		SKIP(return, FOR_EVER);
	toggle(_metadata, begin_with_follower(), set_physical_alias, true);
}

TEST(no_interrupt_is_lost_when_two_vcpus_share_a_logical_id)
{
	REQUIRE_EXPECTED_ACCELERATION();
	if (stock_before(6, 12) && accel_is_avic())
		SKIP(return, "stock KVM of this Linux does not notice that two vCPUs have an ID");
	toggle(_metadata, begin_with_follower(), set_logical_alias, true);
}

/* ---- a nested guest ---- */

static volatile uint32_t nested_runs;
static volatile bool nested_stays;

/* Takes the interrupts of vCPU 0, and sends none. */
static void nested_guest(void)
{
	while (nested_stays)
		guest_poll();
	guest_delay(guest_random() & 0xfff);
	nested_end();
}

static void run_nested(void)
{
	nested_run(nested_guest);
	nested_runs++;
	guest_delay(guest_random() & 0xfff);
}

/* This inhibits only the vCPU that runs it, and while it runs. */
TEST_F(guest, no_interrupt_is_lost_when_nested_guests_come_and_go)
{
	struct vm *vm;

	if (!nested_available())
		SKIP(return, "KVM does not offer SVM to guests");
	if (mode & VM_X2APIC)
		MAY_MISS_SLEEPERS();
	vm = begin_traffic();
	nested_runs = 0;
	nested_stays = true;
	start_traffic(vm);
	traffic_between = run_nested;
	sleep_us(5000);
	EXPECT_INHIBITED(&vm->vcpus[0]);
	nested_stays = false;
	while (nested_runs < rounds)
		traffic_flow(vm, 1);
	traffic_between = NULL;
	finish_traffic(_metadata, vm, false);
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

/* See windowless_target(); the vCPU of the device needs windows. */
static bool mixes_up_windows(void)
{
	return accel_check()->active && accel_is_avic() && !accel_check()->vapic;
}

static void wait_for_ipis(struct vm *vm, uint32_t more)
{
	uint32_t before = ipis_seen;

	vm_wait(vm, ipis_seen >= before + more, "IPIs keep arriving");
}

TEST_F(guest, no_interrupt_is_lost_while_extint_waits_for_its_window)
{
	bool device = !mixes_up_windows();
	uint64_t interrupts = 0;
	struct vm *vm;

	vm = vm_create(mode);
	roles_begin();
	rounds_begun = ipis_sent = ipis_seen = 0;
	pic_ready = window_may_open = sender_stop = false;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, pic_guest, rounds);
	vm_add_vcpu(vm, 1, ipi_sender, 0);
	vm_add_vcpu(vm, 2, windowless_target, 0);
	if (device)
		device_traffic_add(vm);
	vm_start_held(vm, 1U << 1);
	vm_wait(vm, role_is_ready(&vm->vcpus[2]), "the target runs");
	vm_wait(vm, pic_ready, "the PIC is set up");
	if (device)
		device_traffic_begin(vm);
	vcpu_resume(&vm->vcpus[1]);
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, rounds_begun == i, "the guest disables interrupts");
		pic_set_line(vm, true);
		wait_for_ipis(vm, FLOW);
		if (i == 1)
			EXPECT_INHIBITED(&vm->vcpus[1]);
		window_may_open = true;
		vm_wait(vm, pic_extints == i, "the ExtINT is delivered");
		pic_set_line(vm, false);
		wait_for_ipis(vm, FLOW);
	}
	if (device)
		interrupts = device_traffic_end(vm);
	EXPECT_ACCELERATED_AGAIN(&vm->vcpus[0]);
	sender_stop = true;
	vm_wait(vm, role_is_ready(&vm->vcpus[1]), "the last IPI is handled");
	EXPECT_EQ(ipis_sent, guest_cpus[2].irqs[VECTOR]);
	EXPECT_EQ(rounds, pic_extints);
	NOTE("%u ExtINTs: %u IPIs, %llu interrupts of a device\n", rounds, ipis_sent,
	     (unsigned long long)interrupts);
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
		send_to_renamed(FLOW);
		new_id = NEW_APIC_ID;
		guest_wait(new_id_set == NEW_APIC_ID);
		send_to_renamed(FLOW);
		new_id = 1;
		guest_wait(new_id_set == 1);
	}
	send_to_renamed(FLOW);
	all_sent = true;
	role_wait_finished();
}

/* In x2APIC mode the ID cannot change. */
TEST(ipi_follows_a_changed_apic_id_and_acceleration_returns)
{
	uint64_t interrupts;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	if (changed_id_inhibits_for_ever())
		SKIP(return, FOR_EVER);
	vm = vm_create(mode);
	roles_begin();
	new_id = new_id_set = 1;
	renamed_total = 0;
	all_sent = false;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, renaming_sender, rounds);
	vm_add_vcpu(vm, 1, renaming_target, 0);
	device_traffic_add(vm);
	vm_start_held(vm, 1U << 0);
	vm_wait(vm, role_is_ready(&vm->vcpus[1]), "the target runs");
	device_traffic_begin(vm);
	vcpu_resume(&vm->vcpus[0]);
	while (!all_sent) {
		uint32_t before = guest_cpus[1].irqs[VECTOR];

		vm_wait(vm, all_sent || guest_cpus[1].irqs[VECTOR] != before, "IPIs are handled");
	}
	interrupts = device_traffic_end(vm);
	EXPECT_EQ((2 * rounds + 1) * FLOW, guest_cpus[1].irqs[VECTOR]);
	EXPECT_ACCELERATED_AGAIN(&vm->vcpus[0]);
	EXPECT_ACCELERATED_AGAIN(&vm->vcpus[1]);
	NOTE("%u times changed and restored: %u IPIs, %llu interrupts of a device\n", rounds,
	     renamed_total, (unsigned long long)interrupts);
	roles_finish(vm);
}

TEST_MAIN(10)
