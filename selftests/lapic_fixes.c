// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cases in which stock KVM leaves a local APIC in another state than the manuals or KVM's own
 * interface say, with or without acceleration: an expected failure on stock. Also tests how guests
 * control their APIC through guest memory, by the EOI flag and by KVM_SET_VAPIC_ADDR.
 */
#include "lib/test.h"

#include "lib/hyperv.h"
#include "lib/lapic.h"
#include "lib/roles.h"

#define VECTOR		0x57
#define TIMER_VECTOR	0x67
#define MSR_PV_EOI	0x4b564d04

static void set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = {
		.header = { .nmsrs = 1 },
		.entry = { .index = index, .data = value },
	};

	if (vcpu_ioctl(vcpu, KVM_SET_MSRS, &msrs.header) != 1)
		vm_fail(vcpu->vm, "KVM refuses MSR %x", index);
}

static void set_apic_msr(struct vcpu *vcpu, uint32_t reg, uint32_t value)
{
	set_msr(vcpu, MSR_X2APIC + (reg >> 4), value);
}

/* ---- INIT ---- */

static volatile bool init_wanted, init_sent, later_wanted;
static volatile uint32_t timer_count;

/* A clock of 1 GHz, divided by 2. */
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
 * The guest unmasks the vector again before the old count has expired, without a new count: no
 * interrupt may follow. The test ends when a later timer of another vCPU has fired.
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

/* ---- an inhibit while the APIC is disabled ---- */

static volatile bool accelerated, apic_disabled, inhibited, went_on, entry_failed;

/*
 * While inhibited, the guest has an interrupt pending that its task priority holds; on Intel, KVM
 * sets a TPR threshold for that. The guest lowers its task priority while no threshold is in use.
 */
static void disabling_guest(uint64_t arg)
{
	(void)arg;
	irq_enable();
	apic_write(APIC_TPR, 0x60);
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | VECTOR);
	role_set_ready();
	guest_wait(accelerated);
	apic_write(APIC_TPR, 0);
	guest_wait(guest_self()->irqs[VECTOR] == 1);
	apic_write(APIC_SPIV, 0xff);
	apic_disabled = true;
	guest_wait(inhibited);
	went_on = true;
	role_wait_finished();
}

static bool note_failed_entry(struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason != KVM_EXIT_FAIL_ENTRY)
		return false;
	entry_failed = true;
	/* The next entry will fail again, so wait a little. */
	sleep_us(1000);
	return true;
}

static void set_inhibit(struct vcpu *vcpu, bool on)
{
	vcpu_pause(vcpu);
	hyperv_set_auto_eoi(vcpu, on);
	vcpu_resume(vcpu);
}

TEST(guest_with_a_disabled_apic_goes_on_when_inhibited)
{
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	roles_begin();
	accelerated = apic_disabled = inhibited = went_on = entry_failed = false;
	guest_set_handler(VECTOR, guest_count_irq);
	vm = vm_create(VM_X2APIC);
	vm->on_exit = note_failed_entry;
	vcpu = vm_add_vcpu(vm, 0, disabling_guest, 0);
	hyperv_require(vcpu);
	hyperv_set_auto_eoi(vcpu, true);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	set_inhibit(vcpu, false);
	accelerated = true;
	vm_wait(vm, apic_disabled, "the guest has disabled its APIC");
	set_inhibit(vcpu, true);
	inhibited = true;
	vm_wait(vm, went_on || entry_failed, "the guest goes on");
	if (entry_failed) {
		vm_destroy(vm);
		if (!vapic_takes_over("vmx_refresh_apicv_exec_ctrl"))
			EXPECTED_FAILURE(return, "stock KVM: an old threshold of TPR fails the entry");
	} else {
		roles_finish(vm);
	}
	EXPECT_FALSE(entry_failed);
}

/* ---- the guest's own memory ---- */

/*
 * The address where KVM finds the page, and where a vCPU starts in real mode; the guest also
 * always has the page in the program's image.
 */
#define PAGE_ADDRESS	0x20000

static volatile uint8_t page[4096] __attribute__((aligned(4096)));
static volatile uint32_t in_service, may_leave, left;

static void map_page(struct vm *vm, bool on)
{
	struct kvm_userspace_memory_region memory = {
		.slot = 2, .guest_phys_addr = PAGE_ADDRESS,
		.memory_size = on ? sizeof(page) : 0,
		.userspace_addr = (uint64_t)page,
	};

	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory);
}

/* These tests are about KVM's own code, so acceleration by hardware is inhibited. */
static struct vm *begin_inhibited(unsigned int options, void (*guest)(uint64_t), uint64_t arg)
{
	struct vm *vm = vm_create(options);

