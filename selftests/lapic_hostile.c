// SPDX-License-Identifier: GPL-2.0-only
/*
 * Malformed APIC images and addresses from the host's hands: whatever KVM_SET_LAPIC is given, it
 * either refuses it or has a defined result, and the vCPU that then runs with it can be brought
 * back by a good image.
 *
 * What is demanded, of every image:
 *  - It is refused, with EINVAL, if and only if the vCPU is in x2APIC mode and the image's ID is
 *    not the vCPU's.  A refused image changes nothing.
 *  - Else each register reads back as given, but for those that are not the image's to say: the
 *    version; in x2APIC mode the LDR; PPR, which follows from TPR and ISR; and the timer's
 *    counts.  Going to or from TSC-deadline mode stops the timer, which makes both of them 0;
 *    the current count is at most what is left of the initial one.  The timer runs, so its own
 *    interrupt may be pending already.
 *  - A vCPU that runs with it causes no exit to the host that it does not cause otherwise.
 *  - After a good state is restored, it starts anew, nothing is pending, and of one IPI that is
 *    sent to it there comes one interrupt.
 *  - The host's kernel says nothing that sounds like a warning, which is the testbed's to see.
 *
 * Most images are put on top of each other; the vCPU runs with one of a few.
 */
#include <sys/ioctl.h>

#include "lib/test.h"

#include "lib/hyperv.h"
#include "lib/lapic.h"
#include "lib/state.h"

#define VICTIM		1
#define ANSWER_VECTOR	0x71
#define HOSTILE_VECTOR	0x40
/* A run costs as much as a hundred images. */
#define IMAGES_PER_RUN	40
/* KVM allows no shorter period of a timer, to spare the host. */
#define MIN_PERIOD_PARAMETER "/sys/module/kvm/parameters/min_timer_period_us"

/* ---- the guest ---- */

static volatile bool bombarding, bombard, stop;
static volatile uint32_t asked, questions, taken, starts;

/* Never returns: frames of interrupts on exceptions' vectors are not as the stubs take them. */
static void __attribute__((noreturn)) victim_loop(void)
{
	struct guest_cpu *self = guest_self();

	irq_enable();
	for (;;) {
		for (unsigned int i = 0; i < 64; i++)
			cpu_pause();
		if (guest_random() & 1)
			halt_with_irqs();
		self->random++;
	}
}

static void victim(uint64_t arg)
{
	(void)arg;
	if (!guest_self()->x2apic)
		apic_write(APIC_LDR, 1U << (24 + VICTIM));
	starts++;
	victim_loop();
}

/* For every vector: an image may make any of them pending. */
static void victim_handler(struct guest_frame *frame)
{
	struct guest_cpu *self = guest_self();

	if (self->index != VICTIM)
		guest_fail("the wrong vCPU got an interrupt", __FILE__, __LINE__, frame->vector, 0);
	self->irqs[frame->vector]++;
	taken++;
	apic_eoi();
	/* Begin anew, with an empty stack, whose top the host has left there. */
	__asm__ volatile("mov %0, %%rsp; call *%1" :: "r"(self->arg), "r"(victim_loop) : "memory");
	__builtin_unreachable();
}

static void hostile_sends(void)
{
	uint32_t low = ICR_FIXED | ICR_ASSERT | HOSTILE_VECTOR;

	switch (guest_random() % 3) {
	case 0:
		apic_send(1U << VICTIM, low | ICR_LOGICAL);
		break;
	case 1:
		apic_send(0, low | ICR_TO_OTHERS);
		break;
	default:
		apic_send_fixed(VICTIM, HOSTILE_VECTOR);
	}
	guest_delay(guest_random() % 0x400);
}

/* vCPU 0: asks the victim when the host says so, and sends without end meanwhile if told to. */
static void asker(uint64_t arg)
{
	(void)arg;
	while (!stop) {
		bombarding = bombard;
		if (bombarding)
			hostile_sends();
		if (questions != asked) {
			apic_send_fixed(VICTIM, ANSWER_VECTOR);
			full_barrier();
			questions = asked;
		}
		guest_poll();
	}
}

