// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMs with more vCPUs than an 8-bit APIC ID can name, in x2APIC mode: unicast, logical and
 * broadcast IPIs from and to IDs on both sides of 255 and of 511.  Nearly all vCPUs sleep nearly
 * all of the time, so that a VM of a thousand fits a small machine.
 *
 * If hardware's table has entries for all IDs, the VM must be accelerated.  If not, it must work
 * all the same, and vapic must say why it is not accelerated.
 */
#include "lib/test.h"

#include <sys/resource.h>

#include "lib/roles.h"

#define UNICAST		0x61
#define LOGICAL		0x62
#define TO_OTHERS	0x63
#define TO_ALL_IDS	0x64
#define TURN		0x65	/* from the host: look whose turn it is */

#define NOBODY		UINT32_MAX

static volatile uint32_t vcpu_count, turn;
static volatile bool may_send;

/* What each vCPU must have taken, by kind; one vCPU at a time sends and counts. */
static volatile uint32_t expected[GUEST_MAX_CPUS][4];

/* IDs at a limit of hardware or software; those that the VM does not have are left out. */
static const uint32_t posts[] = { 0, 1, 15, 16, 254, 255, 256, 257, 510, 511, 512, 513, 998, 999 };

#define POSTS	(sizeof(posts) / sizeof(posts[0]))

static bool exists(uint32_t id)
{
	return id < vcpu_count;
}

static void expect(uint32_t id, uint8_t vector)
{
	expected[id][vector - UNICAST]++;
}

static bool has_taken(uint32_t id, uint8_t vector)
{
	return guest_cpus[id].irqs[vector] == expected[id][vector - UNICAST];
}

static void wait_for_all(uint8_t vector)
{
	for (uint32_t id = 0; id < vcpu_count; id++)
		guest_wait(has_taken(id, vector));
}

/* To each vCPU of a cluster, which may include the sender. */
static void send_to_cluster(uint32_t cluster)
{
	uint32_t members = 0;

	for (uint32_t id = cluster << 4; id < (cluster + 1) << 4; id++) {
		if (!exists(id))
			continue;
		members |= 1U << (id & 0xf);
		expect(id, LOGICAL);
	}
	apic_send(cluster << 16 | members, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | LOGICAL);
	wait_for_all(LOGICAL);
}

static void take_turn(void)
{
	uint32_t me = guest_self()->index;

	guest_wait(may_send);
	for (unsigned int i = 0; i < POSTS; i++) {
		if (!exists(posts[i]) || posts[i] == me)
			continue;
		expect(posts[i], UNICAST);
		apic_send_fixed(posts[i], UNICAST);
		guest_wait(has_taken(posts[i], UNICAST));
	}
	send_to_cluster(255 >> 4);
	send_to_cluster(256 >> 4);
	send_to_cluster((vcpu_count - 1) >> 4);

	for (uint32_t id = 0; id < vcpu_count; id++)
		if (id != me)
			expect(id, TO_OTHERS);
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_OTHERS | TO_OTHERS);
	wait_for_all(TO_OTHERS);

	for (uint32_t id = 0; id < vcpu_count; id++)
		expect(id, TO_ALL_IDS);
	apic_send(X2APIC_BROADCAST, ICR_FIXED | ICR_PHYSICAL | ICR_ASSERT | TO_ALL_IDS);
	wait_for_all(TO_ALL_IDS);
}

static void member(uint64_t arg)
{
	uint32_t me = guest_self()->index;

	(void)arg;
	GUEST_ASSERT_EQ(apic_read(APIC_ID), me);
	GUEST_ASSERT_EQ(apic_read(APIC_LDR), x2apic_logical_id(me));
	role_set_ready();
	while (!roles_finished) {
		irq_disable();
		if (turn == me) {
			irq_enable();
			take_turn();
			turn = NOBODY;
		} else if (!roles_finished) {
			halt_with_irqs();
		}
	}
}

/* The vCPU whose turn it is, and those that still miss an interrupt. */
static void report(struct vm *vm)
{
	unsigned int reported = 0;

	for (uint32_t id = 0; id < vm->vcpu_count && reported < VM_REPORTED; id++) {
		bool missing = id == turn;

		for (unsigned int v = UNICAST; v <= TO_ALL_IDS; v++)
			missing |= !has_taken(id, v);
		if (!missing)
			continue;
		vcpu_report(&vm->vcpus[id]);
		reported++;
	}
}

/* Each vCPU has two open files. */
static void allow_open_files(struct vm *vm)
{
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		vm_fail(vm, "cannot open so many files: %s", strerror(errno));
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static struct vm *create_empty(uint32_t count)
{
	struct vm *vm = vm_create(VM_X2APIC);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MAX_VCPU_ID, .args = { count } };

	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	return vm;
}

/* Stock KVM of some kernels creates no vCPU beyond its table; that of others inhibits. */
static bool stock_refuses(struct __test_metadata *_metadata, uint32_t count)
{
	uint32_t ids = accel_table_ids();
	struct vm *vm;
	int fd;

	if (ids >= count || accel_check()->vapic)
		return false;
	vm = create_empty(count);
	fd = vm_raw_create_vcpu(vm, ids);
	if (fd >= 0) {
		close(fd);
	} else {
		EXPECT_EQ(-EINVAL, fd);
		NOTE("stock KVM refuses vCPU ID %u\n", ids);
	}
	vm_destroy(vm);
	return fd < 0;
}

