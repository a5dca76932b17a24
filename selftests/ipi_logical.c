// SPDX-License-Identifier: GPL-2.0-only
/*
 * IPIs to logical destinations: flat and cluster model, running and halted
 * targets, lowest priority, and logical IDs that change while the guest runs; and
 * the clusters of x2APIC mode, where logical IDs follow from the APIC IDs.
 *
 * vCPU 0 sends.  It waits until every expected target has handled its interrupt.
 * The host compares the totals at the end, so it also detects an extra interrupt.
 */
#include <string.h>

#include "lib/test.h"

#include "lib/roles.h"

#define VECTOR		0x70
#define VCPUS		4

/* In x2APIC mode: two in cluster 0, two in cluster 1, the last with its highest bit. */
static const uint32_t x2apic_ids[VCPUS] = { 0, 3, 0x12, 0x1f };

static volatile bool sent_all, leaves_out_broadcast;
static uint32_t expected[VCPUS];

/* The registers that a target shall write next; it polls the flag and then writes them. */
static volatile struct {
	uint32_t dfr, ldr;
	uint32_t asked, done;
} order[VCPUS];

static void obey_orders(void)
{
	unsigned int me = guest_self()->index;
	uint32_t asked = order[me].asked;

	if (asked == order[me].done)
		return;
	full_barrier();
	apic_write(APIC_DFR, order[me].dfr);
	apic_write(APIC_LDR, order[me].ldr << 24);
	full_barrier();
	order[me].done = asked;
}

static void obedient_spinner(uint64_t ldr)
{
	apic_set_logical_id(ldr);
	role_set_ready();
	irq_enable();
	while (!roles_finished) {
		obey_orders();
		guest_poll();
	}
}

static void give_order(unsigned int vcpu, uint32_t dfr, uint32_t ldr)
{
	order[vcpu].dfr = dfr;
	order[vcpu].ldr = ldr;
	full_barrier();
	order[vcpu].asked++;
	if (vcpu == guest_self()->index)
		obey_orders();
	while (order[vcpu].done != order[vcpu].asked)
		cpu_pause();
}

/* Send to a logical destination; receivers: one bit for each vCPU that must take it. */
static void send_and_wait(uint32_t dest, unsigned int receivers)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		if (receivers & 1U << i)
			expected[i]++;
	apic_send(dest, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
	for (unsigned int i = 0; i < VCPUS; i++)
		while (guest_cpus[i].irqs[VECTOR] < expected[i])
			guest_poll();
}

static void sender_begins(uint32_t ldr)
{
	apic_set_logical_id(ldr);
	irq_enable();
	for (unsigned int i = 0; i < VCPUS; i++)
		expected[i] = 0;
}

static void sender_ends(void)
{
	sent_all = true;
	role_wait_finished();
}

/* Sends to every subset of the four vCPUs, including the sender, `count` times. */
static void flat_sender(uint64_t count)
{
	sender_begins(1);
	while (count--)
		for (unsigned int set = 1; set < 1U << VCPUS; set++)
			send_and_wait(set, set);
	sender_ends();
}

/* vCPUs 0 and 1 in cluster 0, vCPUs 2 and 3 in cluster 14. */
static void cluster_sender(uint64_t count)
{
	sender_begins(1);
	send_and_wait(0xf, 0xf);
	for (unsigned int i = 0; i < VCPUS; i++)
		give_order(i, APIC_DFR_CLUSTER, (i < 2 ? 0 : 0xe0) | 1U << (i & 1));
	while (count--) {
		for (unsigned int set = 1; set < 4; set++) {
			send_and_wait(set, set);
			send_and_wait(0xe0 | set, set << 2);
		}
	}
	/* Back to the flat model. */
	for (unsigned int i = 0; i < VCPUS; i++)
		give_order(i, APIC_DFR_FLAT, 1U << i);
	for (unsigned int set = 1; set < 1U << VCPUS; set++)
		send_and_wait(set, set);
	sender_ends();
}

static uint32_t total(void)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < VCPUS; i++)
		sum += guest_cpus[i].irqs[VECTOR];
	return sum;
}

static void lowest_priority_sender(uint64_t count)
{
	sender_begins(1);
	for (uint32_t i = 0; i < count; i++) {
		apic_send(0xe, ICR_LOWEST | ICR_LOGICAL | ICR_ASSERT | VECTOR);
		guest_wait(total() > i);
	}
	sender_ends();
}