/* ---- the host ---- */

/* What is being tried, for whoever has to find out why it failed. */
static struct {
	uint32_t number;
	struct kvm_lapic_state image;
} trial;

static struct vcpu_state good;

static void print_trial(struct vm *vm)
{
	(void)vm;
	fprintf(stderr, "# image %u:\n", trial.number);
	for (uint32_t reg = 0; reg < sizeof(trial.image.regs); reg += 0x10)
		fprintf(stderr, "%s %03x=%08x%s", reg % 0x80 ? "" : "# ", reg,
			lapic_read(&trial.image, reg), reg % 0x80 == 0x70 ? "\n" : "");
}

static struct vm *begin(unsigned int options)
{
	struct vm *vm = vm_create(options);
	struct vcpu *victim_vcpu;

	bombarding = bombard = stop = false;
	asked = questions = taken = starts = 0;
	for (unsigned int v = 0; v < 256; v++)
		guest_set_handler(v, victim_handler);
	vm->on_failure = print_trial;
	vm_add_vcpu(vm, 0, asker, 0);
	victim_vcpu = vm_add_vcpu(vm, VICTIM, victim, 0);
	vcpu_save(victim_vcpu, &good);
	/* Enabled from the start: KVM sets the TPR threshold only then. */
	lapic_write(&good.lapic, APIC_SPIV, APIC_SPIV_ENABLE | 0xff);
	victim_vcpu->guest->arg = good.regs.rsp;
	vm_start(vm);
	vm_wait(vm, starts == 1, "the vCPU starts");
	return vm;
}

static void end(struct vm *vm)
{
	stop = true;
	vm_wait(vm, vm->vcpus[0].finished, "vCPU 0 ends");
	vm_destroy(vm);
}

static void set_bombard(struct vm *vm, bool on)
{
	bombard = on;
	vm_wait(vm, bombarding == on, "vCPU 0 does as it is told");
}

static void maybe_bombard(struct vm *vm)
{
	set_bombard(vm, host_random() % 2);
}

/* All that is sent has arrived, so that it cannot be taken for an image's doing. */
static void pause_quietly(struct vm *vm)
{
	vcpu_pause(&vm->vcpus[VICTIM]);
	set_bombard(vm, false);
}

static void expect_empty(struct vm *vm, uint32_t base, const char *when)
{
	struct kvm_lapic_state lapic;
	int vector;

	vcpu_ioctl(&vm->vcpus[VICTIM], KVM_GET_LAPIC, &lapic);
	vector = lapic_highest(&lapic, base);
	if (vector >= 0)
		vm_fail(vm, "vector %xh is set in the registers from %03x on %s", vector, base,
			when);
}

/* From its very beginning, since no image says how far it came; the victim is paused. */
static void recover(struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpus[VICTIM];
	uint32_t answers = vcpu->guest->irqs[ANSWER_VECTOR];
	uint32_t taken_before = taken, starts_before = starts;
	struct vcpu_state rest;

	/* An INIT that the timer made pending is carried out here. */
	vcpu_save(vcpu, &rest);
	vcpu_restore(vcpu, &good);
	expect_empty(vm, APIC_ISR, "right after a good image");
	expect_empty(vm, APIC_TMR, "right after a good image");
	expect_empty(vm, APIC_IRR, "right after a good image");
	vcpu_resume(vcpu);
	vm_wait(vm, starts != starts_before, "the vCPU starts anew with a good image");
	asked++;
	vm_wait(vm, questions == asked, "vCPU 0 has sent its IPI");
	vm_wait(vm, taken != taken_before, "the vCPU answers an IPI after a good image");
	vcpu_pause(vcpu);
	expect_empty(vm, APIC_IRR, "after the answer");
	if (taken != taken_before + 1 || vcpu->guest->irqs[ANSWER_VECTOR] != answers + 1)
		vm_fail(vm, "%u interrupts after a good image, though one was sent",
			taken - taken_before);
	vcpu_resume(vcpu);
}

