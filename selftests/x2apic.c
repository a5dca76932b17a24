// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registers of x2APIC mode: each MSR reads, takes or refuses a value alike with and without
 * acceleration, and as the manuals say; the ICR, self-IPIs, and images of the APIC.
 *
 * Without acceleration means that a second vCPU, which never runs, inhibits it for the VM.
 */
#include "lib/test.h"

#include "lib/guest_msr.h"
#include "lib/lapic.h"
#include "lib/roles.h"

#define ID		0x25	/* of the vCPU: cluster 2, bit 5 */
#define ID_IDLE		0x26
#define ID_ABSENT	0x12345678U

#define SERVED		0x81	/* its handler looks at all registers */
#define PENDING		0x51
#define VECTOR		0x41
#define TASK_PRIORITY	0x20

#define MSRS		0x100
#define INDEX(reg)	((reg) >> 4)
#define MSR(reg)	(MSR_X2APIC + INDEX(reg))

/* What happened to one MSR: it was read, written with what was read, read again. */
struct access {
	bool reads, writes, reads_again;
	bool takes_high;	/* a bit of the upper half */
	uint64_t value, value_again;
};

static struct access found[2][MSRS];
static volatile unsigned int column;

/* The registers that do something when written; they are written one by one. */
static bool is_command(unsigned int index)
{
	return index == INDEX(APIC_EOI) || index == INDEX(APIC_ICR) ||
	       index == INDEX(APIC_SELF_IPI);
}

static void look_at_all(struct guest_frame *frame)
{
	struct guest_cpu *self = guest_self();

	for (unsigned int i = 0; i < MSRS; i++) {
		struct access *access = &found[column][i];

		access->reads = msr_try_read(MSR_X2APIC + i, &access->value);
		if (!is_command(i))
			access->writes = msr_try_write(MSR_X2APIC + i, access->value);
		access->reads_again = msr_try_read(MSR_X2APIC + i, &access->value_again);
		if (i != INDEX(APIC_ICR))
			access->takes_high = msr_try_write(MSR_X2APIC + i,
							   access->value | 1ULL << 32);
	}
	self->irqs[frame->vector]++;
	apic_eoi();
}

static void register_guest(uint64_t arg)
{
	struct guest_cpu *self = guest_self();

	(void)arg;
	apic_write(APIC_TPR, TASK_PRIORITY);
	irq_enable();
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | SERVED);
	guest_wait(self->irqs[PENDING] == 1);
	GUEST_ASSERT_EQ(self->irqs[SERVED], 1);
	role_set_ready();
	role_wait_finished();
}

/* Two interrupts: one is in service while the registers are looked at, the other waits. */
static void send_second(struct guest_frame *frame)
{
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | PENDING);
	look_at_all(frame);
}

static struct vm *begin(unsigned int options, void (*guest)(uint64_t), bool inhibited)
{
	struct vm *vm = vm_create(options);

	roles_begin();
	guest_msr_begin();
	guest_set_handler(PENDING, guest_count_irq);
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, ID, guest, 0);
	vm_add_vcpu(vm, ID_IDLE, role_spinner, 0);
	vcpu_block_irqs(&vm->vcpus[1], inhibited);
	vm_start_held(vm, 1U << 1);
	return vm;
}

static void end(struct vm *vm)
{
	vcpu_block_irqs(&vm->vcpus[1], false);
	vcpu_resume(&vm->vcpus[1]);
	roles_finish(vm);
}

static void look(struct __test_metadata *_metadata, bool inhibited)
{
	struct vm *vm;

	column = inhibited;
	guest_set_handler(SERVED, send_second);
	vm = begin(VM_X2APIC, register_guest, inhibited);
	vm_wait(vm, role_is_ready(&vm->vcpus[0]), "the guest has looked at all registers");
	EXPECT_EQ(!inhibited && accel_expected(true), vcpu_is_accelerated(&vm->vcpus[0]));
	end(vm);
}

