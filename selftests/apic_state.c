// SPDX-License-Identifier: GPL-2.0-only
/*
 * APIC state that the host reads and writes, as for save, restore and migration:
 * KVM must show, keep, add and remove pending interrupts; x2APIC guests; and vCPU
 * IDs beyond the hardware's table.
 */
#include <sys/ioctl.h>

#include "lib/test.h"

#include "lib/lapic.h"
#include "lib/roles.h"

#define PENDING		0x57
#define ADDED		0x58
#define VECTOR		0x59
#define HIGH_ID		300
#define RACED		4		/* vCPUs of a VM whose creators race */

static volatile bool may_enable, all_sent, waiting;

static void begin(void)
{
	roles_begin();
	may_enable = all_sent = waiting = false;
	for (unsigned int v = PENDING; v <= VECTOR; v++)
		guest_set_handler(v, guest_count_irq);
}

/* Sends itself one interrupt that stays pending until the host says so. */
static void pending_guest(uint64_t arg)
{
	(void)arg;
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | PENDING);
	waiting = true;
	guest_wait(may_enable);
	role_wait_finished();
}

static struct vm *begin_pending(void)
{
	struct vm *vm = vm_create(0);

	begin();
	vm_add_vcpu(vm, 0, pending_guest, 0);
	vm_start(vm);
	vm_wait(vm, waiting, "the guest has sent itself an interrupt");
	vcpu_pause(&vm->vcpus[0]);
	return vm;
}

TEST(pending_interrupt_is_seen_in_the_saved_state)
{
	struct kvm_lapic_state lapic;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_pending();
	vcpu_ioctl(&vm->vcpus[0], KVM_GET_LAPIC, &lapic);
	EXPECT_TRUE(lapic_bit(&lapic, APIC_IRR, PENDING));
	EXPECT_FALSE(lapic_bit(&lapic, APIC_ISR, PENDING));
	may_enable = true;
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, guest_cpus[0].irqs[PENDING] == 1, "the pending interrupt is taken");
	vcpu_pause(&vm->vcpus[0]);
	vcpu_ioctl(&vm->vcpus[0], KVM_GET_LAPIC, &lapic);
	EXPECT_FALSE(lapic_bit(&lapic, APIC_IRR, PENDING));
	vcpu_resume(&vm->vcpus[0]);
	roles_finish(vm);
}

TEST(restored_state_delivers_what_it_holds_pending)
{
	struct kvm_lapic_state lapic;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_pending();
	vcpu_ioctl(&vm->vcpus[0], KVM_GET_LAPIC, &lapic);
	lapic_set(&lapic, APIC_IRR, ADDED, true);
	vcpu_ioctl(&vm->vcpus[0], KVM_SET_LAPIC, &lapic);
	may_enable = true;
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, guest_cpus[0].irqs[ADDED] == 1, "the interrupt of the restored state is taken");
	vm_wait(vm, guest_cpus[0].irqs[PENDING] == 1, "the one that was pending before as well");
	roles_finish(vm);
}

TEST(restored_state_forgets_what_it_does_not_hold)
{
	struct kvm_lapic_state lapic;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_pending();
	vcpu_ioctl(&vm->vcpus[0], KVM_GET_LAPIC, &lapic);
	lapic_set(&lapic, APIC_IRR, PENDING, false);
	vcpu_ioctl(&vm->vcpus[0], KVM_SET_LAPIC, &lapic);
	may_enable = true;
	vcpu_resume(&vm->vcpus[0]);
	/* When another interrupt has arrived, the removed one had its chance, too. */
	vm_send_msi(vm, 0, ADDED);
	vm_wait(vm, guest_cpus[0].irqs[ADDED] == 1, "interrupts are on");
	EXPECT_EQ(0, guest_cpus[0].irqs[PENDING]);
	roles_finish(vm);
}

TEST(restored_pending_interrupt_wakes_a_halted_vcpu)
{
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	begin();
	vm = vm_create(0);
	vcpu = vm_add_vcpu(vm, 0, role_sleeper, 0);
	vm_start(vm);
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(vcpu), "the vCPU sleeps");
		vcpu_pause(vcpu);
		vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
		lapic_set(&lapic, APIC_IRR, ADDED, true);
		vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
		vcpu_resume(vcpu);
		vm_wait(vm, guest_cpus[0].irqs[ADDED] == i, "the restored interrupt wakes it");
	}
	roles_finish(vm);
}

