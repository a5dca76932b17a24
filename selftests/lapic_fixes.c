// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where stock KVM does not leave a local APIC as the manuals or its own interface say, with
 * acceleration or without: reported there as an expected failure.
 */
#include "lib/test.h"

#include "lib/lapic.h"
#include "lib/roles.h"

#define VECTOR		0x57
#define TIMER_VECTOR	0x67

static void set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = {
		.header = { .nmsrs = 1 },
		.entry = { .index = index, .data = value },
	};

	if (vcpu_ioctl(vcpu, KVM_SET_MSRS, &msrs) != 1)
		vm_fail(vcpu->vm, "KVM refuses MSR %x", index);
}

static void set_apic_msr(struct vcpu *vcpu, uint32_t reg, uint32_t value)
{
	set_msr(vcpu, MSR_X2APIC + (reg >> 4), value);
}

/* ---- INIT ---- */

static volatile bool init_wanted, init_sent, later_wanted;
static volatile uint32_t timer_count;

/* Divided by 2, of a clock of 1 GHz. */
static void arm_oneshot(uint32_t count)
{
	apic_write(APIC_TDCR, 0);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR | APIC_TIMER_ONESHOT);
	apic_write(APIC_TMICT, count);
}

/* Sends an INIT to vCPU 1, later takes an interrupt of its own timer. */
static void commander(uint64_t arg)
{
	(void)arg;
	irq_enable();
	guest_wait(init_wanted);
	apic_send(1, ICR_INIT | ICR_ASSERT);
	init_sent = true;
	guest_wait(later_wanted);
	arm_oneshot(2 * timer_count);
	role_wait_finished();
}

/* A vCPU with an ICR in use and a running timer, which an INIT interrupts. */
static void interrupted(uint64_t arg)
{
	(void)arg;
	irq_enable();
	apic_send_fixed(1, VECTOR);
	guest_wait(guest_self()->irqs[VECTOR] == 1);
	irq_disable();
	arm_oneshot(timer_count);
	role_set_ready();
	guest_wait(false);
}

static struct vm *begin_init(uint32_t count)
{
	struct kvm_mp_state mp;
	struct vm *vm;

	roles_begin();
	init_wanted = init_sent = later_wanted = false;
	timer_count = count;
	guest_set_handler(VECTOR, guest_count_irq);
	guest_set_handler(TIMER_VECTOR, guest_count_irq);
	vm = vm_create(VM_X2APIC);
	vm_add_vcpu(vm, 0, commander, 0);
	vm_add_vcpu(vm, 1, interrupted, 0);
	vm_start(vm);
	roles_wait_ready(vm, 1);
	init_wanted = true;
	vm_wait(vm, init_sent, "the INIT is sent");
	vcpu_pause(&vm->vcpus[1]);
	vcpu_ioctl(&vm->vcpus[1], KVM_GET_MP_STATE, &mp);
	if (mp.mp_state != KVM_MP_STATE_INIT_RECEIVED)
		vm_fail(vm, "vCPU 1 is in state %u, not waiting for its SIPI", mp.mp_state);
	return vm;
}

TEST(init_clears_all_of_the_icr)
{
	struct kvm_lapic_state lapic;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_init(0);
	vcpu_ioctl(&vm->vcpus[1], KVM_GET_LAPIC, &lapic);
	vm_destroy(vm);
	EXPECT_EQ(0, lapic_read(&lapic, APIC_ICR));
	if (lapic_read(&lapic, APIC_ICR_HIGH) && !vapic_takes_over("kvm_lapic_reset"))
		EXPECTED_FAILURE(return, "stock KVM: INIT leaves the destination in the ICR");
	EXPECT_EQ(0, lapic_read(&lapic, APIC_ICR_HIGH));
}

/*
 * The vector is opened again before the time of the old count is over, with no new count:
 * nothing may come of it. All of it is over when a later timer of another vCPU has fired.
 */
TEST(timer_that_an_init_stopped_stays_silent)
{
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;
	struct vm *vm;
	bool fired;

	REQUIRE_EXPECTED_ACCELERATION();
	/* 100 ms */
	vm = begin_init(50000000);
	vcpu = &vm->vcpus[1];
	set_apic_msr(vcpu, APIC_SPIV, APIC_SPIV_ENABLE | 0xff);
	set_apic_msr(vcpu, APIC_LVT_TIMER, TIMER_VECTOR | APIC_TIMER_ONESHOT);
	vcpu_resume(vcpu);
	later_wanted = true;
	vm_wait(vm, guest_cpus[0].irqs[TIMER_VECTOR] == 1, "the later timer fires");
	vcpu_pause(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	fired = lapic_bit(&lapic, APIC_IRR, TIMER_VECTOR);
	EXPECT_EQ(0, lapic_read(&lapic, APIC_TMICT));
	vm_destroy(vm);
	if (fired && !vapic_takes_over("kvm_lapic_reset"))
		EXPECTED_FAILURE(return, "stock KVM: INIT leaves the preemption timer running");
	EXPECT_FALSE(fired);
}

TEST_MAIN(20)
