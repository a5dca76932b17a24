// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest writes nonsense into its APIC: ICR, LDR, DFR, LVT, the timer and the rest, in all widths
 * and at all offsets, and into the MSRs of the APIC.  KVM may refuse it or carry it out.  Meanwhile
 * each IPI between two other vCPUs arrives once, and once the registers are as before, so is all
 * else: the vCPU takes interrupts, and is accelerated.
 *
 * Left out is what would rightly end a vCPU or the VM: INIT, SIPI and SMI, the vectors of the two
 * others and of exceptions, an APIC that is disabled, and, in xAPIC mode, another APIC ID.
 */
#include "lib/modes.h"

#include "lib/guest_msr.h"
#include "lib/roles.h"

/* vCPUs by index, which is their APIC ID. */
enum { HOSTILE, PING, PONG };

#define VECTOR		0xd1	/* between the two others */
#define PROOF		0xd2	/* to the hostile one, in the end */
#define VECTOR_NMI	2

static volatile bool end_it, restored;
static volatile uint32_t sent, handled, hostile_writes, refused;

/* Whatever the hostile vCPU sends. Some comes without a bit in ISR, and its EOI ends nothing. */
static void on_nonsense(struct guest_frame *frame)
{
	guest_self()->irqs[frame->vector]++;
	apic_eoi();
}

static void on_nmi(struct guest_frame *frame)
{
	guest_self()->irqs[frame->vector]++;
}

static void on_ping(struct guest_frame *frame)
{
	(void)frame;
	GUEST_ASSERT_EQ(guest_self()->index, PONG);
	GUEST_ASSERT_EQ(handled + 1, sent);
	apic_eoi();
	full_barrier();
	handled++;
}

static void ping(uint64_t arg)
{
	(void)arg;
	irq_enable();
	while (!end_it) {
		sent++;
		apic_send_fixed(PONG, VECTOR);
		guest_wait(handled == sent);
	}
	role_set_ready();
	role_wait_finished();
}

/* Those below 16 the APIC refuses, or never delivers. */
static uint32_t hostile_vector(uint32_t value)
{
	uint8_t vector = value;

	if (vector == VECTOR || vector == PROOF || vector == ROLES_STOP_VECTOR || vector >> 4 == 1)
		value ^= 0x80;
	return value;
}

/* No SMI, INIT or SIPI */
static uint32_t hostile_icr(void)
{
	static const uint32_t modes[] = {
		ICR_FIXED, ICR_LOWEST, 3U << 8, ICR_NMI, 7U << 8, ICR_FIXED,
	};

	return hostile_vector(guest_random() & 0xfffff8ffU) | modes[guest_random() % 6];
}

static uint64_t hostile_destination(void)
{
	switch (guest_random() % 4) {
	case 0:
		return guest_random() % 4;
	case 1:
		return 0xffffffff;
	default:
		return guest_random() & 0xffffffff;
	}
}

/* A timer would fire at any rate, with any vector; masked it is as hostile. */
static uint32_t hostile_value(uint32_t reg)
{
	uint32_t value = guest_random();

	switch (reg) {
	case APIC_SPIV:
		return value | APIC_SPIV_ENABLE;
	case APIC_LVT_TIMER:
		return value | APIC_LVT_MASKED;
	case APIC_ICR:
		return hostile_icr();
	case APIC_SELF_IPI:
	case APIC_LVT_ERROR:
		return hostile_vector(value);
	default:
		return value;
	}
}

/*
 * Whether AVIC exits after it has written the register.  What it does with a part of such a
 * register is not defined.  If it exits before, as the emulated one, KVM takes that for an exit
 * after it, and the guest comes back to the same instruction for ever.
 */
static bool is_written_first(uint32_t reg)
{
	switch (reg) {
	case APIC_ID:
	case APIC_EOI:
	case APIC_REMOTE_READ:
	case APIC_LDR:
	case APIC_DFR:
	case APIC_SPIV:
	case APIC_ESR:
	case APIC_ICR:
	case APIC_LVT_TIMER ... APIC_TMICT:
	case APIC_TDCR:
		return true;
	}
	return false;
}

static void write_mmio(void)
{
	uint32_t offset = guest_random() % 0x1000, reg = offset & ~0xfU;
	uint64_t address = APIC_BASE_ADDR + offset;

	if (reg == APIC_ID)
		return;
	if (guest_random() % 2 || is_written_first(reg))
		offset = reg;
	if (offset == reg) {
		mmio_write32(APIC_BASE_ADDR + reg, hostile_value(reg));
		return;
	}
	/* Not aligned, or not of the right width; none leaves the page. */
	if (offset > 0xff8)
		return;
	switch (guest_random() % 5) {
	case 0:
		*(volatile uint8_t *)address = guest_random();
		break;
	case 1:
		*(volatile uint16_t *)address = guest_random();
		break;
	case 2:
		*(volatile uint64_t *)address = guest_random();
		break;
	case 3:
		(void)*(volatile uint64_t *)address;
		break;
	default:
		(void)*(volatile uint16_t *)address;
	}
}

static void write_registers_msr(void)
{
	uint32_t index = guest_random() % 0x100, reg = index << 4;
	uint64_t value = hostile_value(reg);

	if (reg == APIC_ICR)
		value |= hostile_destination() << 32;
	else if (guest_random() % 4 == 0)
		value |= guest_random() << 32;
	refused += !msr_try_write(MSR_X2APIC + index, value);
}

