// SPDX-License-Identifier: GPL-2.0-only
/*
 * NMIs, INITs and SIPIs mixed with IPIs: each NMI and each IPI to a vCPU that runs or sleeps
 * arrives once; a vCPU that is restarted over and over begins each time where its SIPI says, and
 * what arrives while it waits for the SIPI starts nothing.  All of it also while acceleration comes
 * and goes.
 */
#include "lib/modes.h"

#include "lib/lapic.h"
#include "lib/roles.h"

#define VECTOR		0x61
#define VECTOR_NMI	2

/* vCPUs by index, which is their APIC ID. */
enum { SENDER, RUNNER, SLEEPER, RESTARTED };

/* Real mode code at two places, which counts how often it was started. */
#define FIRST_PAGE	8
#define PAGES		2
#define COUNTER		0x100

static uint8_t pages[PAGES][4096] __attribute__((aligned(4096)));
static volatile bool done, sent_to_restarted;
static volatile uint32_t nmis[GUEST_MAX_CPUS];

static volatile uint32_t *starts(unsigned int page)
{
	return (volatile uint32_t *)(pages[page] + COUNTER);
}

static void on_nmi(struct guest_frame *frame)
{
	(void)frame;
	nmis[guest_self()->index]++;
}

/* What is sent to the vCPUs that stay: in a random order, then waited for. */
static void send_to_those_that_stay(uint32_t i)
{
	unsigned int first = RUNNER + guest_random() % 2, second = RUNNER + SLEEPER - first;

	apic_send(first, ICR_NMI | ICR_ASSERT);
	apic_send_fixed(second, VECTOR);
	if (guest_random() % 2)
		guest_delay(guest_random() % 4000);
	apic_send_fixed(first, VECTOR);
	apic_send(second, ICR_NMI | ICR_ASSERT);
	for (unsigned int target = RUNNER; target <= SLEEPER; target++) {
		guest_wait(nmis[target] == i);
		guest_wait(guest_cpus[target].irqs[VECTOR] == i);
	}
}

/* The vCPU that is restarted: it waits for its SIPI, whatever else comes. */
static void restart(uint32_t page, bool with_ipis)
{
	uint32_t before[PAGES] = { *starts(0), *starts(1) };

	sent_to_restarted = with_ipis;
	if (with_ipis)
		apic_send_fixed(RESTARTED, VECTOR);
	apic_send(RESTARTED, ICR_INIT | ICR_ASSERT);
	if (with_ipis) {
		apic_send_fixed(RESTARTED, VECTOR);
		apic_send(RESTARTED, ICR_LOWEST | ICR_ASSERT | VECTOR);
		guest_delay(guest_random() % 4000);
		GUEST_ASSERT_EQ(*starts(0), before[0]);
		GUEST_ASSERT_EQ(*starts(1), before[1]);
	}
	apic_send(RESTARTED, ICR_STARTUP | ICR_ASSERT | (FIRST_PAGE + page));
	guest_wait(*starts(page) == before[page] + 1);
	GUEST_ASSERT_EQ(*starts(!page), before[!page]);
}

static void sender(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		send_to_those_that_stay(i);
		restart(guest_random() % PAGES, true);
		/* A second SIPI is for nobody. */
		apic_send(RESTARTED, ICR_STARTUP | ICR_ASSERT | FIRST_PAGE);
	}
	done = true;
	role_wait_finished();
}

/* Only IPIs that go on: no NMI and nothing else in between. */
static void restarting_sender(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 1; i <= count; i++) {
		restart(i % PAGES, false);
		apic_send_fixed(RUNNER, VECTOR);
		apic_send_fixed(SLEEPER, VECTOR);
		guest_wait(guest_cpus[RUNNER].irqs[VECTOR] == i);
		guest_wait(guest_cpus[SLEEPER].irqs[VECTOR] == i);
	}
	done = true;
	role_wait_finished();
}

