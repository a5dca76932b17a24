// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random programs of APIC accesses run in a VM that is inhibited, then in one that is
 * accelerated, or whose acceleration comes and goes.  After each step the guest must see the
 * same: what was read or refused, the interrupts that this vCPU and another one have taken, and
 * the registers of both.
 *
 * Interrupts are compared where their moment does not matter: after each step both vCPUs have an
 * exit, so that what has been sent has arrived.  What may differ by nature is left out: time, other
 * APIC IDs than those that the vCPUs have, vectors below 32, and what would end a vCPU (INIT, SIPI,
 * SMI, an APIC that is disabled).
 *
 * -n: how many programs; -s: the seed of the first, as a failure names it.
 */
#include "lib/modes.h"

#include <string.h>

#include "lib/guest_msr.h"

/* vCPUs by index, which is their APIC ID. */
enum { ACTOR, PEER, VCPUS };

#define FIRST_VECTOR	32
#define VECTOR_NMI	2
#define STEPS		48
/* Programs that one VM runs. */
#define BATCH		8
/* Vectors of the four highest bits that steps choose from: few enough to meet one another. */
#define CLASSES		5

enum operation {
	WRITE,		/* a register */
	READ,
	SEND,		/* an IPI */
	PEER_SENDS,	/* the other vCPU does */
	EOI,
	SET_CR8,
	SET_IF,		/* takes interrupts from now on, or none */
	OPERATIONS
};

static const char *const operation_names[] = {
	"write", "read", "send", "peer sends", "eoi", "cr8", "if",
};

struct step {
	enum operation operation;
	uint32_t reg;
	uint64_t value;
};

static struct program {
	struct step steps[STEPS];
	/* A bit for each class of vectors whose handler leaves the EOI to the program. */
	uint32_t unended;
} programs[BATCH + 1];	/* the last one is empty */

/* ESR is a latch, and TMCCT is time. */
static const uint16_t compared[] = {
	APIC_ID, APIC_VERSION, APIC_TPR, APIC_PPR, APIC_LDR, APIC_DFR, APIC_SPIV, APIC_ICR,
	APIC_ICR_HIGH, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, APIC_TMICT, APIC_TDCR,
	APIC_ISR, 0x110, 0x120, 0x130, 0x140, 0x150, 0x160, 0x170,
	APIC_TMR, 0x190, 0x1a0, 0x1b0, 0x1c0, 0x1d0, 0x1e0, 0x1f0,
	APIC_IRR, 0x210, 0x220, 0x230, 0x240, 0x250, 0x260, 0x270,
};

#define COMPARED	(sizeof(compared) / sizeof(compared[0]))

/* What one vCPU has seen. */
struct view {
	uint32_t regs[COMPARED];
	uint32_t taken[256 / 32];	/* a bit for each vector, in this step */
	uint32_t count;
};

struct observation {
	uint64_t value;			/* what was read */
	bool refused;			/* by #GP */
	uint64_t cr8;
	struct view views[VCPUS];
};

static struct observation seen[BATCH][STEPS];
static struct observation plain[BATCH][STEPS];

static struct view *volatile viewing[VCPUS];

/* ---- Programs ---- */

static uint32_t any_vector(void)
{
	return FIRST_VECTOR + host_random() % CLASSES * 0x30 + host_random() % 3;
}

/* Mostly somebody's: IDs and the logical IDs that registers are given below. */
static uint32_t any_destination(bool logical)
{
	static const uint8_t logical_ids[] = { 1, 2, 3, 4, 0xff, 0x11, 0x12, 0x13 };

	if (mode & VM_X2APIC) {
		if (logical)
			return host_random() % 8;
		return host_random() % 8 ? host_random() % 3 : X2APIC_BROADCAST;
	}
	if (logical)
		return logical_ids[host_random() % 8];
	return host_random() % 8 ? host_random() % 3 : XAPIC_BROADCAST;
}

static uint64_t any_icr(void)
{
	static const uint32_t shorthands[] = {
		ICR_TO_DEST, ICR_TO_DEST, ICR_TO_DEST, ICR_TO_SELF, ICR_TO_ALL, ICR_TO_OTHERS,
	};
	static const uint32_t modes[] = { ICR_FIXED, ICR_FIXED, ICR_FIXED, ICR_LOWEST, ICR_NMI };
	bool logical = host_random() % 2;
	uint64_t icr = ICR_ASSERT | (logical ? ICR_LOGICAL : ICR_PHYSICAL) | any_vector();

	icr |= shorthands[host_random() % 6];
	/* Others than fixed ones have no shorthand that names the sender. */
	if (!(icr & ICR_TO_OTHERS) || (icr & ICR_TO_OTHERS) == ICR_TO_OTHERS)
		icr |= modes[host_random() % 5];
	return (uint64_t)any_destination(logical) << 32 | icr;
}