static struct vm *create(uint32_t count)
{
	struct vm *vm = create_empty(count);

	allow_open_files(vm);
	vm->on_failure = report;
	roles_begin();
	vcpu_count = count;
	turn = NOBODY;
	may_send = false;
	for (unsigned int v = UNICAST; v <= TURN; v++)
		guest_set_handler(v, guest_count_irq);
	for (uint32_t id = 0; id < count; id++)
		for (unsigned int kind = 0; kind < 4; kind++)
			expected[id][kind] = 0;
	for (uint32_t id = 0; id < count; id++)
		vm_add_vcpu(vm, id, member, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	return vm;
}

/* Whether vapic says that this vCPU of ours is one that its table cannot name. */
static bool vapic_names_reason(uint32_t id)
{
	FILE *file = fopen("/sys/kernel/vapic/vcpus", "re");
	char line[512], wanted[64];
	bool found = false;

	snprintf(wanted, sizeof(wanted), "pid=%d vcpu=%u ", getpid(), id);
	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, wanted, strlen(wanted)) &&
			strstr(line, "never=id-beyond-table");
	if (file)
		fclose(file);
	return found;
}

/* One vCPU sends; it also says whether it is accelerated. */
static void give_turn(struct __test_metadata *_metadata, struct vm *vm, uint32_t id,
		      bool accelerated)
{
	for (unsigned int i = 0; i < POSTS; i++)
		if (exists(posts[i]))
			vm_wait(vm, vcpu_is_blocked(&vm->vcpus[posts[i]]), "the targets sleep");
	may_send = false;
	turn = id;
	vm_send_msi(vm, id, TURN);
	/* The first access to an APIC may exit in any case. */
	vcpu_is_accelerated(&vm->vcpus[id]);
	EXPECT_EQ(accelerated, vcpu_is_accelerated(&vm->vcpus[id]))
		TH_LOG("vCPU %u", id);
	may_send = true;
	vm_wait_slowly(vm, turn == NOBODY, "all targets have taken each IPI");
}

static void run(struct __test_metadata *_metadata, uint32_t count)
{
	bool fits = count <= accel_table_ids();
	struct vm *vm;
	uint64_t wakeups, begun = now_ms(), ran;
	const char *ids = getenv("VAPIC_IDS");

	if (ids)
		ASSERT_EQ(strtoul(ids, NULL, 0), accel_table_ids());
	if (stock_refuses(_metadata, count))
		return;
	vm = create(count);
	NOTE("%u vCPUs started in %llu ms\n", count, (unsigned long long)(now_ms() - begun));
	ran = now_ms();
	wakeups = vcpu_stat(&vm->vcpus[256], "halt_wakeup");
	give_turn(_metadata, vm, 0, fits && accel_expected(true));
	give_turn(_metadata, vm, 255, fits && accel_expected(true));
	give_turn(_metadata, vm, count - 1, fits && accel_expected(true));
	EXPECT_LT(wakeups, vcpu_stat(&vm->vcpus[256], "halt_wakeup"));
	/* A duplicate would come about now. */
	sleep_us(2000);
	for (uint32_t id = 0; id < count; id++)
		for (unsigned int v = UNICAST; v <= TO_ALL_IDS; v++)
			EXPECT_EQ(expected[id][v - UNICAST], guest_cpus[id].irqs[v]);
	if (accel_check()->vapic && accel_is_avic()) {
		EXPECT_EQ(!fits, vapic_names_reason(count - 1));
		EXPECT_FALSE(vapic_names_reason(0));
	}
	NOTE("IPIs took %llu ms\n", (unsigned long long)(now_ms() - ran));
	ran = now_ms();
	roles_finish(vm);
	NOTE("ended in %llu ms\n", (unsigned long long)(now_ms() - ran));
}

FIXTURE(vm) {
};

FIXTURE_VARIANT(vm) {
	uint32_t count;
};

FIXTURE_VARIANT_ADD(vm, of_300_vcpus) {
	.count = 300,
};

FIXTURE_VARIANT_ADD(vm, of_600_vcpus) {
	.count = 600,
};

FIXTURE_VARIANT_ADD(vm, of_1000_vcpus) {
	.count = 1000,
};

/* KVM looks at all vCPUs for each that it makes, so the larger VMs take long to make. */
FIXTURE_SETUP(vm)
{
	REQUIRE_EXPECTED_ACCELERATION();
	if (variant->count > 300 && !accel_check()->vapic && !accel_is_avic() && rounds == 1)
		SKIP(return, "stock KVM, and no table of AVIC: only with -n 2");
}

FIXTURE_TEARDOWN(vm)
{
}

TEST_F_TIMEOUT(vm, each_vcpu_gets_every_ipi, 120)
{
	run(_metadata, variant->count);
}

TEST_MAIN(1)
