// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs that change the mode of their APIC while others send to them, VMs whose vCPUs are in
 * different modes, and MSR filters: no IPI may be lost, and acceleration must come back.
 */
#include "lib/modes.h"

#include "lib/guest_msr.h"
#include "lib/roles.h"
#include "lib/stats.h"
#include "lib/traffic.h"

#define VECTOR		0x73
#define TARGET		1

static volatile bool pause_wanted, pausing;
static volatile uint32_t stage, stage_allowed;

static void switching_sender(uint64_t x2apic)
{
	struct guest_cpu *target = &guest_cpus[TARGET];
	uint32_t sent = 0;

	if (x2apic)
		apic_set_mode_x2apic();
	irq_enable();
	while (!roles_finished) {
		if (pause_wanted) {
			pausing = true;
			guest_wait(!pause_wanted || roles_finished);
			pausing = false;
			continue;
		}
		sent++;
		apic_send_fixed(target->apic_id, VECTOR);
		guest_wait(target->irqs[VECTOR] == sent);
		/* Often longer than the end of the handler, or the target does nothing else. */
		guest_delay(guest_random() & 0x7fff);
	}
}

static void take_ipis(uint32_t more)
{
	struct guest_cpu *self = guest_self();
	uint32_t before = self->irqs[VECTOR];

	guest_wait(self->irqs[VECTOR] >= before + more);
}

/* IPIs may be on their way: they must survive. */
static void to_x2apic(void)
{
	irq_disable();
	apic_set_mode_x2apic();
	irq_enable();
}

/* A disabled APIC correctly takes nothing, so the sender pauses. */
static void through_disabled_to_xapic(void)
{
	/* There is no direct way. */
	GUEST_ASSERT(!msr_try_write(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) & ~APIC_BASE_X2APIC));
	pause_wanted = true;
	guest_wait(pausing);
	irq_disable();
	apic_disable();
	guest_delay(guest_random() & 0xfff);
	apic_set_mode_xapic();
	irq_enable();
	pause_wanted = false;
	guest_wait(!pausing);
}

static void switching_target(uint64_t count)
{
	irq_enable();
	role_set_ready();
	while (count--) {
		take_ipis(5);
		to_x2apic();
		take_ipis(5);
		through_disabled_to_xapic();
	}
	take_ipis(5);
	stage = 1;
	guest_wait(stage_allowed == 2);
	to_x2apic();
	take_ipis(5);
	stage = 2;
	role_wait_finished();
}

/* The mode of the tests' variant is that of the sender. */
TEST_F(guest, no_ipi_is_lost_when_the_target_changes_its_mode)
{
	struct vm *vm = vm_create(0);
	bool accelerated, known;
	struct vcpu *target;

	roles_begin();
	guest_msr_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	pause_wanted = pausing = false;
	stage = 0;
	stage_allowed = 1;
	vm_add_vcpu(vm, 0, switching_sender, mode);
	target = vm_add_vcpu(vm, TARGET, switching_target, rounds);
	vm_start_held(vm, 1U << 0);
	vm_wait(vm, role_is_ready(target), "the target runs");
	vcpu_resume(&vm->vcpus[0]);
	/*
	 * Where x2APIC mode is not accelerated, KVM has removed the APIC page for ever, since
	 * hardware would still redirect accesses to it.  So xAPIC mode is not accelerated, either.
	 */
	vm_wait(vm, stage == 1, "the target has changed its mode");
	/*
	 * Back in xAPIC mode, it has a logical ID beside the sender's of x2APIC mode: AVIC is off, but
	 * on stock 6.1, which does not know this inhibit.
	 */
	accelerated = vcpu_is_accelerated(target);
	known = mode && accel_is_avic() && accelerated && stock_before(6, 12);
	if (!known)
		EXPECT_EQ(accel_expected(true) && !(mode && accel_is_avic()), accelerated);
	stage_allowed = 2;
	vm_wait(vm, stage == 2, "the target is in x2APIC mode");
	EXPECT_EQ(accel_expected(true), vcpu_is_accelerated(target));
	EXPECT_EQ(accel_expected(true), vcpu_is_accelerated(&vm->vcpus[0]));
	/* The target must not end while an IPI is on its way. */
	pause_wanted = true;
	vm_wait(vm, pausing, "the last IPI is handled");
	roles_finish(vm);
	if (known && _metadata->exit_code != KSFT_FAIL)
		EXPECTED_FAILURE(return, "stock KVM: logical IDs of both modes do not inhibit");
}

static void let_traffic_flow(struct vm *vm, uint64_t more)
{
	uint64_t before = traffic_handled();

	while (traffic_handled() < before + more) {
		traffic_check(vm);
		sleep_us(200);
	}
}