/* The registers of x2APIC mode, in the order of the manuals' tables. */
static bool is_readable(unsigned int index)
{
	static const uint16_t others[] = {
		APIC_ID, APIC_VERSION, APIC_TPR, APIC_PPR, APIC_LDR, APIC_SPIV, APIC_ESR, APIC_ICR,
		APIC_TMICT, APIC_TMCCT, APIC_TDCR,
	};

	if (index >= INDEX(APIC_ISR) && index < INDEX(APIC_ESR))
		return true;
	if (index >= INDEX(APIC_LVT_TIMER) && index <= INDEX(APIC_LVT_ERROR))
		return true;
	for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (index == INDEX(others[i]))
			return true;
	return false;
}

/*
 * Stock 6.1 lets the guest read all MSRs from 800h to 8FFh without an exit, but TMCCT.  Whether this
 * is one that must not be read, and nothing but that is wrong with it.
 */
static bool read_by_a_known_defect(unsigned int index, const struct access *access)
{
	return stock_before(6, 12) && accel_check()->active && !accel_is_avic() &&
	       !is_readable(index) && access->reads && access->reads_again && !access->writes &&
	       !access->takes_high;
}

/* Nothing else may have failed. */
#define EXPECT_KNOWN_DEFECT(seen) do {						\
	if ((seen) && _metadata->exit_code != KSFT_FAIL)			\
		EXPECTED_FAILURE(return,					\
				 "stock KVM: guests read %u MSRs that do not exist", seen); \
} while (0)

TEST(msrs_are_the_same_with_and_without_acceleration)
{
	unsigned int known = 0;

	REQUIRE_EXPECTED_ACCELERATION();
	look(_metadata, false);
	look(_metadata, true);
	for (unsigned int i = 0; i < MSRS; i++) {
		const struct access *with = &found[0][i], *without = &found[1][i];

		if (!memcmp(with, without, sizeof(*with)))
			continue;
		if (read_by_a_known_defect(i, with) && !without->reads) {
			known++;
			continue;
		}
		EXPECT_TRUE(false)
			TH_LOG("MSR %x: reads %u/%u %llx/%llx, writes %u/%u, again %u/%u %llx/%llx, high %u/%u",
			       MSR_X2APIC + i, with->reads, without->reads,
			       (unsigned long long)with->value, (unsigned long long)without->value,
			       with->writes, without->writes, with->reads_again,
			       without->reads_again, (unsigned long long)with->value_again,
			       (unsigned long long)without->value_again, with->takes_high,
			       without->takes_high);
	}
	EXPECT_KNOWN_DEFECT(known);
}

static bool is_writable(unsigned int index)
{
	return index == INDEX(APIC_TPR) || index == INDEX(APIC_SPIV) || index == INDEX(APIC_ESR) ||
	       index == INDEX(APIC_TMICT) || index == INDEX(APIC_TDCR) ||
	       (index >= INDEX(APIC_LVT_TIMER) && index <= INDEX(APIC_LVT_ERROR));
}

/* LVT CMCI exists if the processor has corrected machine checks. */
static bool may_exist(unsigned int index)
{
	return index == INDEX(APIC_LVT_CMCI);
}