static void add_pages(struct vm *vm)
{
	struct kvm_userspace_memory_region memory = {
		.slot = 1, .guest_phys_addr = FIRST_PAGE << 12,
		.memory_size = sizeof(pages), .userspace_addr = (uint64_t)pages,
	};
	/* mov %cs, %ax; mov %ax, %ds; incl COUNTER; hlt; jmp to the hlt */
	static const uint8_t code[] = {
		0x8c, 0xc8, 0x8e, 0xd8, 0x66, 0xff, 0x06, COUNTER & 0xff, COUNTER >> 8,
		0xf4, 0xeb, 0xfd,
	};

	memset(pages, 0, sizeof(pages));
	for (unsigned int i = 0; i < PAGES; i++)
		memcpy(pages[i], code, sizeof(code));
	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory);
}

static struct vm *begin(void (*guest)(uint64_t))
{
	struct vm *vm = vm_create(mode);

	roles_begin();
	guest_set_handler(VECTOR, guest_count_irq);
	guest_set_handler(VECTOR_NMI, on_nmi);
	done = false;
	memset((void *)nmis, 0, sizeof(nmis));
	add_pages(vm);
	vm_add_vcpu(vm, SENDER, guest, rounds);
	vm_add_vcpu(vm, RUNNER, role_spinner, 0);
	vm_add_vcpu(vm, SLEEPER, role_sleeper, 0);
	vm_add_vcpu(vm, RESTARTED, role_spinner, 0);
	return vm;
}

static void start(struct vm *vm)
{
	vm_start_held(vm, 1U << SENDER);
	roles_wait_ready(vm, RUNNER);
	vcpu_resume(&vm->vcpus[SENDER]);
}

/* It has no handler in real mode, and cannot come to an end by itself. */
static void end(struct __test_metadata *_metadata, struct vm *vm)
{
	struct vcpu *restarted = &vm->vcpus[RESTARTED];
	struct kvm_lapic_state lapic;
	uint64_t halted = 0;

	vm_wait(vm, vcpu_is_blocked(restarted), "the restarted vCPU halts");
	vcpu_pause(restarted);
	vcpu_ioctl(restarted, KVM_GET_LAPIC, &lapic);
	/*
	 * Its APIC is disabled. Software then drops what comes after the INIT, hardware may keep the
	 * one that was sent; neither delivers it.
	 */
	if (lapic_highest(&lapic, APIC_IRR) != VECTOR || !sent_to_restarted)
		EXPECT_EQ(-1, lapic_highest(&lapic, APIC_IRR));
	EXPECT_EQ(-1, lapic_highest(&lapic, APIC_ISR));
	halted = vcpu_stat(restarted, "halt_exits");
	EXPECT_LE(1, halted);
	vcpu_stop(restarted);
	vm->vcpu_count--;
	roles_finish(vm);
}

static void expect_all(struct __test_metadata *_metadata, uint32_t expected_nmis)
{
	EXPECT_EQ(rounds, *starts(0) + *starts(1));
	for (unsigned int target = RUNNER; target <= SLEEPER; target++) {
		EXPECT_EQ(rounds, guest_cpus[target].irqs[VECTOR]);
		EXPECT_EQ(expected_nmis, nmis[target]);
	}
}

TEST_F(guest, restarted_vcpu_begins_where_each_sipi_says)
{
	struct vm *vm = begin(restarting_sender);

	start(vm);
	vm_wait(vm, done, "the vCPU was restarted each time");
	expect_all(_metadata, 0);
	end(_metadata, vm);
}

TEST_F(guest, nmis_and_ipis_arrive_once_while_a_vcpu_is_restarted)
{
	struct vm *vm = begin(sender);

	start(vm);
	vm_wait(vm, done, "each NMI and IPI is handled");
	expect_all(_metadata, rounds);
	end(_metadata, vm);
}

TEST_F(guest, nothing_is_lost_while_acceleration_comes_and_goes)
{
	struct vm *vm = begin(sender);
	unsigned int toggles = 0;

	MAY_LOSE_INTERRUPTS();
	vm_add_blocker(vm);
	start(vm);
	while (!done) {
		uint32_t before = *starts(0) + *starts(1);

		vm_block(vm, toggles++ % 2 == 0);
		vm_wait(vm, done || *starts(0) + *starts(1) != before,
			"the vCPU is restarted while acceleration comes or goes");
	}
	vm_block(vm, false);
	NOTE("%u changes\n", toggles);
	EXPECT_LE(1, toggles);
	expect_all(_metadata, rounds);
	end(_metadata, vm);
}

TEST_MAIN(12)
