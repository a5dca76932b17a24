// SPDX-License-Identifier: GPL-2.0-only
/*
 * INIT and SIPI that are on their way while a VM is saved: a second VM must carry them out as
 * the first VM would have, in xAPIC and in x2APIC mode.
 */
#include "lib/test.h"

#include "lib/state_check.h"

static struct vm_state saved;
static volatile bool stop;

/* Real mode code at two places, so that the test can tell where a vCPU was started. */
#define FIRST_PAGE	8
#define PAGES		2
#define STARTED_PORT	0xa2

static uint8_t real_mode_pages[PAGES][4096] __attribute__((aligned(4096)));
static volatile uint32_t icr_wanted;
static volatile unsigned int started_at;

/* vCPU 0 sends the IPIs that the host requests to vCPU 1. */
static void commander(uint64_t arg)
{
	(void)arg;
	while (!stop) {
		if (icr_wanted) {
			apic_send(1, icr_wanted);
			full_barrier();
			icr_wanted = 0;
		}
		guest_poll();
	}
}

static void bystander(uint64_t arg)
{
	(void)arg;
	guest_wait(stop);
}

static void command(struct vm *vm, uint32_t low)
{
	icr_wanted = low | ICR_ASSERT;
	vm_wait(vm, !icr_wanted, "the IPI is sent");
}

static bool on_exit_started(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason != KVM_EXIT_IO || run->io.port != STARTED_PORT)
		return false;
	started_at = *((uint8_t *)run + run->io.data_offset);
	return true;
}

static void add_real_mode_pages(struct vm *vm)
{
	struct kvm_userspace_memory_region memory = {
		.slot = 1, .guest_phys_addr = FIRST_PAGE << 12,
		.memory_size = sizeof(real_mode_pages),
		.userspace_addr = (uint64_t)real_mode_pages,
	};

	for (unsigned int i = 0; i < PAGES; i++) {
		/* mov $page, %al; out %al, $port; hlt; jmp to the hlt */
		const uint8_t code[] = { 0xb0, FIRST_PAGE + i, 0xe6, STARTED_PORT, 0xf4, 0xeb, 0xfd };

		memcpy(real_mode_pages[i], code, sizeof(code));
	}
	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory);
}

static struct vm *begin_startup(unsigned int options)
{
	struct vm *vm = vm_create(options);

	stop = false;
	icr_wanted = 0;
	started_at = 0;
	vm->on_exit = on_exit_started;
	add_real_mode_pages(vm);
	vm_add_vcpu(vm, 0, commander, 0);
	vm_add_vcpu(vm, 1, bystander, 0);
	vm_start(vm);
	return vm;
}

/*
 * Restores the saved state into a second VM and checks that it reads back.  The vCPUs of the second
 * VM are still paused.
 */
static struct vm *move_on(struct vm *vm)
{
	static struct vm_state now;
	struct vm *next = vm_create_like(vm);

	add_real_mode_pages(next);
	vm_destroy(vm);
	vm_restore(next, &saved);
	vm_save(next, &now);
	for (unsigned int i = 0; i < next->vcpu_count; i++) {
		expect_same(next, i, "the activity state", saved.vcpus[i].mp.mp_state,
			    now.vcpus[i].mp.mp_state);
		expect_same(next, i, "SMM", saved.vcpus[i].events.smi.smm,
			    now.vcpus[i].events.smi.smm);
		expect_same(next, i, "the latched INIT", saved.vcpus[i].events.smi.latched_init,
			    now.vcpus[i].events.smi.latched_init);
		expect_same(next, i, "RIP", saved.vcpus[i].regs.rip, now.vcpus[i].regs.rip);
		expect_same(next, i, "CS", saved.vcpus[i].sregs.cs.base,
			    now.vcpus[i].sregs.cs.base);
	}
	return next;
}

static uint32_t mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state mp;

	vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &mp);
	return mp.mp_state;
}

/* vCPU 1 gets an INIT and is saved while it waits for its SIPI. */
static struct vm *save_waiting_for_sipi(unsigned int options)
{
	struct vm *vm = begin_startup(options);

	command(vm, ICR_INIT);
	vm_pause(vm);
	vm_save(vm, &saved);
	expect_same(vm, 1, "INIT", KVM_MP_STATE_INIT_RECEIVED, saved.vcpus[1].mp.mp_state);
	return vm;
}

static void expect_start(struct vm *vm, unsigned int page)
{
	vm_wait(vm, started_at == page, "vCPU 1 starts where its SIPI says");
	vm_destroy(vm);
}

static void wait_for_sipi(unsigned int options)
{
	struct vm *vm = move_on(save_waiting_for_sipi(options));

	vm_resume(vm);
	command(vm, ICR_STARTUP | (FIRST_PAGE + 1));
	expect_start(vm, FIRST_PAGE + 1);
}

