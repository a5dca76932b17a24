// SPDX-License-Identifier: GPL-2.0-only
/*
 * Logical IPIs while logical IDs move and acceleration comes and goes with them.
 *
 * Two vCPUs that exchange their logical IDs have the same ID for a moment, and KVM inhibits AVIC
 * meanwhile.  Each vCPU notices by itself when the inhibit is over, so a sender may be
 * accelerated before its targets are.  So the table that its hardware reads must not contain the
 * IDs that the targets had before.
 */
#include "lib/test.h"

#include "lib/lapic.h"
#include "lib/roles.h"

#define VECTOR		0x74
#define TARGETS		2

/* A step that takes longer is reported as late, if it ends at all. */
#define LATE_US		400000

/* The logical IDs that the two targets have alternately; the sender has bit 0. */
#define ID_A		0x02
#define ID_B		0x04

/* ---- IDs that moved while the targets were not accelerated ---- */

static volatile uint32_t wanted_ldr[1 + TARGETS], written_ldr[1 + TARGETS];
static volatile uint32_t send_to;
static volatile bool sent;

static void write_ldr(unsigned int me, uint32_t ldr)
{
	apic_write(APIC_LDR, ldr << 24);
	full_barrier();
	written_ldr[me] = ldr;
}

static void moving_target(uint64_t arg)
{
	unsigned int me = guest_self()->index;

	(void)arg;
	irq_enable();
	while (!roles_finished) {
		if (written_ldr[me] != wanted_ldr[me])
			write_ldr(me, wanted_ldr[me]);
		guest_poll();
	}
}

