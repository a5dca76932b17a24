// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM must derive from the image of an APIC alone: PPR, the table of logical IDs, the RTC's
 * outstanding ticks, and the delivery of pending interrupts, accelerated or inhibited.
 */
#include "lib/test.h"

#include "lib/hyperv.h"
#include "lib/lapic.h"
#include "lib/state_check.h"

static volatile bool stop;

/* ---- which vCPU gets an interrupt, and when ---- */

/* Two vectors; the first has the higher priority. */
#define NOBODYS_VECTOR	0x91
#define OURS_VECTOR	0x81

static volatile uint32_t logical_id, logical_vector;
static volatile bool may_enable, ready;

/* vCPU 0 sends to the logical ID that the host sets. */
static void logical_sender(uint64_t arg)
{
	(void)arg;
	while (!stop) {
		if (logical_id) {
			apic_send(logical_id, ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | logical_vector);
			full_barrier();
			logical_id = 0;
		}
		guest_poll();
	}
}

static void send_logically(struct vm *vm, uint32_t id, uint8_t vector)
{
	logical_vector = vector;
	full_barrier();
	logical_id = id;
	vm_wait(vm, !logical_id, "the IPI is sent");
}

static void receiver(uint64_t arg)
{
	(void)arg;
	apic_write(APIC_LDR, 2U << 24);
	ready = true;
	guest_wait(may_enable);
	irq_enable();
	guest_wait(stop);
}

/* Creates the VM; its last vCPU is the receiver. */
static struct vm *begin_receiver(bool with_sender)
{
	struct vm *vm = vm_create(0);

	stop = may_enable = ready = false;
	logical_id = 0;
	guest_set_handler(NOBODYS_VECTOR, guest_count_irq);
	guest_set_handler(OURS_VECTOR, guest_count_irq);
	if (with_sender)
		vm_add_vcpu(vm, 0, logical_sender, 0);
	vm_add_vcpu(vm, vm->vcpu_count, receiver, 0);
	vm_start(vm);
	vm_wait(vm, ready, "the vCPU is there");
	return vm;
}

static void end_receiver(struct vm *vm)
{
	stop = true;
	vm_join(vm);
	vm_destroy(vm);
}

TEST(restored_ldr_decides_who_gets_logical_ipis)
{
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_receiver(true);
	vcpu = &vm->vcpus[1];
	may_enable = true;
	send_logically(vm, 2, OURS_VECTOR);
	vm_wait(vm, vcpu->guest->irqs[OURS_VECTOR] == 1, "an IPI to its own LDR arrives");
	vcpu_pause(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	lapic_write(&lapic, APIC_LDR, 4U << 24);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
	vcpu_resume(vcpu);
	send_logically(vm, 2, NOBODYS_VECTOR);
	send_logically(vm, 4, OURS_VECTOR);
	vm_wait(vm, vcpu->guest->irqs[OURS_VECTOR] == 2, "an IPI to the restored LDR arrives");
	EXPECT_EQ(0, vcpu->guest->irqs[NOBODYS_VECTOR]);
	end_receiver(vm);
}

#define RTC_GSI		8

/* Pulses the RTC's line; returns false if KVM says that the last tick is still outstanding. */
static bool tick_rtc(struct vm *vm)
{
	struct kvm_irq_level up = { .irq = RTC_GSI, .level = 1 };
	struct kvm_irq_level down = { .irq = RTC_GSI };

	vm_ioctl(vm, KVM_IRQ_LINE_STATUS, &up);
	vm_ioctl(vm, KVM_IRQ_LINE, &down);
	return up.status > 0;
}

/* Routes the RTC to the IOAPIC only, because the PIC would influence the status of a tick. */
static void route_rtc(struct vm *vm, uint8_t vector)
{
	struct {
		struct kvm_irq_routing header;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.header = { .nr = 1 },
		.entry = {
			.gsi = RTC_GSI, .type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = RTC_GSI },
		},
	};
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	vm_ioctl(vm, KVM_SET_GSI_ROUTING, &routing.header);
	vm_ioctl(vm, KVM_GET_IRQCHIP, &chip);
	chip.chip.ioapic.redirtbl[RTC_GSI].bits = vector;
	vm_ioctl(vm, KVM_SET_IRQCHIP, &chip);
}