TEST(vcpu_that_waits_for_its_sipi_waits_on_in_a_second_vm)
{
	REQUIRE_EXPECTED_ACCELERATION();
	wait_for_sipi(0);
	wait_for_sipi(VM_X2APIC);
}

static void pending_sipi(unsigned int options)
{
	struct vm *vm = save_waiting_for_sipi(options);

	/* The SIPI arrives while vCPU 1 is paused, so only the save can process it. */
	vcpu_resume(&vm->vcpus[0]);
	command(vm, ICR_STARTUP | FIRST_PAGE);
	vm_pause(vm);
	vm_save(vm, &saved);
	expect_same(vm, 1, "a SIPI", KVM_MP_STATE_RUNNABLE, saved.vcpus[1].mp.mp_state);
	expect_same(vm, 1, "the SIPI's vector", FIRST_PAGE << 12, saved.vcpus[1].sregs.cs.base);
	vm = move_on(vm);
	vm_resume(vm);
	expect_start(vm, FIRST_PAGE);
}

TEST(sipi_that_came_before_the_save_starts_the_vcpu_of_a_second_vm)
{
	REQUIRE_EXPECTED_ACCELERATION();
	pending_sipi(0);
	pending_sipi(VM_X2APIC);
}

static void given_sipi(unsigned int options)
{
	struct vm *vm = save_waiting_for_sipi(options), *next = vm_create_like(vm);

	add_real_mode_pages(next);
	vm_destroy(vm);
	saved.vcpus[1].events.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	saved.vcpus[1].events.sipi_vector = FIRST_PAGE + 1;
	saved.vcpus[1].mp.mp_state = KVM_MP_STATE_SIPI_RECEIVED;
	vm_restore(next, &saved);
	vm_resume(next);
	expect_start(next, FIRST_PAGE + 1);
}

TEST(restored_pending_sipi_starts_the_vcpu)
{
	REQUIRE_EXPECTED_ACCELERATION();
	given_sipi(0);
	given_sipi(VM_X2APIC);
}

#define ICR_REMOTE_READ	(3U << 8)

/*
 * KVM interprets a remote read as its paravirtual kick, which makes the next HLT end at once. A
 * kick from before the INIT must not affect the code that the vCPU runs after its SIPI.
 */
TEST(kick_from_before_an_init_does_not_end_a_later_halt)
{
	struct vcpu *vcpu;
	uint64_t halts;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_startup(0);
	vcpu = &vm->vcpus[1];
	command(vm, ICR_REMOTE_READ);
	command(vm, ICR_INIT);
	command(vm, ICR_STARTUP | FIRST_PAGE);
	vm_wait(vm, started_at == FIRST_PAGE, "vCPU 1 starts");
	vm_wait(vm, vcpu_is_blocked(vcpu), "vCPU 1 is halted");
	halts = vcpu_stat(vcpu, "halt_exits");
	vm_destroy(vm);
	if (halts == 2 && !vapic_takes_over("kvm_apic_accept_events"))
		EXPECTED_FAILURE(return, "stock KVM: a kick outlives the INIT after it");
	EXPECT_EQ(1, halts);
}

static void set_smm(struct vcpu *vcpu, bool on)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags |= KVM_VCPUEVENT_VALID_SMM;
	events.smi.smm = on;
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
}

/* In SMM an INIT must wait, and a SIPI without a preceding INIT is ignored. */
static void latched_init(unsigned int options)
{
	struct vm *vm = begin_startup(options);

	vcpu_pause(&vm->vcpus[1]);
	set_smm(&vm->vcpus[1], true);
	command(vm, ICR_INIT);
	command(vm, ICR_STARTUP | FIRST_PAGE);
	vm_pause(vm);
	vm_save(vm, &saved);
	expect_same(vm, 1, "a latched INIT", 1, saved.vcpus[1].events.smi.latched_init);
	expect_same(vm, 1, "the state in SMM", KVM_MP_STATE_RUNNABLE,
		    saved.vcpus[1].mp.mp_state);
	vm = move_on(vm);
	set_smm(&vm->vcpus[1], false);
	expect_same(vm, 1, "the INIT after SMM", KVM_MP_STATE_INIT_RECEIVED,
		    mp_state(&vm->vcpus[1]));
	vm_resume(vm);
	command(vm, ICR_STARTUP | (FIRST_PAGE + 1));
	expect_start(vm, FIRST_PAGE + 1);
}

TEST(init_latched_in_smm_is_kept_and_the_sipi_dropped)
{
	REQUIRE_EXPECTED_ACCELERATION();
	latched_init(0);
	latched_init(VM_X2APIC);
}

TEST_MAIN(40)