static void sender(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		for (unsigned int t = 1; t <= 2; t++) {
			apic_send_fixed(guest_cpus[t].apic_id, VECTOR);
			guest_wait(guest_cpus[t].irqs[VECTOR] == i);
		}
	}
	all_sent = true;
	role_wait_finished();
}

/* vCPU 0 sends to a vCPU that runs and to one that sleeps; the host saves and restores. */
TEST(no_ipi_is_lost_across_save_and_restore)
{
	uint32_t saves = 0;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	begin();
	vm = vm_create(0);
	vm_add_vcpu(vm, 0, sender, rounds * 20);
	vm_add_vcpu(vm, 1, role_spinner, 0);
	vm_add_vcpu(vm, 2, role_sleeper, 0);
	vm_start_held(vm, 1U << 0);
	roles_wait_ready(vm, 1);
	vcpu_resume(&vm->vcpus[0]);
	while (!all_sent) {
		struct kvm_lapic_state lapic;

		/* All vCPUs are paused between save and restore, as in a migration. */
		for (unsigned int i = 0; i < 3; i++)
			vcpu_pause(&vm->vcpus[i]);
		for (unsigned int i = 0; i < 3; i++) {
			vcpu_ioctl(&vm->vcpus[i], KVM_GET_LAPIC, &lapic);
			vcpu_ioctl(&vm->vcpus[i], KVM_SET_LAPIC, &lapic);
		}
		for (unsigned int i = 0; i < 3; i++)
			vcpu_resume(&vm->vcpus[i]);
		saves++;
		uint32_t before = guest_cpus[2].irqs[VECTOR];

		vm_wait(vm, all_sent || guest_cpus[2].irqs[VECTOR] != before,
			"IPIs go on after a restore");
	}
	EXPECT_EQ(rounds * 20, guest_cpus[1].irqs[VECTOR]);
	EXPECT_EQ(rounds * 20, guest_cpus[2].irqs[VECTOR]);
	NOTE("%u saves and restores among %u IPIs\n", saves, rounds * 40);
	roles_finish(vm);
}

static void broadcaster(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_OTHERS | VECTOR);
		for (unsigned int t = 1; t < RACED; t++)
			guest_wait(guest_cpus[t].irqs[VECTOR] == i);
	}
	all_sent = true;
	role_wait_finished();
}

/*
 * When several vCPUs with one ID are created at the same time, one of them stays.  It must be as
 * good as a vCPU that was created alone: accelerated, and able to receive IPIs of the others.
 */
TEST(vcpu_made_by_several_threads_at_once_is_like_any_other)
{
	const struct accel *accel = accel_check();
	/* Create them one after the other: see "Where stock differs" in README.md. */
	bool alone = accel->active && !accel->vapic;

	REQUIRE_EXPECTED_ACCELERATION();
	for (unsigned int round = 0; round < rounds; round++) {
		struct vm *vm = vm_create(alone ? 0 : VM_RACE);

		begin();
		vm_add_vcpu(vm, 0, broadcaster, 5);
		for (unsigned int i = 1; i < RACED; i++)
			vm_add_vcpu(vm, i, role_spinner, 0);
		if (!alone)
			EXPECT_EQ(-EEXIST, vm_raw_create_vcpu(vm, 1));
		vm_start_held(vm, 1U << 0);
		roles_wait_ready(vm, 1);
		for (unsigned int i = 1; i < RACED && accel->active; i++) {
			/* The first access to the APIC page faults in any case. */
			vcpu_is_accelerated(&vm->vcpus[i]);
			EXPECT_TRUE(vcpu_is_accelerated(&vm->vcpus[i]));
		}
		vcpu_resume(&vm->vcpus[0]);
		vm_wait(vm, all_sent, "every broadcast is handled");
		roles_finish(vm);
	}
}

static void self_ipi_by_msr(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		apic_write(APIC_SELF_IPI, ADDED);
		guest_wait(self->irqs[ADDED] == i);
	}
	sender(count);
}