/* ---- images ---- */

#define REGISTERS (sizeof(((struct kvm_lapic_state *)0)->regs) / 0x10)

static void fill(struct kvm_lapic_state *image)
{
	for (unsigned int i = 0; i < sizeof(image->regs); i++)
		image->regs[i] = host_random();
}

static void make_timer_strange(struct kvm_lapic_state *image)
{
	static const uint32_t counts[] = { 0, 1, 2, 1000, 0x7fffffff, 0x80000000, 0xffffffff };

	lapic_write(image, APIC_LVT_TIMER, host_random() & (host_random() % 2 ? 0x700ff : 0xffffffff));
	lapic_write(image, APIC_TMICT, counts[host_random() % 7]);
	lapic_write(image, APIC_TMCCT, counts[host_random() % 7]);
	lapic_write(image, APIC_TDCR, host_random() & (host_random() % 2 ? 0xb : 0xffffffff));
}

/* One of several ways to spoil a good image. */
static void make_hostile(struct kvm_lapic_state *image)
{
	unsigned int kind = host_random() % 8;
	uint32_t id = lapic_read(image, APIC_ID);

	switch (kind) {
	case 0:
		fill(image);
		break;
	case 1:
		memset(image->regs, host_random() % 2 ? 0xff : 0, sizeof(image->regs));
		break;
	case 2:
		lapic_write(image, host_random() % REGISTERS * 0x10, host_random());
		break;
	case 3:
		image->regs[host_random() % sizeof(image->regs)] ^= 1U << host_random() % 8;
		break;
	case 4:
		lapic_write(image, APIC_ID, host_random() % 2 ? host_random() :
			    host_random() % 4 << 24 * (host_random() % 2));
		return;
	case 5:
		/* Vectors that no interrupt can have, and those of exceptions, among others. */
		for (uint32_t reg = APIC_ISR; reg < APIC_ESR; reg += 0x10)
			lapic_write(image, reg, host_random() & host_random());
		break;
	case 6:
		make_timer_strange(image);
		break;
	case 7:
		lapic_write(image, APIC_LVT_LINT0, host_random());
		lapic_write(image, APIC_SPIV, host_random());
		lapic_write(image, APIC_TPR, host_random());
		lapic_write(image, APIC_DFR, host_random());
		lapic_write(image, APIC_LDR, host_random());
		break;
	}
	/* Most of them shall get past the look at the ID. */
	if (host_random() % 4)
		lapic_write(image, APIC_ID, id);
}

/* A timer interrupt as SMI would need memory for its state that the guest has not. */
static bool may_run(const struct kvm_lapic_state *image)
{
	return (lapic_read(image, APIC_LVT_TIMER) & 0x700) != ICR_SMI;
}

static uint32_t timer_mode(const struct kvm_lapic_state *image)
{
	return lapic_read(image, APIC_LVT_TIMER) & APIC_TIMER_MODE;
}

static unsigned int min_period_us(struct vm *vm)
{
	static unsigned int us;
	FILE *file;

	if (us)
		return us;
	file = fopen(MIN_PERIOD_PARAMETER, "re");
	if (!file || fscanf(file, "%u", &us) != 1 || !us)
		vm_fail(vm, "%s is not readable", MIN_PERIOD_PARAMETER);
	fclose(file);
	return us;
}

/* Stock KVM changes SPIV and forgets what is posted before it looks at the ID. */
static bool refusal_is_known_to_leave_traces(void)
{
	return !vapic_takes_over("kvm_apic_set_state");
}

/* Stock KVM computes PPR from what it knew of ISR before: see lib/state_check.h. */
static bool ppr_is_known_to_be_wrong(void)
{
	return !vapic_takes_over("kvm_apic_set_state");
}