/* Bits that are reserved, addresses beyond all, and changes of mode that there are not */
static void write_base(void)
{
	uint64_t base = read_msr(MSR_APIC_BASE), value = guest_random();

	value |= 1ULL << 63 | 1;
	if (msr_try_write(MSR_APIC_BASE, value))
		guest_fail("KVM takes reserved bits (a)", __FILE__, __LINE__, value, base);
	GUEST_ASSERT_EQ(read_msr(MSR_APIC_BASE), base);
	/* x2APIC mode without an enabled APIC; from x2APIC mode to xAPIC mode */
	value = guest_self()->x2apic ? base & ~APIC_BASE_X2APIC :
				       (base | APIC_BASE_X2APIC) & ~APIC_BASE_ENABLE;
	if (msr_try_write(MSR_APIC_BASE, value))
		guest_fail("KVM takes this mode (a)", __FILE__, __LINE__, value, base);
	GUEST_ASSERT_EQ(read_msr(MSR_APIC_BASE), base);
}

/* The destinations that xAPIC mode has: of the aliases of a logical ID, too. */
static void aim(void)
{
	if (!guest_self()->x2apic) {
		mmio_write32(APIC_BASE_ADDR + APIC_LDR, guest_random());
		mmio_write32(APIC_BASE_ADDR + APIC_DFR,
			     guest_random() % 2 ? APIC_DFR_CLUSTER : guest_random());
		mmio_write32(APIC_BASE_ADDR + APIC_ICR_HIGH, hostile_destination() << 24);
		mmio_write32(APIC_BASE_ADDR + APIC_ICR, hostile_icr());
	} else {
		refused += !msr_try_write(MSR_X2APIC + (APIC_ICR >> 4),
					  hostile_destination() << 32 | hostile_icr());
	}
}

/* As guest_entry() and lib/boot.c leave it */
static void restore_registers(void)
{
	irq_disable();
	for (uint32_t reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg += 0x10)
		apic_write(reg, APIC_LVT_MASKED);
	if (!guest_self()->x2apic) {
		apic_write(APIC_LDR, 0);
		apic_write(APIC_DFR, APIC_DFR_FLAT);
	}
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SPIV, APIC_SPIV_ENABLE | 0xff);
	apic_write(APIC_ESR, 0);
	irq_enable();
}

static void hostile(uint64_t count)
{
	irq_enable();
	for (uint32_t i = 0; i < count; i++) {
		/* Priorities that hold everything back would hide what comes of the rest. */
		if (guest_random() % 8 == 0)
			write_cr8(0);
		switch (guest_random() % 4) {
		case 0:
			aim();
			break;
		case 1:
			write_base();
			break;
		default:
			if (guest_self()->x2apic)
				write_registers_msr();
			else
				write_mmio();
		}
		hostile_writes++;
		guest_delay(guest_random() % 100);
	}
	restore_registers();
	restored = true;
	role_wait_finished();
}

TEST_F(guest, others_go_on_and_all_is_well_afterwards)
{
	struct vm *vm = vm_create(mode);
	uint32_t at_end;

	roles_begin();
	guest_msr_begin();
	for (unsigned int vector = 32; vector < 256; vector++)
		guest_set_handler(vector, on_nonsense);
	guest_set_handler(VECTOR_NMI, on_nmi);
	guest_set_handler(VECTOR, on_ping);
	end_it = restored = false;
	sent = handled = hostile_writes = refused = 0;
	vm_add_vcpu(vm, HOSTILE, hostile, rounds);
	vm_add_vcpu(vm, PING, ping, 0);
	vm_add_vcpu(vm, PONG, role_sleeper, 0);
	vm_start_held(vm, 1U << HOSTILE | 1U << PING);
	roles_wait_ready(vm, PONG);
	vcpu_resume(&vm->vcpus[PING]);
	vm_wait(vm, handled > 10, "IPIs flow");
	vcpu_resume(&vm->vcpus[HOSTILE]);
	vm_wait(vm, restored, "the hostile vCPU comes to its end");

	at_end = handled;
	vm_wait(vm, handled > at_end + 10, "IPIs still flow");
	end_it = true;
	vm_wait(vm, role_is_ready(&vm->vcpus[PING]), "each IPI is handled");
	EXPECT_EQ(sent, handled);
	EXPECT_EQ(rounds, hostile_writes);
	NOTE("%u writes, %u refused, %u IPIs meanwhile\n", hostile_writes, refused, at_end);
	if (mode & VM_X2APIC)
		EXPECT_LT(0, refused);

	/* It takes interrupts as if nothing had been. */
	at_end = guest_cpus[HOSTILE].irqs[PROOF];
	vm_send_msi(vm, HOSTILE, PROOF);
	vm_wait(vm, guest_cpus[HOSTILE].irqs[PROOF] == at_end + 1, "an MSI arrives");
	vcpu_is_accelerated(&vm->vcpus[HOSTILE]);
	EXPECT_EQ(mode_is_accelerated(), vcpu_is_accelerated(&vm->vcpus[HOSTILE]) &&
		  accel_check()->active);
	vcpu_is_accelerated(&vm->vcpus[PING]);
	EXPECT_EQ(mode_is_accelerated(), vcpu_is_accelerated(&vm->vcpus[PING]) &&
		  accel_check()->active);
	roles_finish(vm);
}

TEST_MAIN(800)