static uint32_t any_value(uint32_t reg)
{
	static const uint8_t ids[] = { 1, 1, 1, 4, 0, 0x11, 3, 2 };
	uint32_t random = host_random();

	switch (reg) {
	case APIC_LDR:
		return ids[random % 8] << 24 | (random % 4 ? 0 : random >> 8);
	case APIC_DFR:
		return random % 4 ? APIC_DFR_FLAT : random % 2 ? APIC_DFR_CLUSTER : random;
	case APIC_SPIV:
		return APIC_SPIV_ENABLE | 0xff | (random % 4 ? 0 : random & 0xe00);
	case APIC_TPR:
		/* Hardware refuses reserved bits in x2APIC mode, KVM does not. */
		return random % 4 || mode & VM_X2APIC ? random % 0x100 : random;
	case APIC_TMICT:
		return 0;
	default:
		return random | APIC_LVT_MASKED;
	}
}

static uint32_t any_written(void)
{
	static const uint16_t regs[] = {
		APIC_TPR, APIC_TPR, APIC_TPR, APIC_LDR, APIC_DFR, APIC_SPIV, APIC_LVT_TIMER, 0x330,
		0x340, APIC_LVT_LINT0, 0x360, APIC_LVT_ERROR, APIC_TDCR, APIC_TMICT,
	};

	return regs[host_random() % (sizeof(regs) / sizeof(regs[0]))];
}

static struct step any_step(void)
{
	static const enum operation operations[] = {
		WRITE, WRITE, WRITE, READ, SEND, SEND, SEND, SEND, PEER_SENDS, PEER_SENDS, EOI,
		EOI, SET_CR8, SET_IF, SET_IF,
	};
	struct step step = { .operation = operations[host_random() % 15] };

	switch (step.operation) {
	case WRITE:
		step.reg = any_written();
		step.value = any_value(step.reg);
		break;
	case READ:
		/* What xAPIC mode reads where no register is, is not defined. */
		step.reg = mode & VM_X2APIC ? host_random() % 0x40 << 4 :
					      compared[host_random() % COMPARED];
		break;
	case SEND:
	case PEER_SENDS:
		step.value = any_icr();
		break;
	case SET_CR8:
		step.value = host_random() % 16;
		break;
	default:
		step.value = host_random() % 4 != 0;
	}
	return step;
}

static void write_programs(uint64_t seed, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		host_random_state = seed + i;
		/* Neighbouring seeds begin alike. */
		for (unsigned int n = 0; n < 8; n++)
			host_random();
		programs[i].unended = host_random() % 2 ? host_random() & 0xffff : 0;
		for (unsigned int n = 0; n < STEPS; n++)
			programs[i].steps[n] = any_step();
	}
}

/* ---- The guest ---- */

/* The program that runs; what the other vCPU is to send, if not 0, and which request this is. */
static volatile uint32_t running;
static volatile uint64_t wanted_icr;
static volatile uint32_t asked, answered;
/* Programs that have ended; 1: begin, UINT32_MAX: end. */
static volatile uint32_t done, go;

static void on_vector(struct guest_frame *frame)
{
	struct guest_cpu *self = guest_self();
	struct view *view = viewing[self->index];

	self->irqs[frame->vector]++;
	if (view) {
		view->taken[frame->vector / 32] |= 1U << frame->vector % 32;
		view->count++;
	}
	if (frame->vector == VECTOR_NMI)
		return;
	if (self->index == PEER || !(programs[running].unended & 1U << (frame->vector >> 4)))
		apic_eoi();
}

/* KVM handles each. */
static void exit_to_host(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx) :: "memory");
}

static bool exists(uint32_t reg)
{
	return !guest_self()->x2apic || (reg != APIC_DFR && reg != APIC_ICR_HIGH);
}

/*
 * KVM on AMD copies CR8 to TPR at exits, unless it intercepts writes of CR8, and bits that CR8
 * does not have are lost.  They have no effect.
 */
static uint32_t significant(uint32_t reg)
{
	return reg == APIC_TPR || reg == APIC_PPR ? ~0xfU : ~0U;
}