static uint32_t wrong_pprs, wrong_spivs;

/* Bits of this register that the timer may have changed: it can fire at any time. */
static uint32_t changed_by_timer(const struct kvm_lapic_state *after, uint32_t reg)
{
	uint32_t lvt = lapic_read(after, APIC_LVT_TIMER), mode = lvt & 0x700;
	uint32_t offset = (lvt & 0xff) / 32 * 0x10;

	if (lvt & APIC_LVT_MASKED || (mode != ICR_FIXED && mode != ICR_LOWEST) ||
	    (reg != APIC_IRR + offset && reg != APIC_TMR + offset))
		return 0;
	return 1U << lvt % 32;
}

static void check_same(struct vm *vm, const char *what, uint32_t reg, uint32_t wanted,
		       const struct kvm_lapic_state *after)
{
	uint32_t got = lapic_read(after, reg);

	if ((wanted ^ got) & ~changed_by_timer(after, reg))
		vm_fail(vm, "after %s image, register %03x should read back as %x, not %x", what,
			reg, wanted, got);
}

static void check_refused(struct vm *vm, const struct kvm_lapic_state *before,
			  const struct kvm_lapic_state *image, const struct kvm_lapic_state *after)
{
	for (uint32_t reg = 0; reg < sizeof(image->regs); reg += 0x10) {
		uint32_t wanted = lapic_read(before, reg);

		/* The timer runs on. */
		if (reg == APIC_TMCCT)
			continue;
		if (reg == APIC_SPIV && refusal_is_known_to_leave_traces() &&
		    lapic_read(after, reg) != wanted) {
			wrong_spivs++;
			wanted = lapic_read(image, reg);
		}
		check_same(vm, "a refused", reg, wanted, after);
	}
}

/* Upper limit of the timer's current count, before which it may begin anew. */
static uint32_t max_count(struct vm *vm, const struct kvm_lapic_state *image,
			  const struct kvm_lapic_state *after)
{
	uint32_t initial = lapic_read(after, APIC_TMICT), left = lapic_read(image, APIC_TMCCT);
	/* Where the period is made longer, so is what is left of it: of the shortest count. */
	uint32_t shortest = min_period_us(vm) * 1000;

	if (!initial)
		return 0;
	switch (timer_mode(image)) {
	case APIC_TIMER_DEADLINE:
		return 0;
	case APIC_TIMER_ONESHOT:
		return left < initial ? left : initial;
	case APIC_TIMER_PERIODIC:
		return initial > shortest ? initial : shortest;
	default:
		/* A reserved mode, which counts nothing. */
		return ~0U;
	}
}

static void check_accepted(struct vm *vm, const struct kvm_lapic_state *before,
			   const struct kvm_lapic_state *image, const struct kvm_lapic_state *after)
{
	bool x2apic = vm->options & VM_X2APIC;
	bool stopped = (timer_mode(before) == APIC_TIMER_DEADLINE) !=
		       (timer_mode(image) == APIC_TIMER_DEADLINE);

	for (uint32_t reg = 0; reg < sizeof(image->regs); reg += 0x10) {
		uint32_t wanted = lapic_read(image, reg), got = lapic_read(after, reg);

		switch (reg) {
		case APIC_VERSION:
			wanted = lapic_read(before, reg);
			break;
		case APIC_PPR:
			wanted = lapic_ppr(image);
			if (wanted != got && ppr_is_known_to_be_wrong()) {
				wrong_pprs++;
				continue;
			}
			break;
		case APIC_LDR:
			if (x2apic)
				wanted = lapic_read(before, reg);
			break;
		case APIC_TMICT:
			if (stopped)
				wanted = 0;
			break;
		case APIC_TMCCT:
			if (got > max_count(vm, image, after))
				vm_fail(vm, "the timer's current count reads back as %x, more "
					"than %x", got, max_count(vm, image, after));
			continue;
		}
		check_same(vm, "an accepted", reg, wanted, after);
	}
}

