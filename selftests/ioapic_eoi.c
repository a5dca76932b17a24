// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOAPIC interrupts: the EOI of a level-triggered interrupt must reach the IOAPIC
 * (remote IRR, resample), the EOI of an edge-triggered interrupt need not.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "lib/modes.h"

#include "lib/hyperv.h"
#include "lib/ioapic.h"
#include "lib/roles.h"

#define VECTOR		0x71
#define PIN		20

/* Route the pin to vCPU 1. */
static void router(uint64_t trigger)
{
	ioapic_route(PIN, guest_cpus[1].apic_id, VECTOR, trigger);
	role_set_ready();
	role_wait_finished();
	/* The last EOI has cleared it. */
	if (trigger == IOAPIC_LEVEL)
		GUEST_ASSERT_EQ(ioapic_read_pin(PIN) & IOAPIC_REMOTE_IRR, 0);
}

static struct vm *begin(uint32_t trigger, void (*target)(uint64_t))
{
	struct vm *vm = vm_create(mode);

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, router, trigger);
	vm_add_vcpu(vm, 1, target, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	return vm;
}

static void set_line(struct vm *vm, bool high)
{
	struct kvm_irq_level level = { .irq = PIN, .level = high };

	vm_ioctl(vm, KVM_IRQ_LINE, &level);
}

static void pulse(struct __test_metadata *_metadata, void (*target)(uint64_t))
{
	struct vm *vm = begin(0, target);
	struct guest_cpu *guest = vm->vcpus[1].guest;

	for (uint32_t i = 1; i <= rounds; i++) {
		set_line(vm, true);
		set_line(vm, false);
		vm_wait(vm, guest->irqs[VECTOR] >= i, "the edge is handled");
	}
	sleep_us(2000);
	EXPECT_EQ(rounds, guest->irqs[VECTOR]);
	roles_finish(vm);
}

TEST_F(guest, each_edge_interrupts_a_running_vcpu_once)
{
	pulse(_metadata, role_spinner);
}

TEST_F(guest, each_edge_wakes_a_halted_vcpu_once)
{
	pulse(_metadata, role_sleeper);
}

static bool awaits_eoi(struct vm *vm)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	vm_ioctl(vm, KVM_GET_IRQCHIP, &chip);
	return chip.chip.ioapic.redirtbl[PIN].fields.remote_irr;
}

TEST_F(guest, level_interrupt_repeats_after_eoi_while_the_line_is_high)
{
	struct guest_cpu *guest;
	uint32_t count;
	struct vm *vm;

	vm = begin(IOAPIC_LEVEL, role_spinner);
	guest = vm->vcpus[1].guest;
	set_line(vm, true);
	vm_wait(vm, guest->irqs[VECTOR] >= 3, "the level interrupt repeats");
	set_line(vm, false);
	/* One interrupt may still be on its way; no other may follow. */
	vm_wait(vm, !awaits_eoi(vm), "the EOI reaches the IOAPIC");
	count = guest->irqs[VECTOR];
	sleep_us(5000);
	EXPECT_EQ(count, guest->irqs[VECTOR]);
	set_line(vm, true);
	vm_wait(vm, guest->irqs[VECTOR] > count, "the next level interrupt is handled");
	set_line(vm, false);
	vm_wait(vm, !awaits_eoi(vm), "the last EOI reaches the IOAPIC");
	roles_finish(vm);
}

/*
 * Intel's processors learn from a bitmap which EOIs exit, and KVM loads it only while
 * acceleration is on. AutoEOI of vCPU 0 also inhibits vCPU 1, but does not change the bitmap of
 * vCPU 1.
 */
TEST_F(guest, eoi_reaches_the_ioapic_by_a_route_written_while_inhibited)
{
	struct guest_cpu *guest;
	struct vm *vm;
	bool arrived;

	vm = vm_create(mode);
	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	hyperv_require(vm_add_vcpu(vm, 0, router, IOAPIC_LEVEL));
	vm_add_vcpu(vm, 1, role_spinner, 0);
	guest = vm->vcpus[1].guest;
	hyperv_set_auto_eoi(&vm->vcpus[0], true);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	EXPECT_FALSE(vcpu_is_accelerated(&vm->vcpus[1]));
	vcpu_pause(&vm->vcpus[0]);
	hyperv_set_auto_eoi(&vm->vcpus[0], false);
	vcpu_resume(&vm->vcpus[0]);
	/* Acceleration is not only requested: vCPU 1 runs with it. */
	EXPECT_EQ(mode_is_accelerated(), vcpu_is_accelerated(&vm->vcpus[1]));

	set_line(vm, true);
	vm_wait(vm, guest->irqs[VECTOR] >= 1, "the level interrupt is handled");
	set_line(vm, false);
	for (unsigned int i = 0; i < 500 && awaits_eoi(vm); i++)
		sleep_us(100);
	arrived = !awaits_eoi(vm);
	if (!arrived) {
		vm_destroy(vm);
		if (!vapic_takes_over("vmx_refresh_apicv_exec_ctrl"))
			EXPECTED_FAILURE(return, "stock KVM: the bitmap of EOIs that exit is an old one");
	} else {
		roles_finish(vm);
	}
	EXPECT_TRUE(arrived);
}

/* A device model that waits for the guest's EOI before it raises the line again. */
static void resample(struct __test_metadata *_metadata, void (*target)(uint64_t))
{
	int trigger = eventfd(0, EFD_CLOEXEC), eoi = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct kvm_irqfd irqfd = {
		.fd = trigger, .gsi = PIN, .flags = KVM_IRQFD_FLAG_RESAMPLE, .resamplefd = eoi,
	};
	struct vm *vm = begin(IOAPIC_LEVEL, target);
	struct guest_cpu *guest = vm->vcpus[1].guest;
	uint64_t one = 1, count;

	vm_ioctl(vm, KVM_IRQFD, &irqfd);
	for (uint32_t i = 1; i <= rounds; i++) {
		ASSERT_EQ(sizeof(one), write(trigger, &one, sizeof(one)));
		vm_wait(vm, read(eoi, &count, sizeof(count)) == sizeof(count),
			"the EOI of a level interrupt reaches the resample eventfd");
		EXPECT_EQ(1, count);
		EXPECT_EQ(i, guest->irqs[VECTOR]);
	}
	sleep_us(2000);
	EXPECT_EQ(rounds, guest->irqs[VECTOR]);
	roles_finish(vm);
	close(trigger);
	close(eoi);
}

TEST_F(guest, eoi_of_a_running_vcpu_resamples_a_level_irqfd)
{
	resample(_metadata, role_spinner);
}

TEST_F(guest, eoi_of_a_woken_vcpu_resamples_a_level_irqfd)
{
	resample(_metadata, role_sleeper);
}

TEST_MAIN(20)