TEST(msrs_read_and_refuse_what_the_manuals_say)
{
	static const struct { uint16_t reg; uint64_t value; } values[] = {
		{ APIC_ID, ID }, { APIC_LDR, 2 << 16 | 1 << 5 }, { APIC_TPR, TASK_PRIORITY },
		{ APIC_PPR, SERVED & 0xf0 }, { APIC_SPIV, APIC_SPIV_ENABLE | 0xff },
		{ APIC_ISR + SERVED / 32 * 0x10, 1U << SERVED % 32 },
		{ APIC_IRR + PENDING / 32 * 0x10, 1U << PENDING % 32 },
		{ APIC_ICR, ICR_ASSERT | ICR_TO_SELF | PENDING }, { APIC_TMCCT, 0 },
	};
	const struct access *list = found[0];
	unsigned int set = 0, known = 0;

	REQUIRE_EXPECTED_ACCELERATION();
	look(_metadata, false);
	for (unsigned int i = 0; i < MSRS; i++) {
		if (may_exist(i))
			continue;
		if (read_by_a_known_defect(i, &list[i]))
			known++;
		else
			EXPECT_EQ(is_readable(i), list[i].reads)
				TH_LOG("MSR %x is read", MSR_X2APIC + i);
		EXPECT_EQ(list[i].reads, list[i].reads_again);
		EXPECT_EQ(is_writable(i), list[i].writes)
			TH_LOG("MSR %x is written", MSR_X2APIC + i);
		EXPECT_FALSE(list[i].takes_high)
			TH_LOG("MSR %x takes 64 bits", MSR_X2APIC + i);
		EXPECT_EQ(list[i].value, list[i].value_again)
			TH_LOG("MSR %x changed", MSR_X2APIC + i);
		if (i >= INDEX(APIC_ISR) && i < INDEX(APIC_ESR))
			set += __builtin_popcountll(list[i].value);
	}
	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		EXPECT_EQ(values[i].value, list[INDEX(values[i].reg)].value)
			TH_LOG("register %x", values[i].reg);
	}
	/* Of ISR, TMR and IRR nothing else. */
	EXPECT_EQ(2, set);
	EXPECT_KNOWN_DEFECT(known);
}

/* ---- the ICR and self-IPIs ---- */

static uint64_t icr(uint32_t dest, uint32_t low)
{
	return (uint64_t)dest << 32 | low;
}

static void expect_icr_keeps(uint32_t dest, uint32_t low)
{
	uint64_t value = 0;

	GUEST_ASSERT(msr_try_write(MSR(APIC_ICR), icr(dest, low)));
	GUEST_ASSERT(msr_try_read(MSR(APIC_ICR), &value));
	GUEST_ASSERT_EQ(value, icr(dest, low));
}

static void icr_guest(uint64_t arg)
{
	struct guest_cpu *self = guest_self();
	uint32_t ipis = 0;
	uint64_t value;

	(void)arg;
	irq_enable();
	for (unsigned int i = 0; i < rounds; i++) {
		/* Nobody has this ID, or is in this cluster. */
		expect_icr_keeps(ID_ABSENT + i, ICR_FIXED | ICR_ASSERT | VECTOR);
		expect_icr_keeps(ID_ABSENT + i, ICR_FIXED | ICR_LOGICAL | ICR_ASSERT | VECTOR);
		expect_icr_keeps(i, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | VECTOR);
		guest_wait(self->irqs[VECTOR] == ++ipis);
		expect_icr_keeps(ID, ICR_FIXED | ICR_ASSERT | VECTOR);
		guest_wait(self->irqs[VECTOR] == ++ipis);
		expect_icr_keeps(X2APIC_BROADCAST, ICR_FIXED | ICR_ASSERT | VECTOR);
		guest_wait(self->irqs[VECTOR] == ++ipis);
	}
	/* A reserved bit: no IPI, and the ICR stays. */
	for (unsigned int bit = 0; bit < 32; bit++) {
		if (!(X2APIC_ICR_RESERVED & 1UL << bit))
			continue;
		GUEST_ASSERT(!msr_try_write(MSR(APIC_ICR),
					    icr(ID, ICR_FIXED | ICR_ASSERT | VECTOR | 1U << bit)));
		GUEST_ASSERT(msr_try_read(MSR(APIC_ICR), &value));
		GUEST_ASSERT_EQ(value, icr(X2APIC_BROADCAST, ICR_FIXED | ICR_ASSERT | VECTOR));
	}
	for (unsigned int vector = 16; vector < 256; vector += 29) {
		uint32_t before = self->irqs[vector];

		GUEST_ASSERT(msr_try_write(MSR(APIC_SELF_IPI), vector));
		guest_wait(self->irqs[vector] == before + 1);
	}
	GUEST_ASSERT(!msr_try_write(MSR(APIC_SELF_IPI), 0x100 | VECTOR));
	GUEST_ASSERT_EQ(self->irqs[VECTOR], ipis);
	role_set_ready();
	role_wait_finished();
}