/* The victim is paused; true if the image was refused. */
static bool try_image(struct vm *vm, uint32_t number)
{
	struct vcpu *vcpu = &vm->vcpus[VICTIM];
	struct kvm_lapic_state before, image, after;
	bool refuse;
	int result;

	trial.number = number;
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &before);
	image = before;
	make_hostile(&image);
	trial.image = image;
	refuse = vm->options & VM_X2APIC && lapic_read(&image, APIC_ID) != VICTIM;
	result = ioctl(vcpu->fd, KVM_SET_LAPIC, &image) ? -errno : 0;
	if (result != (refuse ? -EINVAL : 0))
		vm_fail(vm, "KVM_SET_LAPIC returned %d where %s", result,
			refuse ? "the ID is wrong" : "nothing forbids it");
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &after);
	if (refuse)
		check_refused(vm, &before, &trial.image, &after);
	else
		check_accepted(vm, &before, &trial.image, &after);
	return refuse;
}

/* All but the APIC is put right: an image's timer may have made SMI or INIT pending. */
static bool run_with_image(struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpus[VICTIM];
	struct vcpu_state hostile = good, rest;

	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &hostile.lapic);
	if (!may_run(&hostile.lapic))
		return false;
	/* Past where the guest sets up its APIC, which would undo some of it. */
	hostile.regs.rip = (uint64_t)victim_loop;
	vcpu_save(vcpu, &rest);
	vcpu_restore(vcpu, &hostile);
	maybe_bombard(vm);
	vcpu_resume(vcpu);
	sleep_us(host_random() % 500);
	pause_quietly(vm);
	return true;
}

static void set_inhibit(struct vm *vm, bool on)
{
	hyperv_set_auto_eoi(&vm->vcpus[VICTIM], on);
}

/* Images make KVM inhibit acceleration, too, and good ones let it come back. */
static void expect_acceleration(struct __test_metadata *_metadata, struct vm *vm)
{
	if (!(vm->options & VM_X2APIC))
		EXPECT_EQ(accel_check()->active, vcpu_is_accelerated(&vm->vcpus[0]));
}

static void attack(struct __test_metadata *_metadata, unsigned int options)
{
	struct vm *vm = begin(options);
	uint32_t refused = 0, runs = 0, number = 0;

	NOTE("seed %#llx\n", (unsigned long long)host_random_state);
	wrong_pprs = wrong_spivs = 0;
	pause_quietly(vm);
	hyperv_require(&vm->vcpus[VICTIM]);
	recover(vm);
	expect_acceleration(_metadata, vm);
	while (number < rounds) {
		maybe_bombard(vm);
		sleep_us(host_random() % 200);
		pause_quietly(vm);
		/* It only waits, at the expense of an emulated machine. */
		vcpu_pause(&vm->vcpus[0]);
		for (unsigned int i = 0; i < IMAGES_PER_RUN && number < rounds; i++)
			refused += try_image(vm, number++);
		vcpu_resume(&vm->vcpus[0]);
		runs += run_with_image(vm);
		/*
		 * Not right before an image: on Intel KVM sets the TPR threshold only of an APIC
		 * that is enabled and not accelerated, and an old one can forbid the next entry.
		 */
		if (host_random() % 4 == 0)
			set_inhibit(vm, host_random() % 2);
		recover(vm);
	}
	pause_quietly(vm);
	set_inhibit(vm, false);
	recover(vm);
	expect_acceleration(_metadata, vm);
	NOTE("%u images: %u refused, ran with %u, %u interrupts taken\n", number, refused, runs,
	     taken);
	if (wrong_pprs || wrong_spivs)
		NOTE("stock KVM: %u images had a wrong PPR, %u refused ones changed SPIV\n",
		     wrong_pprs, wrong_spivs);
	end(vm);
	EXPECT_EQ(rounds, number);
	if (rounds < 1000)
		return;
	EXPECT_LT(0, runs);
	/* Each recovery takes one, with nothing hostile about it. */
	EXPECT_LT(rounds / IMAGES_PER_RUN + 3, taken);
	EXPECT_EQ(!!(options & VM_X2APIC), refused > 0);
}

