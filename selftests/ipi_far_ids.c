// SPDX-License-Identifier: GPL-2.0-only
/*
 * A few vCPUs with APIC IDs up to 4095, the highest that KVM takes, on both sides of each power of
 * two at which a table of hardware may end: each sends to each other by physical and logical ID,
 * and to all, and each IPI arrives once.
 *
 * If hardware's table has entries for all IDs of the VM, it must be accelerated; if not, it must
 * work all the same, or be refused when it is made, as stock KVM of some kernels does.
 */
#include "lib/test.h"

#include "lib/roles.h"

#define PHYSICAL	0x61
#define LOGICAL		0x62
#define TO_OTHERS	0x63

#define NOBODY		UINT32_MAX

/* The VM has those up to the one that a variant names. */
static const uint32_t ids[] = {
	0, 1, 254, 255, 256, 511, 512, 1023, 1024, 2047, 2048, 4094, 4095,
};

#define IDS	(sizeof(ids) / sizeof(ids[0]))

static volatile uint32_t members, turn;
static volatile bool may_send;

/* The vCPU of index @me sends, as the one of number @turns to do so. */
static void take_turn(uint32_t me, uint32_t turns)
{
	for (uint32_t i = 0; i < members; i++) {
		if (i == me)
			continue;
		apic_send_fixed(ids[i], PHYSICAL);
		apic_send(x2apic_logical_id(ids[i]),
			  ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | LOGICAL);
		/* Of the turns so far, one was its own if it has had it. */
		guest_wait(guest_cpus[i].irqs[PHYSICAL] == turns - (i < me));
		guest_wait(guest_cpus[i].irqs[LOGICAL] == turns - (i < me));
	}
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_OTHERS | TO_OTHERS);
	for (uint32_t i = 0; i < members; i++)
		if (i != me)
			guest_wait(guest_cpus[i].irqs[TO_OTHERS] == turns - (i < me));
}

static void member(uint64_t arg)
{
	uint32_t me = guest_self()->index;

	(void)arg;
	GUEST_ASSERT_EQ(apic_read(APIC_ID), ids[me]);
	GUEST_ASSERT_EQ(apic_read(APIC_LDR), x2apic_logical_id(ids[me]));
	role_set_ready();
	while (!roles_finished) {
		irq_disable();
		if (turn == me) {
			irq_enable();
			guest_wait(may_send);
			take_turn(me, me + 1);
			turn = NOBODY;
		} else if (!roles_finished) {
			halt_with_irqs();
		}
	}
}

static struct vm *create_empty(uint32_t limit)
{
	struct vm *vm = vm_create(VM_X2APIC);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MAX_VCPU_ID, .args = { limit } };

	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	return vm;
}

/* As in ipi_many: of stock KVM, some kernels create no vCPU beyond the table. */
static bool stock_refuses(struct __test_metadata *_metadata, uint32_t highest)
{
	struct vm *vm;
	int fd;

	if (highest < accel_table_ids() || accel_check()->vapic)
		return false;
	vm = create_empty(highest + 1);
	fd = vm_raw_create_vcpu(vm, highest);
	if (fd >= 0) {
		close(fd);
	} else {
		EXPECT_EQ(-EINVAL, fd);
		NOTE("stock KVM refuses vCPU ID %u\n", highest);
	}
	vm_destroy(vm);
	return fd < 0;
}

static void run(struct __test_metadata *_metadata, uint32_t highest)
{
	bool accelerated = highest < accel_table_ids() && accel_expected(true);
	const char *expected = getenv("VAPIC_IDS");
	struct vm *vm;

	if (expected)
		ASSERT_EQ(strtoul(expected, NULL, 0), accel_table_ids());
	if (stock_refuses(_metadata, highest))
		return;
	vm = create_empty(highest + 1);
	roles_begin();
	for (unsigned int v = PHYSICAL; v <= TO_OTHERS; v++)
		guest_set_handler(v, guest_count_irq);
	turn = NOBODY;
	members = 0;
	for (unsigned int i = 0; i < IDS && ids[i] <= highest; i++) {
		vm_add_vcpu(vm, ids[i], member, 0);
		members = i + 1;
	}
	vm_start(vm);
	roles_wait_ready(vm, 0);
	for (uint32_t i = 0; i < members; i++) {
		may_send = false;
		turn = i;
		vm_send_msi(vm, ids[i], ROLES_STOP_VECTOR);
		/* The first access to an APIC may exit in any case. */
		vcpu_is_accelerated(&vm->vcpus[i]);
		EXPECT_EQ(accelerated, vcpu_is_accelerated(&vm->vcpus[i]))
			TH_LOG("vCPU ID %u", ids[i]);
		may_send = true;
		vm_wait(vm, turn == NOBODY, "all others have taken each IPI");
	}
	/* A duplicate would come about now. */
	sleep_us(2000);
	for (uint32_t i = 0; i < members; i++) {
		for (unsigned int v = PHYSICAL; v <= TO_OTHERS; v++) {
			EXPECT_EQ(members - 1, guest_cpus[i].irqs[v])
				TH_LOG("vCPU ID %u, vector %x", ids[i], v);
		}
	}
	roles_finish(vm);
}

FIXTURE(vm) {
};

FIXTURE_VARIANT(vm) {
	uint32_t highest;
};

FIXTURE_VARIANT_ADD(vm, up_to_254) {
	.highest = 254,
};

FIXTURE_VARIANT_ADD(vm, up_to_511) {
	.highest = 511,
};

FIXTURE_VARIANT_ADD(vm, up_to_4095) {
	.highest = 4095,
};

FIXTURE_SETUP(vm)
{
	REQUIRE_EXPECTED_ACCELERATION();
}

FIXTURE_TEARDOWN(vm)
{
}

TEST_F(vm, each_vcpu_gets_every_ipi)
{
	run(_metadata, variant->highest);
}

TEST_F(vm, id_beyond_what_kvm_takes_is_refused)
{
	struct vm *vm = create_empty(variant->highest + 1);

	EXPECT_EQ(-EINVAL, vm_raw_create_vcpu(vm, variant->highest + 1));
	vm_destroy(vm);
}

TEST_MAIN(1)
