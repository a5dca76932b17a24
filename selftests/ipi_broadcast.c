// SPDX-License-Identifier: GPL-2.0-only
/*
 * Broadcast IPIs, by shorthand and by the physical ID of all, to vCPUs of which some
 * run and some halt: every vCPU takes each IPI exactly once.
 */
#include "lib/modes.h"

#include "lib/roles.h"

#define VCPUS		4
#define TO_OTHERS	0x61
#define TO_ALL		0x62
#define TO_ALL_IDS	0x63

static volatile bool sent_all;

static void wait_for_all(uint8_t vector, uint32_t count, bool also_self)
{
	for (unsigned int i = also_self ? 0 : 1; i < VCPUS; i++)
		guest_wait(guest_cpus[i].irqs[vector] >= count);
}

static void sender(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_OTHERS | TO_OTHERS);
		wait_for_all(TO_OTHERS, i, false);
		apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_ALL | TO_ALL);
		wait_for_all(TO_ALL, i, true);
		apic_send(apic_broadcast_id(), ICR_FIXED | ICR_PHYSICAL | ICR_ASSERT | TO_ALL_IDS);
		wait_for_all(TO_ALL_IDS, i, true);
	}
	sent_all = true;
	role_wait_finished();
}

static struct vm *run(const char *targets, uint32_t count)
{
	struct vm *vm = vm_create(mode);

	roles_begin();
	sent_all = false;
	for (unsigned int v = TO_OTHERS; v <= TO_ALL_IDS; v++)
		guest_set_handler(v, guest_count_irq);
	vm_add_vcpu(vm, 0, sender, count);
	for (unsigned int i = 1; i < VCPUS; i++)
		vm_add_vcpu(vm, i, targets[i - 1] == 'S' ? role_sleeper : role_spinner, 0);
	vm_start_held(vm, 1U << 0);
	roles_wait_ready(vm, 1);
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, sent_all, "every broadcast is handled by all");
	sleep_us(2000);
	return vm;
}

#define EXPECT_COUNTS(count) do {					\
	for (unsigned int i_ = 0; i_ < VCPUS; i_++) {			\
		EXPECT_EQ(i_ ? count : 0, guest_cpus[i_].irqs[TO_OTHERS]); \
		EXPECT_EQ(count, guest_cpus[i_].irqs[TO_ALL]);		\
		EXPECT_EQ(count, guest_cpus[i_].irqs[TO_ALL_IDS]);	\
	}								\
} while (0)

TEST_F(guest, broadcast_reaches_all_running_vcpus_once)
{
	struct vm *vm;

	vm = run("RRR", rounds);
	EXPECT_COUNTS(rounds);
	roles_finish(vm);
}

TEST_F(guest, broadcast_wakes_one_sleeper_among_running_vcpus)
{
	struct vm *vm;

	vm = run("RSR", rounds);
	EXPECT_COUNTS(rounds);
	roles_finish(vm);
}

TEST_F(guest, broadcast_wakes_all_sleepers)
{
	struct vm *vm;

	vm = run("SSS", rounds);
	EXPECT_COUNTS(rounds);
	EXPECT_LT(0, vcpu_stat(&vm->vcpus[1], "halt_wakeup"));
	roles_finish(vm);
}

TEST_MAIN(10)