TEST(xapic_vcpu_survives_any_image)
{
	REQUIRE_EXPECTED_ACCELERATION();
	attack(_metadata, 0);
}

TEST(x2apic_vcpu_survives_any_image)
{
	REQUIRE_EXPECTED_ACCELERATION();
	attack(_metadata, VM_X2APIC);
}

/* ---- single cases ---- */

/* The victim is paused, and holds @held. */
static struct vm *begin_paused(unsigned int options, struct kvm_lapic_state *held)
{
	struct vm *vm = begin(options);

	pause_quietly(vm);
	vcpu_ioctl(&vm->vcpus[VICTIM], KVM_GET_LAPIC, held);
	return vm;
}

/* Tries an image with a wrong ID; before and after are what the APIC held. */
static void refuse_one(struct vm *vm, const struct kvm_lapic_state *before,
		       struct kvm_lapic_state *after)
{
	struct vcpu *vcpu = &vm->vcpus[VICTIM];
	struct kvm_lapic_state image = *before;

	lapic_write(&image, APIC_ID, VICTIM + 1);
	lapic_write(&image, APIC_SPIV, 0x0f);
	lapic_set(&image, APIC_IRR, HOSTILE_VECTOR + 1, true);
	trial.image = image;
	if (ioctl(vcpu->fd, KVM_SET_LAPIC, &image) != -1 || errno != EINVAL)
		vm_fail(vm, "an image with a wrong ID is not refused");
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, after);
}

TEST(refused_image_changes_nothing)
{
	struct kvm_lapic_state before, after;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_paused(VM_X2APIC, &before);
	refuse_one(vm, &before, &after);
	check_refused(vm, &before, &trial.image, &after);
	end(vm);
	if (refusal_is_known_to_leave_traces() && wrong_spivs)
		EXPECTED_FAILURE(return, "stock KVM: SPIV is set before the ID is looked at");
	EXPECT_EQ(lapic_read(&before, APIC_SPIV), lapic_read(&after, APIC_SPIV));
}

TEST(refused_image_keeps_what_is_pending)
{
	struct kvm_lapic_state before, after;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_paused(VM_X2APIC, &before);
	/* Posted, on Intel: nothing has seen it when the image comes. */
	vm_send_msi(vm, VICTIM, HOSTILE_VECTOR);
	refuse_one(vm, &before, &after);
	end(vm);
	if (refusal_is_known_to_leave_traces() && !lapic_bit(&after, APIC_IRR, HOSTILE_VECTOR))
		EXPECTED_FAILURE(return, "stock KVM: what is posted is discarded before the ID is looked at");
	EXPECT_TRUE(lapic_bit(&after, APIC_IRR, HOSTILE_VECTOR));
	EXPECT_FALSE(lapic_bit(&after, APIC_IRR, HOSTILE_VECTOR + 1));
}