static void run_icr(struct __test_metadata *_metadata, bool inhibited)
{
	struct vm *vm;

	for (unsigned int vector = 16; vector < 256; vector++)
		guest_set_handler(vector, guest_count_irq);
	vm = begin(VM_X2APIC, icr_guest, inhibited);
	vm_wait(vm, role_is_ready(&vm->vcpus[0]), "each IPI to itself arrives");
	EXPECT_EQ(!inhibited && accel_expected(true), vcpu_is_accelerated(&vm->vcpus[0]));
	end(vm);
}

TEST(icr_keeps_64_bits_and_refuses_reserved_ones)
{
	REQUIRE_EXPECTED_ACCELERATION();
	run_icr(_metadata, false);
}

TEST(icr_keeps_64_bits_and_refuses_reserved_ones_while_inhibited)
{
	REQUIRE_EXPECTED_ACCELERATION();
	run_icr(_metadata, true);
}

/* ---- images ---- */

static volatile uint32_t images_given, images_seen;

/* Sends to nobody with another destination each time, and reads it after the host restored it. */
static void image_guest(uint64_t count)
{
	(void)count;
	irq_enable();
	for (uint32_t i = 0; i < rounds; i++) {
		uint64_t value = icr(ID_ABSENT + i, ICR_FIXED | ICR_ASSERT | VECTOR);

		apic_write(APIC_TPR, (i & 0xf) << 4);
		write_msr(MSR(APIC_ICR), value);
		images_seen = i + 1;
		guest_wait(images_given == i + 1);
		GUEST_ASSERT_EQ(read_msr(MSR(APIC_ICR)), value);
		GUEST_ASSERT_EQ(read_msr(MSR(APIC_ID)), ID);
		GUEST_ASSERT_EQ(read_msr(MSR(APIC_LDR)), x2apic_logical_id(ID));
		GUEST_ASSERT_EQ(read_msr(MSR(APIC_TPR)), (i & 0xf) << 4);
	}
	apic_write(APIC_TPR, 0);
	role_set_ready();
	role_wait_finished();
}

static void exchange_images(struct __test_metadata *_metadata, unsigned int options)
{
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;
	struct vm *vm;

	images_given = images_seen = 0;
	vm = begin(VM_X2APIC | options, image_guest, false);
	vcpu = &vm->vcpus[0];
	for (uint32_t i = 0; i < rounds; i++) {
		vm_wait(vm, images_seen == i + 1, "the guest writes its ICR");
		vcpu_pause(vcpu);
		vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
		EXPECT_EQ(options & VM_XAPIC_IMAGES ? ID << 24 : ID, lapic_read(&lapic, APIC_ID));
		EXPECT_EQ(x2apic_logical_id(ID), lapic_read(&lapic, APIC_LDR));
		EXPECT_EQ(ICR_ASSERT | VECTOR, lapic_read(&lapic, APIC_ICR));
		EXPECT_EQ(ID_ABSENT + i, lapic_read(&lapic, APIC_ICR_HIGH));
		vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
		vcpu_resume(vcpu);
		images_given = i + 1;
	}
	vm_wait(vm, role_is_ready(vcpu), "the guest finds its registers restored");
	EXPECT_EQ(accel_expected(true), vcpu_is_accelerated(vcpu));
	end(vm);
}

TEST(image_keeps_id_and_icr)
{
	REQUIRE_EXPECTED_ACCELERATION();
	exchange_images(_metadata, 0);
}

TEST(image_keeps_id_and_icr_if_it_shows_ids_as_in_xapic_mode)
{
	REQUIRE_EXPECTED_ACCELERATION();
	exchange_images(_metadata, VM_XAPIC_IMAGES);
}

TEST_MAIN(5)