/* Unicast, logical and to all others; @set: a bit for each vCPU in x2APIC mode. */
static void run_mixed(unsigned int vcpus, uint32_t set)
{
	struct vm *vm = vm_create(0);

	traffic_begin(vm, vcpus);
	traffic_to_x2apic = set;
	vm_start(vm);
	let_traffic_flow(vm, rounds * 80);
	traffic_end(vm);
	NOTE("%llu IPIs handled\n", (unsigned long long)traffic_handled());
	vm_destroy(vm);
}

TEST(no_ipi_is_lost_among_vcpus_in_different_modes)
{
	REQUIRE_EXPECTED_ACCELERATION();
	MAY_MISS_SLEEPERS();
	run_mixed(4, 0xa);
}

TEST(no_ipi_is_lost_when_one_vcpu_alone_is_in_x2apic_mode)
{
	REQUIRE_EXPECTED_ACCELERATION();
	MAY_MISS_SLEEPERS();
	run_mixed(4, 0x1);
}

/* ---- MSR filters ---- */

#define TRAFFIC_VCPUS	3
#define MSR_MISC_ENABLE	0x1a0

static volatile uint32_t asked, answered;
static volatile bool x2apic_refused, other_refused;

static void filtered_guest(uint64_t arg)
{
	uint64_t value;

	(void)arg;
	irq_enable();
	while (!roles_finished) {
		if (asked != answered) {
			x2apic_refused = !msr_try_read(MSR_X2APIC + (APIC_ID >> 4), &value) ||
					 !msr_try_write(MSR_X2APIC + (APIC_TPR >> 4), 0);
			other_refused = !msr_try_read(MSR_MISC_ENABLE, &value);
			answered = asked;
		}
		guest_poll();
	}
}

/* Sets a filter that denies all MSRs, those of the APIC also by a range of their own, or none. */
static void set_filter(struct vm *vm, bool deny)
{
	static uint8_t none[0x100 / 8];
	struct kvm_msr_filter filter = {
		.flags = deny ? KVM_MSR_FILTER_DEFAULT_DENY : KVM_MSR_FILTER_DEFAULT_ALLOW,
	};

	if (deny)
		filter.ranges[0] = (struct kvm_msr_filter_range){
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.base = MSR_X2APIC, .nmsrs = 0x100, .bitmap = none,
		};
	vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
}

/* KVM documents that filters do not concern the MSRs of x2APIC mode. */
TEST(msr_filter_leaves_x2apic_msrs_and_acceleration_alone)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	MAY_MISS_SLEEPERS();
	vm = vm_create(VM_X2APIC);
	traffic_begin(vm, TRAFFIC_VCPUS);
	traffic_alone = false;
	roles_begin();
	guest_msr_begin();
	asked = answered = 0;
	vm_add_vcpu(vm, TRAFFIC_VCPUS, filtered_guest, 0);
	vm_start(vm);
	for (uint32_t i = 0; i < rounds * 2; i++) {
		bool deny = i % 2;

		set_filter(vm, deny);
		let_traffic_flow(vm, 20);
		asked++;
		vm_wait(vm, answered == asked, "the guest accesses MSRs");
		EXPECT_FALSE(x2apic_refused);
		EXPECT_EQ(deny, other_refused);
		EXPECT_EQ(accel_expected(true), vcpu_is_accelerated(&vm->vcpus[0]));
		EXPECT_EQ(accel_expected(true), vcpu_is_accelerated(&vm->vcpus[TRAFFIC_VCPUS]));
	}
	roles_finished = true;
	traffic_end(vm);
	vm_destroy(vm);
}

static volatile bool may_switch, switched;

static void mode_changer(uint64_t arg)
{
	(void)arg;
	/* The TLB now has the page of the registers. */
	apic_read(APIC_TPR);
	role_set_ready();
	guest_wait(may_switch);
	apic_set_mode_x2apic();
	switched = true;
	role_wait_finished();
}

/*
 * In x2APIC mode the page of the registers is memory as any other, so what the TLB has of it in
 * xAPIC mode must go.  Stock 6.1 does that in the other direction only.  The emulated host has
 * nothing in its TLB after an exit, so this asks whether KVM flushes it, not what is in it.
 */
TEST(tlb_forgets_the_register_page_when_x2apic_mode_begins)
{
	uint64_t flushes;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	roles_begin();
	may_switch = switched = false;
	vm = vm_create(0);
	vcpu = vm_add_vcpu(vm, 0, mode_changer, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	flushes = vcpu_stat(vcpu, "tlb_flush");
	may_switch = true;
	vm_wait(vm, switched, "the guest is in x2APIC mode");
	flushes = vcpu_stat(vcpu, "tlb_flush") - flushes;
	EXPECT_EQ(accel_expected(true), vcpu_is_accelerated(vcpu));
	roles_finish(vm);
	/* On Intel the accesses are not to a page, and without x2AVIC that page is removed. */
	if (!accel_is_avic() || !accel_expected(true))
		return;
	if (!flushes && stock_before(6, 12))
		EXPECTED_FAILURE(return, "stock KVM: the TLB is not flushed");
	EXPECT_LT(0, flushes);
}

TEST_MAIN(5)
