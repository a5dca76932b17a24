// SPDX-License-Identifier: GPL-2.0-only
/*
 * A nested guest never gets at AVIC's hardware.  Its accesses to the MSRs of x2APIC mode exit, also
 * if its hypervisor lets all MSRs pass; and its hypervisor cannot turn AVIC on for it, which would
 * let hardware use addresses of the hypervisor's choice (CVE-2021-3653).
 */
#include "lib/modes.h"

#include "lib/nested.h"
#include "lib/roles.h"

#define ID		5
#define ID_OTHER	6	/* what a wrong backing page would show */
#define READS		64
#define MSR(reg)	(MSR_X2APIC + ((reg) >> 4))

#define AVIC_ENABLE	(1UL << 31)
#define X2AVIC_ENABLE	(1UL << 30)

static const uint8_t all_pass[0x2000] __attribute__((aligned(4096)));
static uint8_t none_passes[0x2000] __attribute__((aligned(4096)));
static uint32_t backing_page[1024] __attribute__((aligned(4096)));
static uint8_t tables[4096] __attribute__((aligned(4096)));

static volatile uint32_t step, step_allowed;
static volatile uint64_t id_seen, tpr_seen;

static void let_host_look(void)
{
	uint32_t next = step + 1;

	step = next;
	while (step_allowed < next)
		cpu_pause();
}

/* The nested guest, with all MSRs passed: the APIC is that of the hypervisor. */
static void read_msrs(void)
{
	let_host_look();
	for (unsigned int i = 0; i < READS; i++)
		id_seen = read_msr(MSR(APIC_ID));
	let_host_look();
	write_msr(MSR(APIC_TPR), 0x30);
	tpr_seen = read_msr(MSR(APIC_TPR));
	nested_end();
}

static void read_one_msr(void)
{
	id_seen = read_msr(MSR(APIC_ID));
	nested_end();
}

static void msr_hypervisor(uint64_t arg)
{
	(void)arg;
	for (unsigned int i = 0; i < sizeof(none_passes); i++)
		none_passes[i] = 0xff;
	GUEST_ASSERT_EQ(nested_run_with(read_msrs,
					&(struct nested_setup){ .msr_bitmap = all_pass }),
			NESTED_EXIT_VMMCALL);
	GUEST_ASSERT_EQ(id_seen, ID);
	GUEST_ASSERT_EQ(tpr_seen, 0x30);
	GUEST_ASSERT_EQ(apic_read(APIC_TPR), 0x30);
	apic_write(APIC_TPR, 0);
	id_seen = 0;
	GUEST_ASSERT_EQ(nested_run_with(read_one_msr,
					&(struct nested_setup){ .msr_bitmap = none_passes }),
			NESTED_EXIT_MSR);
	GUEST_ASSERT_EQ(id_seen, 0);
	role_set_ready();
	role_wait_finished();
}

TEST(x2apic_msrs_of_a_nested_guest_exit_even_if_all_pass)
{
	struct vcpu *vcpu;
	struct vm *vm;
	int64_t exits;

	REQUIRE_EXPECTED_ACCELERATION();
	if (!nested_available())
		SKIP(return, "KVM does not offer SVM to guests");
	roles_begin();
	step = step_allowed = 0;
	vm = vm_create(VM_X2APIC);
	vcpu = vm_add_vcpu(vm, ID, msr_hypervisor, 0);
	vm_start(vm);
	vm_wait(vm, step == 1, "the nested guest runs");
	exits = vcpu_own_exits(vcpu);
	step_allowed = 1;
	vm_wait(vm, step == 2, "the nested guest has read its ID");
	exits = vcpu_own_exits(vcpu) - exits;
	step_allowed = 2;
	vm_wait(vm, role_is_ready(vcpu), "the nested guest ends");
	EXPECT_LE(READS - 1, exits);
	EXPECT_EQ(accel_expected(true), vcpu_is_accelerated(vcpu));
	roles_finish(vm);
}

/* The nested guest of a hypervisor that asks for AVIC. */
static void use_apic(void)
{
	id_seen = apic_read(APIC_ID);
	apic_write(APIC_TPR, 0x40);
	tpr_seen = apic_read(APIC_TPR);
	nested_end();
}

static void avic_hypervisor(uint64_t arg)
{
	struct nested_setup setup = {
		.msr_bitmap = all_pass, .avic_bar = APIC_BASE_ADDR,
		.avic_backing_page = backing_page, .avic_tables = tables,
	};
	bool x2apic = guest_self()->x2apic;
	uint64_t code;

	(void)arg;
	for (unsigned int i = 0; i < 2; i++) {
		backing_page[APIC_ID / 4] = x2apic ? ID_OTHER : ID_OTHER << 24;
		backing_page[APIC_TPR / 4] = 0x70;
		id_seen = tpr_seen = 0;
		setup.interrupt_control = AVIC_ENABLE | (i ? X2AVIC_ENABLE : 0);
		code = nested_run_with(use_apic, &setup);
		if (code != NESTED_EXIT_INVALID) {
			GUEST_ASSERT_EQ(code, NESTED_EXIT_VMMCALL);
			GUEST_ASSERT_EQ(id_seen, x2apic ? ID : ID << 24);
			GUEST_ASSERT_EQ(tpr_seen, 0x40);
			GUEST_ASSERT_EQ(apic_read(APIC_TPR), 0x40);
		}
		GUEST_ASSERT_EQ(backing_page[APIC_TPR / 4], 0x70);
		apic_write(APIC_TPR, 0);
	}
	role_set_ready();
	role_wait_finished();
}

TEST_F(guest, hypervisor_cannot_turn_avic_on)
{
	struct vcpu *vcpu;
	struct vm *vm;

	if (!nested_available())
		SKIP(return, "KVM does not offer SVM to guests");
	roles_begin();
	vm = vm_create(mode);
	vcpu = vm_add_vcpu(vm, ID, avic_hypervisor, 0);
	vm_start(vm);
	vm_wait(vm, role_is_ready(vcpu), "the nested guests end");
	/* KVM inhibits AVIC while a nested guest runs, no longer. */
	vcpu_is_accelerated(vcpu);
	EXPECT_EQ(mode_is_accelerated(), vcpu_is_accelerated(vcpu));
	roles_finish(vm);
}

TEST_MAIN(1)