	roles_begin();
	memset((void *)page, 0, sizeof(page));
	in_service = may_leave = left = 0;
	vm_add_vcpu(vm, 0, guest, arg);
	if (hyperv_add(&vm->vcpus[0]))
		hyperv_set_auto_eoi(&vm->vcpus[0], true);
	map_page(vm, true);
	return vm;
}

/* In real mode: writes to a port, again and again. */
#define RESTART_PORT	0x99
static const uint8_t restart_code[] = { 0xe6, RESTART_PORT, 0xeb, 0xfc };
static volatile bool restarted;

/* An interrupt is pending that the vCPU's task priority holds. */
static void role_with_held_interrupt(uint64_t arg)
{
	(void)arg;
	irq_enable();
	apic_write(APIC_TPR, 0x60);
	apic_send(1, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | VECTOR);
	role_set_ready();
	guest_wait(false);
}

/* Restarts vCPU 1. */
static void starter(uint64_t arg)
{
	(void)arg;
	guest_wait(init_wanted);
	apic_send(1, ICR_INIT | ICR_ASSERT);
	apic_send(1, ICR_STARTUP | ICR_ASSERT | PAGE_ADDRESS >> 12);
	role_wait_finished();
}

static bool note_restart(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason != KVM_EXIT_IO || run->io.port != RESTART_PORT)
		return note_failed_entry(vcpu);
	restarted = true;
	/* The port is written again at once, so wait a little. */
	sleep_us(1000);
	return true;
}

/*
 * While the VM is inhibited, KVM sets a TPR threshold on Intel for the interrupt that is held.
 * INIT clears the task priority and disables the APIC: the threshold must not stay.
 */
TEST(vcpu_that_an_init_restarts_goes_on_when_inhibited)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	init_wanted = restarted = entry_failed = false;
	vm = begin_inhibited(VM_X2APIC, starter, 0);
	vm->on_exit = note_restart;
	vm_add_vcpu(vm, 1, role_with_held_interrupt, 0);
	memcpy((void *)page, restart_code, sizeof(restart_code));
	vm_start(vm);
	roles_wait_ready(vm, 1);
	init_wanted = true;
	vm_wait(vm, restarted || entry_failed, "vCPU 1 restarts");
	vm_destroy(vm);
	if (entry_failed && stock_before(6, 12))
		EXPECTED_FAILURE(return, "stock KVM: an old threshold of TPR fails the entry");
	EXPECT_FALSE(entry_failed);
}

/* Of the class of VECTOR, whose handler holds it back, as the task priority does. */
#define HELD_VECTOR	0x53

static void priority_handler(struct guest_frame *frame)
{
	(void)frame;
	apic_write(APIC_TPR, 0x60);
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | HELD_VECTOR);
	apic_write(APIC_TPR, 0);
	went_on = true;
	apic_eoi();
}

static void guest_of_priorities(uint64_t arg)
{
	(void)arg;
	irq_enable();
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | VECTOR);
	guest_wait(guest_self()->irqs[HELD_VECTOR] == 1);
	role_set_ready();
	role_wait_finished();
}

/*
 * On Intel the processor tells KVM when TPR falls below a threshold.  What is in service holds the
 * pending interrupt nevertheless, so there is nothing to inject; but the threshold must fall, too.
 */
TEST(task_priority_may_fall_in_a_handler_when_inhibited)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	went_on = entry_failed = false;
	guest_set_handler(VECTOR, priority_handler);
	guest_set_handler(HELD_VECTOR, guest_count_irq);
	vm = begin_inhibited(VM_X2APIC, guest_of_priorities, 0);
	vm->on_exit = note_failed_entry;
	vm_start(vm);
	vm_wait(vm, went_on || entry_failed, "the guest lowers its priority");
	if (!entry_failed) {
		roles_wait_ready(vm, 0);
		roles_finish(vm);
	} else if (stock_before(6, 12)) {
		EXPECTED_FAILURE(return, "stock KVM: an old threshold of TPR fails the entry");
	}
	EXPECT_FALSE(entry_failed);
}

static volatile uint32_t flags_taken;

/* Signals EOI as Linux does: by clearing the flag if KVM has set it. */
static void flag_handler(struct guest_frame *frame)
{
	(void)frame;
	in_service++;
	if (__atomic_exchange_n(page, 0, __ATOMIC_SEQ_CST) & 1)
		flags_taken++;
	else
		apic_eoi();
}

/* The next interrupt of the same class arrives only if the EOI has taken effect. */
static void flag_guest(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | VECTOR);
		guest_wait(in_service == i);
	}
	role_set_ready();
	role_wait_finished();
}