static void run_x2apic(struct __test_metadata *_metadata, uint32_t high_id)
{
	struct vm *vm = vm_create(VM_X2APIC);

	begin();
	vm_add_vcpu(vm, 0, self_ipi_by_msr, rounds);
	vm_add_vcpu(vm, high_id, role_spinner, 0);
	vm_add_vcpu(vm, high_id + 1, role_sleeper, 0);
	vm_start_held(vm, 1U << 0);
	roles_wait_ready(vm, 1);
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, all_sent, "every IPI is handled");
	sleep_us(2000);
	EXPECT_EQ(rounds, guest_cpus[0].irqs[ADDED]);
	EXPECT_EQ(rounds, guest_cpus[1].irqs[VECTOR]);
	EXPECT_EQ(rounds, guest_cpus[2].irqs[VECTOR]);
	roles_finish(vm);
}

TEST(x2apic_guest_gets_every_ipi)
{
	REQUIRE_EXPECTED_ACCELERATION();
	run_x2apic(_metadata, 1);
}

/* Writes to the address of the xAPIC registers, where there is a device of the host, or memory. */
static void xapic_writer(uint64_t arg)
{
	(void)arg;
	apic_write(APIC_TPR, 0x20);
	mmio_write32(APIC_BASE_ADDR + APIC_TPR, 0xf0);
	GUEST_ASSERT_EQ(apic_read(APIC_TPR), 0x20);
	GUEST_ASSERT_EQ(read_cr8(), 2);
	apic_write(APIC_TPR, 0);
}

static bool take_mmio(struct vcpu *vcpu)
{
	return vcpu->run->exit_reason == KVM_EXIT_MMIO;
}

TEST(x2apic_guest_has_no_xapic_page)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	begin();
	vm = vm_create(VM_X2APIC);
	vm->on_exit = take_mmio;
	vm_add_vcpu(vm, 0, xapic_writer, 0);
	vm_start(vm);
	vm_join(vm);
	vm_destroy(vm);
}

static void switching_sender(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		apic_send_fixed(guest_cpus[1].apic_id, VECTOR);
		guest_wait(guest_cpus[1].irqs[VECTOR] == i);
	}
	/* From here on, access the APIC by MSR. */
	irq_disable();
	apic_set_mode_x2apic();
	irq_enable();
	for (uint32_t i = count + 1; i <= 2 * count; i++) {
		apic_send_fixed(guest_cpus[1].apic_id, VECTOR);
		guest_wait(guest_cpus[1].irqs[VECTOR] == i);
	}
	all_sent = true;
	role_wait_finished();
}

static void switching_target(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	irq_enable();
	role_set_ready();
	guest_wait(self->irqs[VECTOR] == count);
	irq_disable();
	apic_set_mode_x2apic();
	role_wait_finished();
}

TEST(ipi_arrives_before_and_after_a_switch_to_x2apic)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	begin();
	vm = vm_create(0);
	vm_add_vcpu(vm, 0, switching_sender, rounds);
	vm_add_vcpu(vm, 1, switching_target, rounds);
	vm_start_held(vm, 1U << 0);
	roles_wait_ready(vm, 1);
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, all_sent, "every IPI is handled");
	sleep_us(2000);
	EXPECT_EQ(2 * rounds, guest_cpus[1].irqs[VECTOR]);
	roles_finish(vm);
}

TEST(vcpu_id_beyond_the_table_works)
{
	struct vm *vm;
	int fd;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = vm_create(VM_X2APIC);
	fd = vm_raw_create_vcpu(vm, HIGH_ID);
	vm_destroy(vm);
	if (fd < 0 && accel_is_avic() && !accel_check()->vapic) {
		/* Known of stock 6.12 without x2AVIC: see "Where stock differs" in README.md. */
		EXPECT_EQ(-EINVAL, fd);
		NOTE("stock KVM refuses vCPU ID %d\n", HIGH_ID);
		return;
	}
	ASSERT_LE(0, fd);
	close(fd);
	run_x2apic(_metadata, HIGH_ID);
}

TEST_MAIN(10)