/* Even the shortest timer leaves the host some time. */
TEST(period_of_a_restored_timer_is_limited)
{
	struct kvm_lapic_state image;
	uint32_t before, ticks;
	struct timespec begun, ended;
	struct vcpu *vcpu;
	uint64_t us;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_paused(0, &image);
	vcpu = &vm->vcpus[VICTIM];
	lapic_write(&image, APIC_LVT_TIMER, HOSTILE_VECTOR | APIC_TIMER_PERIODIC);
	lapic_write(&image, APIC_TDCR, 0xb);
	lapic_write(&image, APIC_TMICT, 1);
	lapic_write(&image, APIC_TMCCT, 1);
	before = vcpu->guest->irqs[HOSTILE_VECTOR];
	clock_gettime(CLOCK_MONOTONIC, &begun);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &image);
	vcpu_resume(vcpu);
	vm_wait_slowly(vm, vcpu->guest->irqs[HOSTILE_VECTOR] - before >= 20, "the timer ticks");
	vcpu_pause(vcpu);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	ticks = vcpu->guest->irqs[HOSTILE_VECTOR] - before;
	us = (ended.tv_sec - begun.tv_sec) * 1000000ULL + ended.tv_nsec / 1000 -
	     begun.tv_nsec / 1000;
	NOTE("%u ticks in %llu us\n", ticks, (unsigned long long)us);
	EXPECT_LE(ticks, us / min_period_us(vm) + 2);
	recover(vm);
	end(vm);
}

/* ---- KVM_SET_VAPIC_ADDR ---- */

#define FAR_PAGE	0x100000000UL

static uint8_t far_page[2][4096] __attribute__((aligned(4096)));

static int set_vapic_addr(struct vcpu *vcpu, uint64_t address)
{
	struct kvm_vapic_addr vapic = { .vapic_addr = address };

	return ioctl(vcpu->fd, KVM_SET_VAPIC_ADDR, &vapic) ? -errno : 0;
}

static void map_far_page(struct vm *vm, bool on)
{
	static bool mapped;
	struct kvm_userspace_memory_region memory = {
		.slot = 1, .guest_phys_addr = FAR_PAGE,
		.memory_size = on ? sizeof(far_page) : 0, .userspace_addr = (uint64_t)far_page,
	};

	if (on != mapped)
		vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory);
	mapped = on;
}

static uint64_t address_in(uint64_t first, uint64_t size)
{
	return first + host_random() % size;
}

TEST(vapic_page_outside_memory_is_refused_and_one_that_goes_is_forgotten)
{
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	NOTE("seed %#llx\n", (unsigned long long)host_random_state);
	vm = begin(0);
	vcpu = &vm->vcpus[VICTIM];
	map_far_page(vm, true);
	for (uint32_t i = 0; i < (rounds + IMAGES_PER_RUN - 1) / IMAGES_PER_RUN; i++) {
		uint64_t beyond = FAR_PAGE + sizeof(far_page), address;
		int wanted, result;

		switch (host_random() % 6) {
		case 0:
			/* Off: always. */
			address = 0, wanted = 0;
			break;
		case 1:
			/* Aligned or not, within a page or across two. */
			address = address_in(FAR_PAGE, sizeof(far_page) - 3), wanted = 0;
			break;
		case 2:
			/* It ends beyond. */
			address = address_in(beyond - 3, 3), wanted = -EINVAL;
			break;
		case 3:
			address = address_in(beyond, 1ULL << 40), wanted = -EINVAL;
			break;
		case 4:
			/* It ends beyond all addresses. */
			address = address_in(-3ULL, 3), wanted = -EINVAL;
			break;
		default:
			/* Beyond what any processor has. */
			address = 1ULL << 52 | host_random(), wanted = -EINVAL;
		}
		vcpu_pause(vcpu);
		result = set_vapic_addr(vcpu, address);
		if (result != wanted)
			vm_fail(vm, "address %u, %llx: KVM_SET_VAPIC_ADDR returned %d, not %d", i,
				(unsigned long long)address, result, wanted);
		/* What the guest could write there. */
		for (unsigned int b = 0; b < sizeof(far_page); b++)
			((uint8_t *)far_page)[b] = host_random();
		if (host_random() % 4 == 0)
			map_far_page(vm, false);
		vcpu_resume(vcpu);
		sleep_us(host_random() % 200);
		vcpu_pause(vcpu);
		EXPECT_EQ(0, set_vapic_addr(vcpu, 0));
		recover(vm);
		map_far_page(vm, true);
	}
	end(vm);
}

TEST_MAIN(5000)