TEST(eoi_by_a_flag_in_memory_ends_the_interrupt)
{
	struct kvm_lapic_state lapic;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	guest_set_handler(VECTOR, flag_handler);
	flags_taken = 0;
	vm = begin_inhibited(0, flag_guest, rounds);
	set_msr(&vm->vcpus[0], MSR_PV_EOI, PAGE_ADDRESS | 1);
	vm_start(vm);
	vm_wait(vm, role_is_ready(&vm->vcpus[0]), "every interrupt is taken");
	vcpu_pause(&vm->vcpus[0]);
	vcpu_ioctl(&vm->vcpus[0], KVM_GET_LAPIC, &lapic);
	EXPECT_EQ(-1, lapic_highest(&lapic, APIC_ISR));
	vcpu_resume(&vm->vcpus[0]);
	roles_finish(vm);
	EXPECT_LT(0, flags_taken);
	NOTE("%u of %u by the flag\n", flags_taken, rounds);
}

/* Does not use PAUSE, because that may exit, and KVM handles the flag at each exit. */
static void staying_handler(struct guest_frame *frame)
{
	(void)frame;
	in_service++;
	while (may_leave < in_service)
		barrier();
	apic_eoi();
	left++;
}

/*
 * The guest is in its handler, the flag is set, and the page with the flag is removed. Then KVM
 * cannot tell whether the guest has cleared the flag; the guest has not.
 */
TEST(interrupt_goes_on_when_the_memory_of_its_flag_is_gone)
{
	uint32_t seen = 0, ended = 0;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	guest_set_handler(VECTOR, staying_handler);
	vm = begin_inhibited(0, role_spinner, 0);
	vcpu = &vm->vcpus[0];
	set_msr(vcpu, MSR_PV_EOI, PAGE_ADDRESS | 1);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	for (uint32_t i = 2; i <= 2 * rounds; i += 2) {
		struct kvm_lapic_state lapic;
		bool set;

		/* Run the handler once, because it may exit for memory that is not mapped yet. */
		may_leave = i - 1;
		vm_send_msi(vm, 0, VECTOR);
		vm_wait(vm, left == i - 1, "the guest has been in its handler");
		vm_send_msi(vm, 0, VECTOR);
		vm_wait(vm, in_service == i, "the guest is in its handler");
		map_page(vm, false);
		/* If it is clear, the guest has exited before, and KVM has cleared the flag. */
		set = page[0] & 1;
		vcpu_pause(vcpu);
		vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
		seen += set;
		ended += !lapic_bit(&lapic, APIC_ISR, VECTOR);
		map_page(vm, true);
		may_leave = i;
		vcpu_resume(vcpu);
		vm_wait(vm, left == i, "the guest has left its handler");
	}
	roles_finish(vm);
	NOTE("the flag was set %u times of %u\n", seen, rounds);
	if (ended && !vapic_takes_over("kvm_lapic_sync_from_vapic"))
		EXPECTED_FAILURE(return, "stock KVM: a flag that it cannot read is an EOI");
	EXPECT_EQ(0, ended);
}

#define WORD_OFFSET	0x100

/* Sets the task priority as a byte in memory, which KVM copies to the APIC at the next exit. */
static void word_guest(uint64_t arg)
{
	(void)arg;
	*(volatile uint32_t *)(page + WORD_OFFSET) = 0x50;
	role_set_ready();
	role_wait_finished();
}

TEST(task_priority_in_memory_becomes_that_of_the_apic)
{
	struct kvm_vapic_addr address = { .vapic_addr = PAGE_ADDRESS + WORD_OFFSET };
	const volatile uint32_t *word = (const volatile uint32_t *)(page + WORD_OFFSET);
	struct kvm_lapic_state lapic;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_inhibited(0, word_guest, 0);
	vcpu_ioctl(&vm->vcpus[0], KVM_SET_VAPIC_ADDR, &address);
	vm_start(vm);
	vm_wait(vm, role_is_ready(&vm->vcpus[0]), "the guest has set its priority");
	vcpu_pause(&vm->vcpus[0]);
	vcpu_ioctl(&vm->vcpus[0], KVM_GET_LAPIC, &lapic);
	EXPECT_EQ(0x50, lapic_read(&lapic, APIC_TPR));
	EXPECT_EQ(0x50, lapic_read(&lapic, APIC_PPR));
	/* The other direction: KVM writes TPR and the vectors in service and pending to memory. */
	lapic_write(&lapic, APIC_TPR, 0x61);
	lapic_set(&lapic, APIC_ISR, 0x35, true);
	lapic_set(&lapic, APIC_IRR, 0x46, true);
	lapic_set(&lapic, APIC_IRR, VECTOR, true);
	vcpu_ioctl(&vm->vcpus[0], KVM_SET_LAPIC, &lapic);
	vcpu_resume(&vm->vcpus[0]);
	vm_wait(vm, *word == (VECTOR << 24 | 0x3061), "the guest sees the priorities");
	roles_finish(vm);
}

TEST_MAIN(20)