static void ordered_sender(uint64_t arg)
{
	(void)arg;
	write_ldr(0, 0x01);
	irq_enable();
	guest_wait(send_to);
	apic_send(send_to, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
	sent = true;
	role_wait_finished();
}

static void move_targets(struct vm *vm, uint32_t first, uint32_t second)
{
	wanted_ldr[1] = first;
	wanted_ldr[2] = second;
	vm_wait(vm, written_ldr[1] == first && written_ldr[2] == second,
		"the targets have their logical IDs");
}

/*
 * The targets exchange their IDs under another inhibit, and notice its end only after the IPI was
 * sent.
 */
static struct vm *send_before_targets_are_back(void)
{
	struct vm *vm = vm_create(0);

	roles_begin();
	sent = false;
	send_to = 0;
	guest_set_handler(VECTOR, guest_count_irq);
	for (unsigned int i = 0; i <= TARGETS; i++) {
		wanted_ldr[i] = written_ldr[i] = 0;
		vm_add_vcpu(vm, i, i ? moving_target : ordered_sender, 0);
	}
	vm_add_blocker(vm);
	vm_start(vm);
	move_targets(vm, ID_A, ID_B);
	/* Each vCPU is accelerated with these IDs. */
	for (unsigned int i = 0; i <= TARGETS; i++)
		vcpu_is_accelerated(&vm->vcpus[i]);

	vm_block(vm, true);
	move_targets(vm, 0x08, ID_B);
	move_targets(vm, 0x08, ID_A);
	for (unsigned int i = 1; i <= TARGETS; i++)
		vcpu_pause(&vm->vcpus[i]);
	vm_block(vm, false);
	return vm;
}

static bool defect_is_known(void)
{
	return accel_is_avic() && !accel_check()->vapic;
}

TEST(ipi_to_an_id_that_moved_under_an_inhibit_reaches_its_new_owner)
{
	bool accelerated, arrived;
	uint32_t astray;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = send_before_targets_are_back();
	accelerated = vcpu_is_accelerated(&vm->vcpus[0]);
	send_to = ID_A;
	vm_wait(vm, sent, "the IPI is sent");
	for (unsigned int i = 1; i <= TARGETS; i++)
		vcpu_resume(&vm->vcpus[i]);
	for (int tries = 0; tries < 2000 && !guest_cpus[2].irqs[VECTOR]; tries++)
		sleep_us(1000);
	arrived = guest_cpus[2].irqs[VECTOR] == 1;
	astray = guest_cpus[1].irqs[VECTOR];
	roles_finish(vm);
	EXPECT_EQ(accel_check()->active, accelerated);
	if (!arrived && defect_is_known())
		EXPECTED_FAILURE(return, "stock KVM: the IPI goes to who had the ID before");
	EXPECT_TRUE(arrived);
	EXPECT_EQ(0, astray);
}

/* ---- IDs that change places between a few IPIs and the next ---- */

/*
 * IPIs to both targets in each round: the first ones while the targets become accelerated again,
 * the last ones when they are.
 */
#define IPIS_A_ROUND	8

static volatile uint32_t round_begun, ipis_sent;
static volatile uint32_t round_obeyed[1 + TARGETS];
static volatile bool all_done;

static void obey_round(unsigned int me, uint32_t number)
{
	apic_write(APIC_LDR, (uint32_t)(me % 2 == number % 2 ? ID_A : ID_B) << 24);
	full_barrier();
	round_obeyed[me] = number;
}

static bool round_is_new(unsigned int me)
{
	return round_begun != round_obeyed[me];
}

static void running_target(uint64_t arg)
{
	unsigned int me = guest_self()->index;

	(void)arg;
	irq_enable();
	role_set_ready();
	while (!roles_finished) {
		if (round_is_new(me))
			obey_round(me, round_begun);
		guest_poll();
	}
}

/* Changes its ID after the last IPI of a round, and sleeps until each next IPI arrives. */
static void sleeping_target(uint64_t arg)
{
	struct guest_cpu *self = guest_self();
	unsigned int me = self->index;

	(void)arg;
	irq_enable();
	role_set_ready();
	for (uint32_t number = 1; !roles_finished; number++) {
		guest_wait(round_is_new(me) || roles_finished);
		if (roles_finished)
			return;
		obey_round(me, number);
		irq_disable();
		while (self->irqs[VECTOR] < number * IPIS_A_ROUND && !roles_finished) {
			halt_with_irqs();
			irq_disable();
		}
		irq_enable();
	}
}

static void aliasing_sender(uint64_t count)
{
	write_ldr(0, 0x01);
	irq_enable();
	for (uint32_t number = 1; number <= count; number++) {
		round_begun = number;
		for (unsigned int i = 1; i <= TARGETS; i++)
			guest_wait(round_obeyed[i] == number);
		for (unsigned int n = 0; n < IPIS_A_ROUND; n++) {
			apic_send(ID_A | ID_B, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
			ipis_sent++;
			for (unsigned int i = 1; i <= TARGETS; i++)
				guest_wait(guest_cpus[i].irqs[VECTOR] >= ipis_sent);
		}
	}
	all_done = true;
	role_wait_finished();
}

static void print_progress(const char *what)
{
	fprintf(stderr, "# %s: round %u begun, IPI %u sent;", what, round_begun, ipis_sent);
	for (unsigned int i = 1; i <= TARGETS; i++)
		fprintf(stderr, " vcpu %u obeyed %u handled %u%s", i, round_obeyed[i],
			guest_cpus[i].irqs[VECTOR], i < TARGETS ? "," : "\n");
}

/* Does not touch a vCPU, because that may be what a late IPI waits for. */
static void print_status(void)
{
	char line[512];
	FILE *file = fopen("/sys/kernel/vapic/vcpus", "r");

	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		fprintf(stderr, "# %s", line);
	fclose(file);
}

/* Prints how far the IPI has come, according to each target's registers. */
static void print_where_it_is(struct vm *vm)
{
	for (unsigned int i = 1; i <= TARGETS; i++) {
		struct kvm_lapic_state lapic;
		const char *where = "nowhere: lost by the sender's hardware or by KVM's delivery";

		if (guest_cpus[i].irqs[VECTOR] >= ipis_sent)
			continue;
		vcpu_pause(&vm->vcpus[i]);
		vcpu_ioctl(&vm->vcpus[i], KVM_GET_LAPIC, &lapic);
		if (lapic_bit(&lapic, APIC_IRR, VECTOR))
			where = "in the IRR: delivered, and not taken";
		if (lapic_bit(&lapic, APIC_ISR, VECTOR))
			where = "in the ISR: taken, and not handled";
		fprintf(stderr, "# vcpu %u: the IPI is %s; LDR %08x, TPR %02x\n", i, where,
			lapic_read(&lapic, APIC_LDR), lapic_read(&lapic, APIC_TPR) & 0xff);
	}
}

static void print_lost(struct vm *vm)
{
	print_progress("lost");
	print_status();
	print_where_it_is(vm);
}

/* Waits for the end of all rounds; returns how many were late. */
static unsigned int watch(struct vm *vm)
{
	uint64_t since = patience_us();
	unsigned int late = 0;
	uint32_t seen = 0, seen_round = 0;
	bool reported = false;

	vm->on_failure = print_lost;
	while (!all_done) {
		uint64_t now = patience_us();

		if (ipis_sent != seen || round_begun != seen_round) {
			if (reported)
				NOTE("after %llu us it went on\n", (unsigned long long)(now - since));
			seen = ipis_sent;
			seen_round = round_begun;
			since = now;
			reported = false;
		} else if (!reported && now - since > LATE_US) {
			print_progress("late");
			print_status();
			late++;
			reported = true;
		} else if (now - since > vm_timeout_us()) {
			vm_fail(vm, "an IPI did not arrive in %llu us",
				(unsigned long long)(now - since));
		}
		sleep_us(200);
	}
	vm->on_failure = NULL;
	return late;
}

static void exchange_ids(struct __test_metadata *_metadata, void (*target)(uint64_t))
{
	struct vm *vm = vm_create(0);
	unsigned int late;

	roles_begin();
	round_begun = ipis_sent = 0;
	all_done = false;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, aliasing_sender, rounds);
	for (unsigned int i = 1; i <= TARGETS; i++) {
		round_obeyed[i] = 0;
		vm_add_vcpu(vm, i, target, 0);
	}
	vm_start_held(vm, 1U << 0);
	for (unsigned int i = 1; i <= TARGETS; i++)
		vm_wait(vm, role_is_ready(&vm->vcpus[i]), "the targets run");
	vcpu_resume(&vm->vcpus[0]);
	late = watch(vm);
	sleep_us(2000);
	for (unsigned int i = 1; i <= TARGETS; i++)
		EXPECT_EQ(rounds * IPIS_A_ROUND, guest_cpus[i].irqs[VECTOR]);
	NOTE("%u IPIs to %u targets each, in %u rounds; %u late, none lost\n",
	     rounds * IPIS_A_ROUND, TARGETS, rounds, late);
	if (accel_check()->active)
		EXPECT_TRUE(vcpu_is_accelerated(&vm->vcpus[0]));
	roles_finish(vm);
}

TEST(no_ipi_is_lost_when_running_targets_exchange_ids)
{
	REQUIRE_EXPECTED_ACCELERATION();
	exchange_ids(_metadata, running_target);
}

TEST(no_ipi_is_lost_when_sleeping_targets_exchange_ids)
{
	REQUIRE_EXPECTED_ACCELERATION();
	exchange_ids(_metadata, sleeping_target);
}

TEST_MAIN(100)