static void look(struct view *view)
{
	for (unsigned int i = 0; i < COMPARED; i++)
		if (exists(compared[i]))
			view->regs[i] = apic_read(compared[i]) & significant(compared[i]);
}

static void write_icr(uint64_t value)
{
	apic_send(value >> 32, value);
}

static void peer(uint64_t arg)
{
	uint32_t request = 0;

	(void)arg;
	apic_set_logical_id(2);
	irq_enable();
	for (;;) {
		guest_wait(asked != request || go == UINT32_MAX);
		if (asked == request)
			return;
		request++;
		if (wanted_icr)
			write_icr(wanted_icr);
		exit_to_host();
		if (viewing[PEER])
			look(viewing[PEER]);
		answered = request;
	}
}

/* All that has been sent has arrived, at both. */
static void settle(uint64_t icr)
{
	wanted_icr = icr;
	asked++;
	guest_wait(answered == asked);
	exit_to_host();
}

static void prepare(void)
{
	viewing[ACTOR] = viewing[PEER] = NULL;
	apic_write(APIC_SPIV, APIC_SPIV_ENABLE | 0xff);
	for (uint32_t reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg += 0x10)
		apic_write(reg, APIC_LVT_MASKED);
	if (!guest_self()->x2apic) {
		apic_write(APIC_DFR, APIC_DFR_FLAT);
		apic_write(APIC_LDR, 1U << 24);
		apic_write(APIC_ICR_HIGH, 0);
	}
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_TDCR, 0);
	apic_write(APIC_TPR, 0);
	irq_enable();
	/* What earlier programs have left: one EOI for each, and for each that then comes. */
	for (unsigned int i = 0; i < 512; i++)
		apic_eoi();
	settle(0);
}

static void run_step(const struct step *step, struct observation *now)
{
	uint32_t msr = MSR_X2APIC + (step->reg >> 4);

	switch (step->operation) {
	case WRITE:
		if (!guest_self()->x2apic)
			mmio_write32(APIC_BASE_ADDR + step->reg, step->value);
		else
			now->refused = !msr_try_write(msr, step->value);
		break;
	case READ:
		/* Reads of ESR and TMCCT are left to chance. */
		if (step->reg == APIC_TMCCT || step->reg == APIC_ESR)
			break;
		if (!guest_self()->x2apic)
			now->value = mmio_read32(APIC_BASE_ADDR + step->reg);
		else
			now->refused = !msr_try_read(msr, &now->value);
		now->value &= significant(step->reg);
		break;
	case SEND:
		write_icr(step->value);
		break;
	case EOI:
		apic_eoi();
		break;
	case SET_CR8:
		write_cr8(step->value);
		break;
	case SET_IF:
		if (step->value)
			irq_enable();
		else
			irq_disable();
		break;
	default:
		break;
	}
}

static void run_program(uint32_t number)
{
	running = number;
	prepare();
	for (unsigned int i = 0; i < STEPS; i++) {
		const struct step *step = &programs[number].steps[i];
		struct observation *now = &seen[number][i];

		viewing[PEER] = &now->views[PEER];
		viewing[ACTOR] = &now->views[ACTOR];
		run_step(step, now);
		settle(step->operation == PEER_SENDS ? step->value : 0);
		look(&now->views[ACTOR]);
		now->cr8 = read_cr8();
	}
	/* So that handlers end what is left. */
	running = BATCH;
	prepare();
}

static void actor(uint64_t arg)
{
	uint32_t count = arg;

	guest_wait(go);
	for (uint32_t i = 0; i < count; i++) {
		run_program(i);
		done++;
	}
	guest_wait(go == UINT32_MAX);
}

/* ---- The host ---- */

enum side { PLAIN, ACCELERATED, TOGGLED };

/* Acceleration comes or goes; false. */
static bool toggle(struct vm *vm, uint32_t *toggles)
{
	vm_block(vm, (*toggles)++ % 2 == 0);
	sleep_us(200 + host_random() % 2000);
	return false;
}

/* Returns how often acceleration came or went. */
static uint32_t run_side(struct __test_metadata *_metadata, enum side side, unsigned int count)
{
	struct vm *vm = vm_create(mode);
	uint32_t toggles = 0;
	bool active;

	memset(seen, 0, sizeof(seen));
	asked = answered = done = go = 0;
	vm_add_vcpu(vm, ACTOR, actor, count);
	vm_add_vcpu(vm, PEER, peer, 0);
	vm_add_blocker(vm);
	if (side == PLAIN)
		vm_block(vm, true);
	vm_start(vm);
	active = vcpu_is_accelerated(&vm->vcpus[ACTOR]);
	EXPECT_EQ(side != PLAIN && mode_is_accelerated(), active);
	go = 1;
	for (unsigned int i = 0; i < count; i++)
		vm_wait(vm, done > i || (side == TOGGLED && toggle(vm, &toggles)),
			"the next program ends");
	go = UINT32_MAX;
	vm_join(vm);
	vm_destroy(vm);
	return toggles;
}

