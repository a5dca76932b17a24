// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts from the host's side, as device models and vhost send them: by
 * KVM_SIGNAL_MSI and by irqfd, to vCPUs that run and that halt.
 */
#include <sys/ioctl.h>

#include "lib/test.h"

#include "lib/doorbell.h"
#include "lib/roles.h"

#define VECTOR		0x81
#define GSI		24

#define MAX_ROUNDS	10000

static uint64_t latency[MAX_ROUNDS];

static struct vm *begin_with(unsigned int options, const char *targets)
{
	struct vm *vm = vm_create(options);

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	for (unsigned int i = 0; targets[i]; i++)
		vm_add_vcpu(vm, i, targets[i] == 'S' ? role_sleeper : role_spinner, 1U << i);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	return vm;
}

static struct vm *begin(const char *targets)
{
	return begin_with(0, targets);
}

static void signal_msi(struct vm *vm, uint32_t address, uint32_t data)
{
	struct kvm_msi msi = { .address_lo = address, .data = data };

	vm_ioctl(vm, KVM_SIGNAL_MSI, &msi);
}

TEST(msi_reaches_a_running_vcpu_once)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin("R");
	for (uint32_t i = 1; i <= rounds; i++) {
		EXPECT_EQ(1, vm_send_msi(vm, 0, VECTOR));
		vm_wait(vm, guest_cpus[0].irqs[VECTOR] >= i, "the MSI is handled");
	}
	sleep_us(2000);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[VECTOR]);
	roles_finish(vm);
}

TEST(msi_to_a_running_vcpu_needs_no_exit_to_be_noticed)
{
	uint32_t count = rounds < MAX_ROUNDS ? rounds : MAX_ROUNDS;
	struct doorbell_watch watch;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin("R");
	vcpu_is_accelerated(&vm->vcpus[0]);
	doorbell_watch_begin(&watch, &vm->vcpus[0]);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t sent = read_tsc();

		vm_send_msi(vm, 0, VECTOR);
		vm_wait(vm, guest_cpus[0].irqs[VECTOR] > i, "the MSI is handled");
		latency[i] = guest_cpus[0].irq_tsc[VECTOR] - sent;
	}
	EXPECT_TRUE(doorbell_watch_end(&watch, latency, count));
	roles_finish(vm);
}

TEST(msi_wakes_a_blocked_vcpu_once)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin("S");
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the target blocks");
		vm_send_msi(vm, 0, VECTOR);
		vm_wait(vm, guest_cpus[0].irqs[VECTOR] >= i, "the MSI wakes the target");
	}
	sleep_us(2000);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[VECTOR]);
	EXPECT_LE(rounds, vcpu_stat(&vm->vcpus[0], "halt_exits"));
	roles_finish(vm);
}

/* Does not wait until the target sleeps, so the MSI may arrive while the target blocks. */
TEST(no_msi_is_lost_while_the_target_goes_to_sleep)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin("S");
	for (uint32_t i = 1; i <= rounds * 10; i++) {
		uint64_t deadline = patience_us() + vm_timeout_us() / 4;

		vm_send_msi(vm, 0, VECTOR);
		while (guest_cpus[0].irqs[VECTOR] < i)
			if (patience_us() > deadline)
				vm_fail(vm, "MSI %u of %u is lost", i, rounds * 10);
	}
	EXPECT_EQ(rounds * 10, guest_cpus[0].irqs[VECTOR]);
	roles_finish(vm);
}

/* No PIC and no IOAPIC in the kernel, as QEMU's kernel-irqchip=split. */
TEST(msi_reaches_vcpus_of_a_split_irqchip)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_with(VM_SPLIT, "RS");
	if (accel_check()->active)
		EXPECT_TRUE(vcpu_is_accelerated(&vm->vcpus[0]));
	for (uint32_t i = 1; i <= rounds; i++) {
		for (unsigned int t = 0; t < 2; t++) {
			vm_send_msi(vm, t, VECTOR);
			vm_wait(vm, guest_cpus[t].irqs[VECTOR] >= i, "the MSI is handled");
		}
	}
	sleep_us(2000);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[VECTOR]);
	EXPECT_EQ(rounds, guest_cpus[1].irqs[VECTOR]);
	roles_finish(vm);
}

TEST(msi_to_logical_destination_reaches_exactly_the_named_vcpus)
{
	uint32_t expected[3] = { 0 };
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin("RSR");
	for (uint32_t round = 0; round < rounds; round++) {
		uint32_t set = 1 + round % 7;

		signal_msi(vm, 0xfee00004U | set << 12, VECTOR);
		for (unsigned int i = 0; i < 3; i++) {
			expected[i] += set >> i & 1;
			vm_wait(vm, guest_cpus[i].irqs[VECTOR] >= expected[i],
				"every named vCPU handles the MSI");
		}
	}
	sleep_us(2000);
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_EQ(expected[i], guest_cpus[i].irqs[VECTOR]);
	roles_finish(vm);
}

static void by_irqfd(struct __test_metadata *_metadata, const char *target)
{
	struct vm *vm = begin(target);
	int trigger = vm_add_irqfd(vm, GSI, 0, VECTOR);
	uint64_t one = 1;

	for (uint32_t i = 1; i <= rounds; i++) {
		if (*target == 'S')
			vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the target blocks");
		ASSERT_EQ(sizeof(one), write(trigger, &one, sizeof(one)));
		vm_wait(vm, guest_cpus[0].irqs[VECTOR] >= i, "the irqfd's MSI is handled");
	}
	sleep_us(2000);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[VECTOR]);
	roles_finish(vm);
	close(trigger);
}

TEST(irqfd_reaches_a_running_vcpu_once)
{
	REQUIRE_EXPECTED_ACCELERATION();
	by_irqfd(_metadata, "R");
}

TEST(irqfd_wakes_a_blocked_vcpu_once)
{
	REQUIRE_EXPECTED_ACCELERATION();
	by_irqfd(_metadata, "S");
}

TEST_MAIN(50)