static void moving_sender(uint64_t count)
{
	sender_begins(1);
	while (count--) {
		/* One target moves away: nobody has its old bit. */
		give_order(1, APIC_DFR_FLAT, 0x20);
		send_and_wait(0x20, 1U << 1);
		send_and_wait(0x02, 0);
		give_order(1, APIC_DFR_FLAT, 0x02);
		send_and_wait(0x02, 1U << 1);
		/* The target has no bit: nobody is reached. */
		give_order(1, APIC_DFR_FLAT, 0);
		send_and_wait(0x02, 0);
		give_order(1, APIC_DFR_FLAT, 0x02);
		send_and_wait(0x02, 1U << 1);
	}
	sender_ends();
}

/* vCPUs 1 and 2 exchange their IDs; in between both have the same ID. */
static void swapping_sender(uint64_t count)
{
	sender_begins(1);
	while (count--) {
		give_order(1, APIC_DFR_FLAT, 0x04);
		send_and_wait(0x04, 1U << 1 | 1U << 2);
		send_and_wait(0x02, 0);
		give_order(2, APIC_DFR_FLAT, 0x02);
		send_and_wait(0x02, 1U << 2);
		send_and_wait(0x04, 1U << 1);
		give_order(1, APIC_DFR_FLAT, 0x02);
		send_and_wait(0x02, 1U << 1 | 1U << 2);
		give_order(2, APIC_DFR_FLAT, 0x04);
		send_and_wait(0x02, 1U << 1);
		send_and_wait(0x04, 1U << 2);
	}
	sender_ends();
}

/* The logical ID of those vCPUs in the set, which are in one cluster. */
static uint32_t x2apic_logical_of(unsigned int set)
{
	uint32_t dest = 0;

	for (unsigned int i = 0; i < VCPUS; i++)
		if (set & 1U << i)
			dest |= x2apic_logical_id(x2apic_ids[i]);
	return dest;
}

static void x2apic_sender(uint64_t count)
{
	sender_begins(0);
	for (unsigned int i = 0; i < VCPUS; i++)
		GUEST_ASSERT_EQ(guest_cpus[i].apic_id, x2apic_ids[i]);
	GUEST_ASSERT_EQ(apic_read(APIC_LDR), x2apic_logical_id(x2apic_ids[0]));
	while (count--) {
		for (unsigned int set = 1; set < 4; set++) {
			send_and_wait(x2apic_logical_of(set), set);
			send_and_wait(x2apic_logical_of(set << 2), set << 2);
		}
		/* Bits without a vCPU, a cluster without one, and the ID of all. */
		send_and_wait(0x0000ffff, 0x3);
		send_and_wait(0x0001ffff, 0xc);
		send_and_wait(0x00007ffe, 0x2);
		send_and_wait(0x00010001, 0);
		send_and_wait(0x0002ffff, 0);
		if (!leaves_out_broadcast)
			send_and_wait(X2APIC_BROADCAST, 0xf);
	}
	sender_ends();
}

static void x2apic_broadcast_sender(uint64_t unused)
{
	(void)unused;
	sender_begins(0);
	apic_send(X2APIC_BROADCAST, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
	sender_ends();
}

static void x2apic_lowest_priority_sender(uint64_t count)
{
	sender_begins(0);
	for (uint32_t i = 0; i < count; i++) {
		apic_send(x2apic_logical_of(0xc), ICR_LOWEST | ICR_LOGICAL | ICR_ASSERT | VECTOR);
		guest_wait(total() > i);
	}
	sender_ends();
}

/* One letter for each target: S halts between interrupts, R runs and obeys orders. */
static struct vm *run_in(unsigned int mode, void (*sender)(uint64_t), uint64_t count,
			 const char *targets)
{
	struct vm *vm = vm_create(mode);

	roles_begin();
	sent_all = false;
	for (unsigned int i = 0; i < VCPUS; i++)
		order[i].asked = order[i].done = 0;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, sender, count);
	for (unsigned int i = 1; i < VCPUS; i++)
		vm_add_vcpu(vm, mode == VM_X2APIC ? x2apic_ids[i] : i,
			    targets[i - 1] == 'S' ? role_sleeper : obedient_spinner, 1U << i);
	/* The sender starts last, when the others have set their IDs. */
	vm_start_held(vm, 1U << 0);
	roles_wait_ready(vm, 1);
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, sent_all, "every IPI is handled");
	sleep_us(2000);
	return vm;
}

static struct vm *run(void (*sender)(uint64_t), uint64_t count, const char *targets)
{
	return run_in(0, sender, count, targets);
}