static void show_step(const struct step *step)
{
	NOTE("  %s %03x %llx\n", operation_names[step->operation], step->reg,
	     (unsigned long long)step->value);
}

static void show_view(const char *who, const struct view *want, const struct view *got)
{
	for (unsigned int i = 0; i < COMPARED; i++)
		if (want->regs[i] != got->regs[i])
			NOTE("  %s: register %03x: %x, accelerated %x\n", who, compared[i], want->regs[i],
			     got->regs[i]);
	for (unsigned int vector = 0; vector < 256; vector++) {
		bool wanted = want->taken[vector / 32] >> vector % 32 & 1;

		if (wanted != (got->taken[vector / 32] >> vector % 32 & 1))
			NOTE("  %s: vector %02x %s\n", who, vector, wanted ? "missing" : "too much");
	}
	if (want->count != got->count)
		NOTE("  %s: %u interrupts, accelerated %u\n", who, want->count, got->count);
}

/* Shows the first step that differs; false if there is one. */
static bool compare(uint64_t seed, unsigned int number)
{
	for (unsigned int i = 0; i < STEPS; i++) {
		const struct observation *want = &plain[number][i], *got = &seen[number][i];

		if (!memcmp(want, got, sizeof(*want)))
			continue;
		NOTE("seed %llu, step %u of these:\n", (unsigned long long)(seed + number), i);
		for (unsigned int n = 0; n <= i; n++)
			show_step(&programs[number].steps[n]);
		if (want->refused != got->refused)
			NOTE("  %s, not accelerated\n", want->refused ? "refused" : "allowed");
		if (want->value != got->value || want->cr8 != got->cr8)
			NOTE("  value %llx, accelerated %llx; cr8 %llx, accelerated %llx\n",
			     (unsigned long long)want->value, (unsigned long long)got->value,
			     (unsigned long long)want->cr8, (unsigned long long)got->cr8);
		show_view("actor", &want->views[ACTOR], &got->views[ACTOR]);
		show_view("peer", &want->views[PEER], &got->views[PEER]);
		return false;
	}
	return true;
}

static void differ(struct __test_metadata *_metadata, enum side side)
{
	uint64_t first = host_random_state, seed;
	unsigned int interrupts = 0, refused = 0;
	uint32_t toggles = 0;

	if (!accel_check()->active)
		SKIP(return, "no acceleration to compare with");
	if (stock_before(6, 12))
		SKIP(return, "stock KVM of this Linux is known to differ");
	guest_msr_begin();
	guest_set_handler(VECTOR_NMI, on_vector);
	for (unsigned int vector = FIRST_VECTOR; vector < 256; vector++)
		guest_set_handler(vector, on_vector);
	for (seed = first; seed < first + rounds; seed += BATCH) {
		unsigned int count = first + rounds - seed < BATCH ? first + rounds - seed : BATCH;

		write_programs(seed, count);
		run_side(_metadata, PLAIN, count);
		memcpy(plain, seen, sizeof(plain));
		toggles += run_side(_metadata, side, count);
		for (unsigned int i = 0; i < count; i++) {
			ASSERT_TRUE(compare(seed, i));
			for (unsigned int n = 0; n < STEPS; n++) {
				interrupts += seen[i][n].views[ACTOR].count + seen[i][n].views[PEER].count;
				refused += seen[i][n].refused;
			}
		}
	}
	NOTE("seeds %llu to %llu: %u interrupts, %u accesses refused, %u changes\n",
	     (unsigned long long)first, (unsigned long long)(first + rounds - 1), interrupts, refused,
	     toggles);
	EXPECT_LT(rounds, interrupts);
	if (side == TOGGLED)
		EXPECT_LT(2, toggles);
}

TEST_F(guest, accelerated_it_sees_what_it_sees_without)
{
	differ(_metadata, ACCELERATED);
}

TEST_F(guest, while_acceleration_comes_and_goes_it_sees_what_it_sees_without)
{
	MAY_LOSE_INTERRUPTS();
	differ(_metadata, TOGGLED);
}

TEST_MAIN(2)