TEST(image_decides_whether_a_tick_of_the_rtc_is_outstanding)
{
	struct kvm_lapic_state with, without;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_receiver(false);
	vcpu = &vm->vcpus[0];
	route_rtc(vm, OURS_VECTOR);
	vcpu_pause(vcpu);
	EXPECT_TRUE(tick_rtc(vm));
	/* Move the tick to the IRR: KVM takes a tick that is only posted for an ended one. */
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &with);
	EXPECT_TRUE(lapic_bit(&with, APIC_IRR, OURS_VECTOR));
	EXPECT_FALSE(tick_rtc(vm));
	without = with;
	lapic_set(&without, APIC_IRR, OURS_VECTOR, false);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &without);
	EXPECT_TRUE(tick_rtc(vm));
	/* If the IOAPIC is restored before the APICs, it finds no tick outstanding. */
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &without);
	route_rtc(vm, OURS_VECTOR);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &with);
	EXPECT_FALSE(tick_rtc(vm));
	may_enable = true;
	vcpu_resume(vcpu);
	end_receiver(vm);
}

/* KVM_SET_LAPIC itself must make KVM look at the IRR, because nothing else does. */
TEST(image_alone_delivers_what_it_holds_while_inhibited)
{
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_receiver(false);
	vcpu = &vm->vcpus[0];
	may_enable = true;
	vcpu_pause(vcpu);
	hyperv_require(vcpu);
	hyperv_set_auto_eoi(vcpu, true);
	vcpu_resume(vcpu);
	EXPECT_FALSE(vcpu_is_accelerated(vcpu));
	vcpu_pause(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	lapic_set(&lapic, APIC_IRR, OURS_VECTOR, true);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
	vcpu_resume(vcpu);
	vm_wait(vm, vcpu->guest->irqs[OURS_VECTOR] == 1, "the image's interrupt is taken");
	end_receiver(vm);
}

/* Hardware holds the interrupt when KVM takes the APIC back, and nobody else tells KVM of it. */
TEST(pending_interrupt_is_delivered_after_an_inhibit)
{
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_receiver(false);
	vcpu = &vm->vcpus[0];
	EXPECT_EQ(accel_check()->active, vcpu_is_accelerated(vcpu));
	vm_send_msi(vm, 0, OURS_VECTOR);
	vcpu_pause(vcpu);
	hyperv_require(vcpu);
	hyperv_set_auto_eoi(vcpu, true);
	vcpu_resume(vcpu);
	may_enable = true;
	vm_wait(vm, vcpu->guest->irqs[OURS_VECTOR] == 1, "the pending interrupt is taken");
	EXPECT_FALSE(vcpu_is_accelerated(vcpu));
	end_receiver(vm);
}

/* ---- PPR, which follows from the image ---- */

#define STAYING_VECTOR	0x30

static volatile bool in_service;

static void staying_handler(struct guest_frame *frame)
{
	(void)frame;
	in_service = true;
	guest_wait(stop);
	apic_eoi();
}

static void staying_guest(uint64_t arg)
{
	(void)arg;
	irq_enable();
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | STAYING_VECTOR);
	guest_wait(stop);
}

TEST(ppr_of_a_second_vm_follows_the_isr_it_was_given)
{
	static struct vm_state saved;
	struct kvm_lapic_state lapic;
	struct vm *vm, *next;

	REQUIRE_EXPECTED_ACCELERATION();
	in_service = stop = false;
	guest_set_handler(STAYING_VECTOR, staying_handler);
	vm = vm_create(0);
	vm_add_vcpu(vm, 0, staying_guest, 0);
	vm_start(vm);
	vm_wait(vm, in_service, "the guest is in its handler");
	vm_pause(vm);
	vm_save(vm, &saved);
	EXPECT_EQ(STAYING_VECTOR & 0xf0, lapic_read(&saved.vcpus[0].lapic, APIC_PPR));
	next = vm_create_like(vm);
	vm_destroy(vm);
	vm_restore(next, &saved);
	vcpu_ioctl(&next->vcpus[0], KVM_GET_LAPIC, &lapic);
	stop = true;
	vm_resume(next);
	vm_join(next);
	vm_destroy(next);
	if (ppr_is_known_to_be_wrong() && !lapic_read(&lapic, APIC_PPR))
		EXPECTED_FAILURE(return, "stock KVM: PPR is computed before ISR is known");
	EXPECT_EQ(STAYING_VECTOR & 0xf0, lapic_read(&lapic, APIC_PPR));
}

TEST_MAIN(40)