#define EXPECT_TOTALS() do {						\
	for (unsigned int i_ = 0; i_ < VCPUS; i_++) {			\
		EXPECT_EQ(expected[i_], guest_cpus[i_].irqs[VECTOR])	\
			TH_LOG("vcpu %u", i_);				\
	}								\
} while (0)

TEST(flat_ipi_reaches_exactly_the_named_running_vcpus)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = run(flat_sender, rounds, "RRR");
	EXPECT_TOTALS();
	roles_finish(vm);
}

TEST(flat_ipi_reaches_running_and_halted_vcpus)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = run(flat_sender, rounds, "RSS");
	EXPECT_TOTALS();
	EXPECT_LT(0, vcpu_stat(&vm->vcpus[2], "halt_exits"));
	roles_finish(vm);
}

TEST(cluster_ipi_reaches_exactly_the_named_vcpus)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = run(cluster_sender, rounds, "RRR");
	EXPECT_TOTALS();
	if (accel_check()->active)
		EXPECT_TRUE(vcpu_is_accelerated(&vm->vcpus[1]));
	roles_finish(vm);
}

TEST(lowest_priority_ipi_reaches_one_of_the_named_vcpus)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = run(lowest_priority_sender, rounds * 4, "RSR");
	EXPECT_EQ(rounds * 4, total());
	EXPECT_EQ(0, guest_cpus[0].irqs[VECTOR]);
	roles_finish(vm);
}

TEST(ipi_follows_a_logical_id_that_moves)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = run(moving_sender, rounds, "RRR");
	EXPECT_TOTALS();
	if (accel_check()->active)
		EXPECT_TRUE(vcpu_is_accelerated(&vm->vcpus[1]));
	roles_finish(vm);
}

TEST(shared_logical_id_reaches_both_and_acceleration_returns_after)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	/* Its map has room for one of them, and no inhibit makes it go without. */
	if (stock_before(6, 12))
		SKIP(return, "stock KVM of this Linux reaches one vCPU by a logical ID, not both");
	vm = run(swapping_sender, rounds, "RRR");
	EXPECT_TOTALS();
	if (accel_check()->active)
		EXPECT_TRUE(vcpu_is_accelerated(&vm->vcpus[1]));
	roles_finish(vm);
}

/* Stock takes the cluster out of the logical ID of all, and wakes its members: nobody. */
static bool broadcast_wakes_nobody(void)
{
	return accel_is_avic() && accel_expected(true) && !accel_check()->vapic;
}

static void run_x2apic(struct __test_metadata *_metadata, const char *targets)
{
	struct vm *vm;

	leaves_out_broadcast = strchr(targets, 'S') && broadcast_wakes_nobody();
	vm = run_in(VM_X2APIC, x2apic_sender, rounds * 4, targets);
	EXPECT_TOTALS();
	if (targets[0] == 'R')
		EXPECT_EQ(accel_expected(true), vcpu_is_accelerated(&vm->vcpus[1]));
	roles_finish(vm);
}

TEST(x2apic_cluster_ipi_reaches_exactly_the_named_running_vcpus)
{
	REQUIRE_EXPECTED_ACCELERATION();
	run_x2apic(_metadata, "RRR");
}

TEST(x2apic_cluster_ipi_reaches_running_and_halted_vcpus)
{
	REQUIRE_EXPECTED_ACCELERATION();
	MAY_MISS_SLEEPERS();
	run_x2apic(_metadata, "RSR");
	run_x2apic(_metadata, "SSS");
}

TEST(x2apic_ipi_to_the_logical_id_of_all_wakes_sleepers)
{
	bool arrived;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = run_in(VM_X2APIC, x2apic_broadcast_sender, 0, "SSS");
	for (unsigned int i = 0; i < 500 && total() < VCPUS; i++)
		sleep_us(1000);
	arrived = total() == VCPUS;
	roles_finish(vm);
	if (!arrived && broadcast_wakes_nobody())
		EXPECTED_FAILURE(return, "stock KVM: sleepers do not wake");
	EXPECT_TRUE(arrived);
}

TEST(x2apic_lowest_priority_ipi_reaches_one_of_the_cluster)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = run_in(VM_X2APIC, x2apic_lowest_priority_sender, rounds * 4, "RSR");
	EXPECT_EQ(rounds * 4, total());
	EXPECT_EQ(rounds * 4, guest_cpus[2].irqs[VECTOR] + guest_cpus[3].irqs[VECTOR]);
	roles_finish(vm);
}

TEST_MAIN(3)
