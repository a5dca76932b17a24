// SPDX-License-Identifier: GPL-2.0-only
/*
 * Save and restore at random points.  Guests send and take IPIs, take timer and level-triggered
 * interrupts, raise TPR, disable interrupts, nest handlers and halt; the host stops them all,
 * saves them and restores them, into the same VM or into a second one that goes on, accelerated
 * or inhibited.  What is restored must read back as it was saved, and no interrupt may be lost
 * or come twice.
 *
 * How each interrupt is accounted for:
 *  - IPI: a vector belongs to one sender, which sends it to a target again only when the target
 *    has handled the last one.  So no two coalesce; a lost one blocks its channel for ever and is
 *    named, and a second one finds nothing outstanding.
 *  - Level: likewise, the device raises its line again only when the last was handled.
 *  - Timer, one-shot and TSC deadline: armed again only when it has fired, with another vector.
 *    KVM_GET_LAPIC does not tell a one-shot timer that has just fired from one whose interrupt
 *    was handled long ago, and KVM_SET_LAPIC lets both fire.  So for each restore that finds one
 *    run down, one more interrupt may come.
 *  - Timer, periodic: it goes on, and not faster than its period.  One may come after its end.
 */
#include "lib/test.h"

#include <time.h>

#include "lib/hyperv.h"
#include "lib/ioapic.h"
#include "lib/lapic.h"
#include "lib/state.h"

/* vCPU 0 never halts, so that there is always one to wake the others. */
#define VCPUS		3

/*
 * The vector's two lowest bits say whose it is: a sender's, or the target's own, for its timer
 * and its level-triggered pin.  So every priority class has some of each.
 */
#define FIRST_VECTOR	0x30
#define LAST_VECTOR	0xdf
#define OWNER(vector)	((vector) & 3)
#define OWN		3

/* One each: an EOI ends all pins of its vector. */
#define LEVEL_VECTOR(cpu) (0x53 + 0x30 * (cpu))
/* Comes only if a restore does not undo what happened since the save. */
#define GHOST_VECTOR	0xe1
#define STOP_VECTOR	0xee

#define PIN(cpu)	(20 + (cpu))
/* A write of the vCPU's index: its line goes down. */
#define LOWER_PORT	0x5a1

struct channel {
	volatile uint32_t sent;		/* by the sender, before it sends */
	volatile uint32_t handled;	/* by the target, after its EOI */
};

/* By target. */
static struct channel ipis[VCPUS][256];
static struct channel levels[VCPUS];

struct timer {
	volatile uint32_t mode;		/* of APIC_TIMER_MODE */
	volatile uint8_t vector;
	volatile bool armed;		/* one-shot or deadline: to fire; periodic: running */
	volatile uint32_t armings, ticks;
	volatile uint64_t armed_tsc, period_tsc;
	volatile uint32_t armed_at_restore;
	volatile uint32_t strays;	/* with nothing armed */
	volatile uint32_t strays_allowed;
};

static struct actor {
	struct timer timer;
	volatile uint32_t level;	/* class being handled, 0 if none */
	volatile uint32_t tpr;
} actors[VCPUS];

static volatile uint32_t present, restores;
static volatile uint64_t tsc_per_ms;
static volatile bool quiet, stop;

/* ---- the guest ---- */

static uint32_t random_below(uint32_t limit)
{
	return guest_random() % limit;
}

static bool is_level(uint8_t vector)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		if (vector == LEVEL_VECTOR(i))
			return true;
	return false;
}

static uint8_t random_vector(unsigned int owner)
{
	uint8_t vector;

	do
		vector = FIRST_VECTOR + random_below(LAST_VECTOR - FIRST_VECTOR + 1);
	while (OWNER(vector) != owner || is_level(vector));
	return vector;
}

static bool is_free(const struct channel *channel)
{
	return channel->handled == channel->sent;
}

/* Priorities must hold, restored or not; sometimes stay for a while and let others nest. */
static uint32_t enter(struct actor *me, uint8_t vector)
{
	uint32_t before = me->level;

	if (vector >> 4 <= before || vector >> 4 <= me->tpr >> 4)
		guest_fail("an interrupt came in spite of its priority (a: vector, b: class, TPR)",
			   __FILE__, __LINE__, vector, before << 16 | me->tpr);
	me->level = vector >> 4;
	guest_self()->irqs[vector]++;
	if (random_below(2)) {
		irq_enable();
		guest_delay(random_below(0x3000));
		irq_disable();
	}
	return before;
}

static void leave(struct actor *me, uint32_t before)
{
	me->level = before;
	apic_eoi();
	full_barrier();
}

static void ipi_handler(struct guest_frame *frame)
{
	unsigned int index = guest_self()->index;
	struct channel *channel = &ipis[index][frame->vector];
	uint32_t before;

	if (is_free(channel))
		guest_fail("an IPI came that nobody sent (a: vector, b: number)", __FILE__,
			   __LINE__, frame->vector, channel->handled);
	before = enter(&actors[index], frame->vector);
	leave(&actors[index], before);
	channel->handled++;
}

static void level_handler(struct guest_frame *frame)
{
	unsigned int index = guest_self()->index;
	uint32_t before;

	if (is_free(&levels[index]))
		guest_fail("a level interrupt came without its line (a: number)", __FILE__,
			   __LINE__, levels[index].handled, 0);
	before = enter(&actors[index], frame->vector);
	__asm__ volatile("outb %0, %1" :: "a"((uint8_t)index), "d"((uint16_t)LOWER_PORT) : "memory");
	leave(&actors[index], before);
	levels[index].handled++;
}

static void tick(struct timer *timer)
{
	uint64_t passed = read_tsc() - timer->armed_tsc;
	uint64_t periods = passed / timer->period_tsc;

	timer->ticks++;
	/* One early by a rounding, one by each restore, and clocks that differ a little. */
	if (timer->ticks > periods + periods / 8 + 2 + (restores - timer->armed_at_restore))
		guest_fail("a periodic timer ticks too often (a: ticks, b: periods)", __FILE__,
			   __LINE__, timer->ticks, periods);
}

static void timer_handler(struct guest_frame *frame)
{
	struct actor *me = &actors[guest_self()->index];
	struct timer *timer = &me->timer;
	uint32_t before = enter(me, frame->vector);

	if (!timer->armed || frame->vector != timer->vector) {
		timer->strays++;
	} else if (timer->mode == APIC_TIMER_PERIODIC) {
		tick(timer);
	} else {
		timer->armed = false;
		/* Not always: what has run down may be found by a restore. */
		if (timer->mode == APIC_TIMER_ONESHOT && random_below(2))
			apic_write(APIC_TMICT, 0);
	}
	leave(me, before);
}

static void ghost_handler(struct guest_frame *frame)
{
	guest_fail("an interrupt came that was not there when the VM was saved", __FILE__,
		   __LINE__, frame->vector, 0);
}

static void arm_timer(struct timer *timer)
{
	static const uint32_t modes[] = {
		APIC_TIMER_ONESHOT, APIC_TIMER_DEADLINE, APIC_TIMER_PERIODIC,
	};
	uint64_t flags = irq_save();
	uint32_t shift = random_below(4);
	uint32_t us;

	timer->mode = modes[random_below(3)];
	timer->vector = random_vector(OWN);
	timer->armings++;
	timer->ticks = 0;
	timer->armed_at_restore = restores;
	us = timer->mode == APIC_TIMER_PERIODIC ? 1000 + random_below(2000) :
	     random_below(2)			? random_below(1000) :
						  random_below(20000);
	timer->period_tsc = tsc_per_ms * us / 1000;
	timer->armed = true;
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_LVT_TIMER, timer->vector | timer->mode);
	/* An MSR may overtake a store to the APIC page. */
	full_barrier();
	timer->armed_tsc = read_tsc();
	if (timer->mode == APIC_TIMER_DEADLINE) {
		write_msr(MSR_TSC_DEADLINE, timer->armed_tsc + timer->period_tsc);
	} else {
		/* Divide by 2, 4, 8 or 16 a clock of 1 GHz. */
		apic_write(APIC_TDCR, shift);
		apic_write(APIC_TMICT, (us * 1000 >> (shift + 1)) + 1);
	}
	irq_restore(flags);
}

static void stop_periodic(struct timer *timer)
{
	uint64_t flags = irq_save();

	apic_write(APIC_LVT_TIMER, timer->vector | APIC_LVT_MASKED | APIC_TIMER_ONESHOT);
	apic_write(APIC_TMICT, 0);
	timer->armed = false;
	timer->strays_allowed++;
	irq_restore(flags);
}

static void use_timer(struct timer *timer)
{
	if (!timer->armed)
		arm_timer(timer);
	else if (timer->mode == APIC_TIMER_PERIODIC && timer->ticks >= 3)
		stop_periodic(timer);
}

/* At most so many from one sender at a time: with one, no other IPI hides a lost wakeup. */
static bool may_send(unsigned int me, unsigned int target)
{
	unsigned int outstanding = 0, limit = target == 1 ? 1 : 6;

	for (unsigned int vector = FIRST_VECTOR; vector <= LAST_VECTOR; vector++)
		if (OWNER(vector) == me && !is_free(&ipis[target][vector]))
			outstanding++;
	return outstanding < limit;
}

static void send(unsigned int me)
{
	unsigned int target = random_below(VCPUS);
	uint8_t vector = random_vector(me);
	struct channel *channel = &ipis[target][vector];
	bool x2apic = guest_self()->x2apic;

	if (quiet || !is_free(channel) || !may_send(me, target))
		return;
	channel->sent++;
	full_barrier();
	switch (random_below(3)) {
	case 0:
		if (target == me) {
			apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | vector);
			break;
		}
		/* fallthrough */
	case 1:
		/* In x2APIC mode the logical ID of these few is the bit in cluster 0. */
		apic_send(1U << target, ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | vector);
		break;
	default:
		if (target == me && x2apic)
			apic_write(APIC_SELF_IPI, vector);
		else
			apic_send_fixed(target, vector);
	}
}

static void set_tpr(struct actor *me, uint32_t tpr)
{
	uint64_t flags = irq_save();

	me->tpr = tpr;
	if (tpr & 0xf || random_below(2))
		apic_write(APIC_TPR, tpr);
	else
		write_cr8(tpr >> 4);
	irq_restore(flags);
}

static void act(struct actor *me, unsigned int index)
{
	switch (random_below(9)) {
	case 0:
		set_tpr(me, random_below(2) ? random_below(0xf0) : random_below(15) << 4);
		break;
	case 1:
		set_tpr(me, 0);
		break;
	case 2:
		irq_disable();
		for (unsigned int i = random_below(4); i; i--)
			send(index);
		guest_delay(random_below(0x2000));
		irq_enable();
		break;
	case 3:
		/* Under a raised TPR it might sleep for ever, as it should. */
		if (!index || me->tpr)
			break;
		irq_disable();
		if (!quiet)
			halt_with_irqs();
		irq_enable();
		break;
	case 4:
	case 5:
		/* vCPU 1 has none, which might hide a lost wakeup. */
		if (index != 1 && !quiet)
			use_timer(&me->timer);
		break;
	default:
		send(index);
		guest_delay(random_below(0x800));
	}
	guest_poll();
}

static void actor(uint64_t arg)
{
	unsigned int index = guest_self()->index;
	struct actor *me = &actors[index];

	(void)arg;
	if (!guest_self()->x2apic)
		apic_write(APIC_LDR, 1U << (24 + index));
	if (!index)
		for (unsigned int i = 0; i < VCPUS; i++)
			ioapic_route(PIN(i), i, LEVEL_VECTOR(i), IOAPIC_LEVEL);
	irq_enable();
	__atomic_add_fetch(&present, 1, __ATOMIC_SEQ_CST);
	guest_wait(present == VCPUS);
	while (!quiet)
		act(me, index);
	set_tpr(me, 0);
	if (me->timer.armed && me->timer.mode == APIC_TIMER_PERIODIC)
		stop_periodic(&me->timer);
	guest_wait(stop);
}

/* ---- the host's side of it ---- */

/* What has stood still since when. */
static struct watch { uint32_t handled; uint64_t since; } watches[VCPUS][256];
static struct watch level_watches[VCPUS], timer_watches[VCPUS];

static bool is_stuck(struct watch *watch, uint32_t handled, bool outstanding)
{
	uint64_t now = patience_us();

	if (!outstanding || handled != watch->handled || !watch->since) {
		watch->handled = handled;
		watch->since = now;
	}
	return now - watch->since > vm_timeout_us() / 2;
}

/* True if nothing is outstanding; fails, naming it, if something has been for long. */
static bool check_progress(struct vm *vm)
{
	bool idle = true;

	for (unsigned int t = 0; t < VCPUS; t++) {
		const struct timer *timer = &actors[t].timer;

		for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++) {
			bool outstanding = !is_free(&ipis[t][v]);

			idle &= !outstanding;
			if (is_stuck(&watches[t][v], ipis[t][v].handled, outstanding))
				vm_fail(vm, "IPI %u from vcpu %u to vcpu %u (vector %xh) is lost",
					ipis[t][v].sent, OWNER(v), t, v);
		}
		idle &= is_free(&levels[t]) && !timer->armed;
		if (is_stuck(&level_watches[t], levels[t].handled, !is_free(&levels[t])))
			vm_fail(vm, "level interrupt %u of vcpu %u is lost", levels[t].sent, t);
		if (is_stuck(&timer_watches[t], timer->armings + timer->ticks, timer->armed))
			vm_fail(vm, "the timer of vcpu %u (vector %xh, mode %x) does not fire", t,
				timer->vector, timer->mode >> 17);
	}
	return idle;
}

static void set_line(struct vm *vm, unsigned int cpu, bool high)
{
	struct kvm_irq_level level = { .irq = PIN(cpu), .level = high };

	vm_ioctl(vm, KVM_IRQ_LINE, &level);
}

static void raise_line(struct vm *vm, unsigned int cpu)
{
	if (quiet || !is_free(&levels[cpu]))
		return;
	levels[cpu].sent++;
	full_barrier();
	set_line(vm, cpu, true);
}

static bool on_exit_lower(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason != KVM_EXIT_IO || run->io.port != LOWER_PORT)
		return false;
	set_line(vcpu->vm, *((uint8_t *)run + run->io.data_offset), false);
	return true;
}

static struct vm *begin(unsigned int options)
{
	struct vm *vm = vm_create(options);

	memset(ipis, 0, sizeof(ipis));
	memset(levels, 0, sizeof(levels));
	memset(actors, 0, sizeof(actors));
	memset(watches, 0, sizeof(watches));
	memset(level_watches, 0, sizeof(level_watches));
	memset(timer_watches, 0, sizeof(timer_watches));
	present = restores = 0;
	quiet = stop = false;
	for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++)
		guest_set_handler(v, OWNER(v) == OWN ? timer_handler : ipi_handler);
	for (unsigned int i = 0; i < VCPUS; i++)
		guest_set_handler(LEVEL_VECTOR(i), level_handler);
	guest_set_handler(GHOST_VECTOR, ghost_handler);
	guest_set_handler(STOP_VECTOR, guest_count_irq);
	vm->on_exit = on_exit_lower;
	for (unsigned int i = 0; i < VCPUS; i++)
		vm_add_vcpu(vm, i, actor, 0);
	tsc_per_ms = vcpu_ioctl(&vm->vcpus[0], KVM_GET_TSC_KHZ, 0);
	vm_start(vm);
	vm_wait(vm, present == VCPUS, "every vCPU is there");
	return vm;
}

static bool all_finished(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		if (!vm->vcpus[i].finished)
			return false;
	return true;
}

static void end(struct __test_metadata *_metadata, struct vm *vm)
{
	uint64_t deadline = patience_us() + vm_timeout_us();
	uint64_t handled = 0, armed = 0, strays = 0;

	/* Those that sleep have nothing outstanding, or it wakes them. */
	quiet = true;
	while (!check_progress(vm))
		sleep_us(200);
	stop = true;
	while (!all_finished(vm)) {
		if (patience_us() > deadline)
			vm_fail(vm, "the guests do not come to their end");
		for (unsigned int i = 0; i < VCPUS; i++)
			if (!vm->vcpus[i].finished)
				vm_send_msi(vm, i, STOP_VECTOR);
		sleep_us(500);
	}
	for (unsigned int i = 0; i < VCPUS; i++) {
		const struct timer *timer = &actors[i].timer;

		EXPECT_LE(timer->strays, timer->strays_allowed)
			TH_LOG("more timer interrupts on vCPU %u than its timer explains", i);
		armed += timer->armings;
		strays += timer->strays;
		handled += levels[i].handled;
		for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++)
			handled += ipis[i][v].handled;
	}
	NOTE("%llu IPIs and level interrupts, timers armed %llu times, %llu of them fired again\n",
	     (unsigned long long)handled, (unsigned long long)armed, (unsigned long long)strays);
	vm_destroy(vm);
}

/* ---- saved and restored ---- */

/*
 * Stock KVM computes PPR from what it remembered of ISR before the new state came: nothing, in
 * a new VM without acceleration.  The next VM entry mends it.
 */
static bool ppr_is_known_to_be_wrong(void)
{
	return !vapic_takes_over("kvm_apic_set_state");
}

static uint32_t wrong_pprs;

/* How many of the saved vCPUs had what. */
static struct {
	uint32_t irr, isr, tmr, tpr, halted, oneshot, periodic, deadline, injected;
} seen_at_saves;

static bool any(const struct kvm_lapic_state *lapic, uint32_t base)
{
	return lapic_highest(lapic, base) >= 0;
}

static bool timer_is_rundown_oneshot(const struct kvm_lapic_state *lapic)
{
	uint32_t lvt = lapic_read(lapic, APIC_LVT_TIMER);

	return (lvt & APIC_TIMER_MODE) == APIC_TIMER_ONESHOT && !(lvt & APIC_LVT_MASKED) &&
	       lapic_read(lapic, APIC_TMICT) && !lapic_read(lapic, APIC_TMCCT);
}

static void note_saved(const struct vm_state *state)
{
	for (unsigned int i = 0; i < VCPUS; i++) {
		const struct vcpu_state *vcpu = &state->vcpus[i];
		bool runs = lapic_read(&vcpu->lapic, APIC_TMCCT);
		uint32_t mode = lapic_read(&vcpu->lapic, APIC_LVT_TIMER) & APIC_TIMER_MODE;

		seen_at_saves.irr += any(&vcpu->lapic, APIC_IRR);
		seen_at_saves.isr += any(&vcpu->lapic, APIC_ISR);
		seen_at_saves.tmr += any(&vcpu->lapic, APIC_TMR);
		seen_at_saves.tpr += !!lapic_read(&vcpu->lapic, APIC_TPR);
		seen_at_saves.halted += vcpu->mp.mp_state == KVM_MP_STATE_HALTED;
		seen_at_saves.injected += vcpu->events.interrupt.injected;
		seen_at_saves.oneshot += runs && mode == APIC_TIMER_ONESHOT;
		seen_at_saves.periodic += runs && mode == APIC_TIMER_PERIODIC;
		seen_at_saves.deadline += !!vcpu->tsc_deadline;
		/* It has run down by the restore, if not by the save. */
		actors[i].timer.strays_allowed += timer_is_rundown_oneshot(&vcpu->lapic);
	}
	restores++;
}

static void expect_all_kinds_were_seen(struct __test_metadata *_metadata)
{
	NOTE("%u points; vCPUs saved with IRR %u, ISR %u, TMR %u, TPR %u, halted %u, timer %u "
	     "one-shot %u periodic %u deadline, %u injected but not delivered\n",
	     rounds, seen_at_saves.irr, seen_at_saves.isr, seen_at_saves.tmr, seen_at_saves.tpr,
	     seen_at_saves.halted, seen_at_saves.oneshot, seen_at_saves.periodic,
	     seen_at_saves.deadline, seen_at_saves.injected);
	if (wrong_pprs)
		NOTE("stock KVM: PPR was wrong after %u restores\n", wrong_pprs);
	if (rounds < 40)
		return;
	EXPECT_LT(0, seen_at_saves.irr);
	EXPECT_LT(0, seen_at_saves.tmr);
	EXPECT_LT(0, seen_at_saves.tpr);
	EXPECT_LT(0, seen_at_saves.halted);
	EXPECT_LT(0, seen_at_saves.oneshot + seen_at_saves.periodic + seen_at_saves.deadline);
	/* Rarer ones, which must not be missing in a long run. */
	if (rounds < 1000)
		return;
	EXPECT_LT(0, seen_at_saves.isr);
	EXPECT_LT(0, seen_at_saves.oneshot);
	EXPECT_LT(0, seen_at_saves.periodic);
	EXPECT_LT(0, seen_at_saves.deadline);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#define EXPECT_SAME(vm, vcpu, what, saved, now) do {			\
	uint64_t saved_ = (saved), now_ = (now);			\
	if (saved_ != now_)						\
		vm_fail(vm, "point %u: %s of vcpu %u was saved as %llx and reads back as %llx", \
			restores, what, vcpu, (unsigned long long)saved_, \
			(unsigned long long)now_);			\
} while (0)

static const char *register_name(uint32_t reg)
{
	static char text[16];
	static const struct { uint32_t first, last; const char *name; } names[] = {
		{ APIC_TPR, APIC_TPR, "TPR" },
		{ APIC_ISR, APIC_ISR + 0x70, "ISR" },
		{ APIC_TMR, APIC_TMR + 0x70, "TMR" },
		{ APIC_IRR, APIC_IRR + 0x70, "IRR" },
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (reg >= names[i].first && reg <= names[i].last)
			return names[i].name;
	snprintf(text, sizeof(text), "register %03x", reg);
	return text;
}

/* What a running timer may show after at most so many nanoseconds. */
static void check_timer(struct vm *vm, unsigned int i, const struct vcpu_state *saved,
			const struct vcpu_state *now, uint64_t passed_ns)
{
	/* Bits 3, 1 and 0 of TDCR, plus one: the power of two, and 7 is the undivided clock. */
	uint32_t tdcr = lapic_read(&saved->lapic, APIC_TDCR);
	uint32_t shift = (((tdcr & 3) | (tdcr >> 1 & 4)) + 1) & 7;
	uint32_t before = lapic_read(&saved->lapic, APIC_TMCCT);
	uint32_t after = lapic_read(&now->lapic, APIC_TMCCT);
	uint64_t passed = (passed_ns >> shift) + 1;
	bool periodic = (lapic_read(&saved->lapic, APIC_LVT_TIMER) & APIC_TIMER_MODE) ==
			APIC_TIMER_PERIODIC;

	if (periodic && passed >= before) {
		/* It may have begun anew. */
		if (after <= lapic_read(&saved->lapic, APIC_TMICT))
			return;
	} else if (after <= before && after + passed >= before) {
		return;
	}
	vm_fail(vm, "point %u: the timer of vcpu %u was saved at %x and reads back as %x, at most "
		"%llx counts later", restores, i, before, after, (unsigned long long)passed);
}

static void check_vcpu(struct vm *vm, unsigned int i, const struct vcpu_state *saved,
		       const struct vcpu_state *now, uint64_t passed_ns)
{
	uint32_t timer_vector = lapic_read(&saved->lapic, APIC_LVT_TIMER) & 0xff;

	for (uint32_t reg = APIC_ID; reg <= APIC_TDCR; reg += 0x10) {
		uint32_t before = lapic_read(&saved->lapic, reg);
		uint32_t after = lapic_read(&now->lapic, reg);

		/* The timer may fire at any time. */
		if (reg == APIC_IRR + timer_vector / 32 * 0x10)
			before |= after & 1U << timer_vector % 32;
		if (reg != APIC_TMCCT && reg != APIC_PPR)
			EXPECT_SAME(vm, i, register_name(reg), before, after);
	}
	if (ppr_is_known_to_be_wrong())
		wrong_pprs += lapic_ppr(&now->lapic) != lapic_read(&now->lapic, APIC_PPR);
	else
		EXPECT_SAME(vm, i, "PPR, by TPR and ISR,", lapic_ppr(&saved->lapic),
			    lapic_read(&now->lapic, APIC_PPR));
	check_timer(vm, i, saved, now, passed_ns);
	if (saved->tsc_deadline != now->tsc_deadline &&
	    (now->tsc_deadline || !lapic_bit(&now->lapic, APIC_IRR, timer_vector)))
		vm_fail(vm, "point %u: vcpu %u has lost its TSC deadline", restores, i);
	EXPECT_SAME(vm, i, "the activity state", saved->mp.mp_state, now->mp.mp_state);
	EXPECT_SAME(vm, i, "CR8", saved->sregs.cr8, now->sregs.cr8);
	EXPECT_SAME(vm, i, "the APIC base", saved->sregs.apic_base, now->sregs.apic_base);
	EXPECT_SAME(vm, i, "RIP", saved->regs.rip, now->regs.rip);
	EXPECT_SAME(vm, i, "RFLAGS", saved->regs.rflags, now->regs.rflags);
	EXPECT_SAME(vm, i, "the event being injected",
		    saved->events.interrupt.injected << 8 | saved->events.interrupt.nr,
		    now->events.interrupt.injected << 8 | now->events.interrupt.nr);
	EXPECT_SAME(vm, i, "the latched INIT", saved->events.smi.latched_init,
		    now->events.smi.latched_init);
}

static void restore_and_check(struct vm *vm, const struct vm_state *saved)
{
	static struct vm_state now;
	uint64_t begun = now_ns(), passed;

	vm_restore(vm, saved);
	vm_save(vm, &now);
	passed = now_ns() - begun;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		check_vcpu(vm, i, &saved->vcpus[i], &now.vcpus[i], passed);
}

/* What happened to a VM that is set back: nothing of it may stay. */
static void disturb(struct vm *vm, const struct vm_state *saved)
{
	unsigned int i = host_random() % VCPUS;
	struct kvm_lapic_state other = saved->vcpus[i].lapic;

	switch (host_random() % 4) {
	case 0:
		vm_send_msi(vm, i, GHOST_VECTOR);
		break;
	case 1:
		/* Of the timer nothing is changed: KVM stops it when its mode changes. */
		for (uint32_t reg = APIC_ISR; reg < APIC_ESR; reg += 0x10)
			lapic_write(&other, reg, host_random() & (reg & 0x70 ? ~0U : ~0xffffU));
		lapic_write(&other, APIC_TPR, host_random() & 0xff);
		vcpu_ioctl(&vm->vcpus[i], KVM_SET_LAPIC, &other);
		break;
	}
}

/* ---- inhibits ---- */

static bool auto_eoi, reinjection;

static void toggle_one(struct vm *vm)
{
	struct kvm_reinject_control control;

	if (host_random() % 2) {
		auto_eoi = !auto_eoi;
		hyperv_set_auto_eoi(&vm->vcpus[0], auto_eoi);
	} else {
		reinjection = !reinjection;
		control = (struct kvm_reinject_control){ .pit_reinject = reinjection };
		vm_ioctl(vm, KVM_REINJECT_CONTROL, &control);
	}
}

static void maybe_toggle(struct vm *vm)
{
	if (host_random() % 3 == 0)
		toggle_one(vm);
}

/* ---- the tests ---- */

static struct vm_state saved;

/* Lets the guests run for a random while, to a point that nothing else determines. */
static void run_to_next_point(struct vm *vm)
{
	check_progress(vm);
	if (host_random() % 2)
		raise_line(vm, host_random() % VCPUS);
	sleep_us(host_random() % 2000);
	if (host_random() % 2)
		raise_line(vm, host_random() % VCPUS);
	vm_pause(vm);
	/* A line may rise while they stand still. */
	if (host_random() % 4 == 0)
		raise_line(vm, host_random() % VCPUS);
}

static void same_vm(struct __test_metadata *_metadata, unsigned int options)
{
	struct vm *vm = begin(options);

	for (uint32_t i = 0; i < rounds; i++) {
		run_to_next_point(vm);
		vm_save(vm, &saved);
		note_saved(&saved);
		disturb(vm, &saved);
		restore_and_check(vm, &saved);
		vm_resume(vm);
	}
	end(_metadata, vm);
	expect_all_kinds_were_seen(_metadata);
}

TEST(xapic_vm_goes_on_as_saved)
{
	REQUIRE_EXPECTED_ACCELERATION();
	same_vm(_metadata, 0);
}

TEST(x2apic_vm_goes_on_as_saved)
{
	REQUIRE_EXPECTED_ACCELERATION();
	same_vm(_metadata, VM_X2APIC);
}

static void inhibits(struct __test_metadata *_metadata, unsigned int options)
{
	struct vm *vm = begin(options);

	vm_pause(vm);
	hyperv_require(&vm->vcpus[0]);
	vm_add_pit(vm);
	auto_eoi = false;
	reinjection = true;
	vm_resume(vm);
	for (uint32_t i = 0; i < rounds; i++) {
		run_to_next_point(vm);
		maybe_toggle(vm);
		vm_save(vm, &saved);
		note_saved(&saved);
		maybe_toggle(vm);
		disturb(vm, &saved);
		maybe_toggle(vm);
		restore_and_check(vm, &saved);
		maybe_toggle(vm);
		vm_resume(vm);
	}
	end(_metadata, vm);
	expect_all_kinds_were_seen(_metadata);
}

TEST(xapic_vm_goes_on_as_saved_while_inhibits_come_and_go)
{
	REQUIRE_EXPECTED_ACCELERATION();
	inhibits(_metadata, 0);
}

TEST(x2apic_vm_goes_on_as_saved_while_inhibits_come_and_go)
{
	REQUIRE_EXPECTED_ACCELERATION();
	inhibits(_metadata, VM_X2APIC);
}

/* A second VM, which may be inhibited before it is restored or from then on. */
enum { LIKE, INHIBITED };

static void second_vm(struct __test_metadata *_metadata, unsigned int options, int kind)
{
	struct vm *vm = begin(options), *next;

	for (uint32_t i = 0; i < rounds; i++) {
		unsigned int how = kind == INHIBITED ? host_random() % 4 : 0;

		run_to_next_point(vm);
		vm_save(vm, &saved);
		note_saved(&saved);
		next = vm_create_like(vm);
		vm_destroy(vm);
		vm = next;
		if (how)
			hyperv_require(&vm->vcpus[0]);
		if (how == 1)
			vm_add_pit(vm);
		else if (how == 2)
			hyperv_set_auto_eoi(&vm->vcpus[0], true);
		restore_and_check(vm, &saved);
		if (how == 3)
			hyperv_set_auto_eoi(&vm->vcpus[0], true);
		vm_resume(vm);
	}
	end(_metadata, vm);
	expect_all_kinds_were_seen(_metadata);
}

TEST(second_xapic_vm_goes_on_as_the_first_was_saved)
{
	REQUIRE_EXPECTED_ACCELERATION();
	second_vm(_metadata, 0, LIKE);
}

TEST(second_x2apic_vm_goes_on_as_the_first_was_saved)
{
	REQUIRE_EXPECTED_ACCELERATION();
	second_vm(_metadata, VM_X2APIC, LIKE);
}

TEST(xapic_vm_goes_on_in_inhibited_vms_and_back)
{
	REQUIRE_EXPECTED_ACCELERATION();
	second_vm(_metadata, 0, INHIBITED);
}

TEST(x2apic_vm_goes_on_in_inhibited_vms_and_back)
{
	REQUIRE_EXPECTED_ACCELERATION();
	second_vm(_metadata, VM_X2APIC, INHIBITED);
}

/* ---- where PPR is looked at for itself ---- */

static volatile bool in_service;

static void staying_handler(struct guest_frame *frame)
{
	(void)frame;
	in_service = true;
	guest_wait(stop);
	apic_eoi();
}

static void staying_guest(uint64_t arg)
{
	(void)arg;
	irq_enable();
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_SELF | FIRST_VECTOR);
	guest_wait(stop);
}

TEST(ppr_of_a_second_vm_follows_the_isr_it_was_given)
{
	struct kvm_lapic_state lapic;
	struct vm *vm, *next;

	REQUIRE_EXPECTED_ACCELERATION();
	in_service = stop = false;
	guest_set_handler(FIRST_VECTOR, staying_handler);
	vm = vm_create(0);
	vm_add_vcpu(vm, 0, staying_guest, 0);
	vm_start(vm);
	vm_wait(vm, in_service, "the guest is in its handler");
	vm_pause(vm);
	vm_save(vm, &saved);
	EXPECT_EQ(FIRST_VECTOR & 0xf0, lapic_read(&saved.vcpus[0].lapic, APIC_PPR));
	next = vm_create_like(vm);
	vm_destroy(vm);
	vm_restore(next, &saved);
	vcpu_ioctl(&next->vcpus[0], KVM_GET_LAPIC, &lapic);
	stop = true;
	vm_resume(next);
	vm_join(next);
	vm_destroy(next);
	if (ppr_is_known_to_be_wrong() && !lapic_read(&lapic, APIC_PPR))
		EXPECTED_FAILURE(return, "stock KVM: PPR is computed before ISR is known");
	EXPECT_EQ(FIRST_VECTOR & 0xf0, lapic_read(&lapic, APIC_PPR));
}

/* ---- what follows from an image alone ---- */

/* Two vectors, of which the first is taken first. */
#define NOBODYS_VECTOR	0x91
#define OURS_VECTOR	0x81

static volatile uint32_t logical_id, logical_vector;
static volatile bool may_enable, ready;

/* vCPU 0 sends to the logical ID that the host says. */
static void logical_sender(uint64_t arg)
{
	(void)arg;
	while (!stop) {
		if (logical_id) {
			apic_send(logical_id, ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | logical_vector);
			full_barrier();
			logical_id = 0;
		}
		guest_poll();
	}
}

static void send_logically(struct vm *vm, uint32_t id, uint8_t vector)
{
	logical_vector = vector;
	full_barrier();
	logical_id = id;
	vm_wait(vm, !logical_id, "the IPI is sent");
}

static void receiver(uint64_t arg)
{
	(void)arg;
	apic_write(APIC_LDR, 2U << 24);
	ready = true;
	guest_wait(may_enable);
	irq_enable();
	guest_wait(stop);
}

/* The vCPU that is looked at is the last one. */
static struct vm *begin_receiver(bool with_sender)
{
	struct vm *vm = vm_create(0);

	stop = may_enable = ready = false;
	logical_id = 0;
	guest_set_handler(NOBODYS_VECTOR, guest_count_irq);
	guest_set_handler(OURS_VECTOR, guest_count_irq);
	if (with_sender)
		vm_add_vcpu(vm, 0, logical_sender, 0);
	vm_add_vcpu(vm, vm->vcpu_count, receiver, 0);
	vm_start(vm);
	vm_wait(vm, ready, "the vCPU is there");
	return vm;
}

static void end_receiver(struct vm *vm)
{
	stop = true;
	vm_join(vm);
	vm_destroy(vm);
}

TEST(restored_ldr_decides_who_gets_logical_ipis)
{
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_receiver(true);
	vcpu = &vm->vcpus[1];
	may_enable = true;
	send_logically(vm, 2, OURS_VECTOR);
	vm_wait(vm, vcpu->guest->irqs[OURS_VECTOR] == 1, "an IPI to its own LDR arrives");
	vcpu_pause(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	lapic_write(&lapic, APIC_LDR, 4U << 24);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
	vcpu_resume(vcpu);
	send_logically(vm, 2, NOBODYS_VECTOR);
	send_logically(vm, 4, OURS_VECTOR);
	vm_wait(vm, vcpu->guest->irqs[OURS_VECTOR] == 2, "an IPI to the restored LDR arrives");
	EXPECT_EQ(0, vcpu->guest->irqs[NOBODYS_VECTOR]);
	end_receiver(vm);
}

#define RTC_GSI		8

/* The RTC's line goes up and down; false if KVM says that the tick before is not over. */
static bool tick_rtc(struct vm *vm)
{
	struct kvm_irq_level up = { .irq = RTC_GSI, .level = 1 };
	struct kvm_irq_level down = { .irq = RTC_GSI };

	vm_ioctl(vm, KVM_IRQ_LINE_STATUS, &up);
	vm_ioctl(vm, KVM_IRQ_LINE, &down);
	return up.status > 0;
}

/* To the IOAPIC alone: the PIC would have a say in what becomes of a tick. */
static void route_rtc(struct vm *vm, uint8_t vector)
{
	struct {
		struct kvm_irq_routing header;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.header = { .nr = 1 },
		.entry = {
			.gsi = RTC_GSI, .type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = RTC_GSI },
		},
	};
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	vm_ioctl(vm, KVM_SET_GSI_ROUTING, &routing);
	vm_ioctl(vm, KVM_GET_IRQCHIP, &chip);
	chip.chip.ioapic.redirtbl[RTC_GSI].bits = vector;
	vm_ioctl(vm, KVM_SET_IRQCHIP, &chip);
}

TEST(image_decides_whether_a_tick_of_the_rtc_is_outstanding)
{
	struct kvm_lapic_state with, without;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_receiver(false);
	vcpu = &vm->vcpus[0];
	route_rtc(vm, OURS_VECTOR);
	vcpu_pause(vcpu);
	EXPECT_TRUE(tick_rtc(vm));
	/* Gets it into the IRR; KVM takes one that is only posted for one that is over. */
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &with);
	EXPECT_TRUE(lapic_bit(&with, APIC_IRR, OURS_VECTOR));
	EXPECT_FALSE(tick_rtc(vm));
	without = with;
	lapic_set(&without, APIC_IRR, OURS_VECTOR, false);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &without);
	EXPECT_TRUE(tick_rtc(vm));
	/* An IOAPIC that is restored before the APICs finds nothing outstanding. */
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &without);
	route_rtc(vm, OURS_VECTOR);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &with);
	EXPECT_FALSE(tick_rtc(vm));
	may_enable = true;
	vcpu_resume(vcpu);
	end_receiver(vm);
}

/* Its own handling starts with the image: nothing else makes KVM look at the IRR. */
TEST(image_alone_delivers_what_it_holds_while_inhibited)
{
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_receiver(false);
	vcpu = &vm->vcpus[0];
	may_enable = true;
	vcpu_pause(vcpu);
	hyperv_require(vcpu);
	hyperv_set_auto_eoi(vcpu, true);
	vcpu_resume(vcpu);
	EXPECT_FALSE(vcpu_is_accelerated(vcpu));
	vcpu_pause(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	lapic_set(&lapic, APIC_IRR, OURS_VECTOR, true);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
	vcpu_resume(vcpu);
	vm_wait(vm, vcpu->guest->irqs[OURS_VECTOR] == 1, "the image's interrupt is taken");
	end_receiver(vm);
}

/* Hardware holds it when KVM takes the APIC back, and nobody else tells KVM of it. */
TEST(pending_interrupt_is_delivered_after_an_inhibit)
{
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_receiver(false);
	vcpu = &vm->vcpus[0];
	EXPECT_EQ(accel_check()->active, vcpu_is_accelerated(vcpu));
	vm_send_msi(vm, 0, OURS_VECTOR);
	vcpu_pause(vcpu);
	hyperv_require(vcpu);
	hyperv_set_auto_eoi(vcpu, true);
	vcpu_resume(vcpu);
	may_enable = true;
	vm_wait(vm, vcpu->guest->irqs[OURS_VECTOR] == 1, "the pending interrupt is taken");
	EXPECT_FALSE(vcpu_is_accelerated(vcpu));
	end_receiver(vm);
}

/* ---- INIT and SIPI ---- */

/* Real mode code, at two places to tell apart who was started where. */
#define FIRST_PAGE	8
#define PAGES		2
#define STARTED_PORT	0xa2

static uint8_t real_mode_pages[PAGES][4096] __attribute__((aligned(4096)));
static volatile uint32_t icr_wanted;
static volatile unsigned int started_at;

/* vCPU 0 sends what the host asks for to vCPU 1. */
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

/* Into a second VM of all that was saved, which must read back; its vCPUs are still paused. */
static struct vm *move_on(struct vm *vm)
{
	static struct vm_state now;
	struct vm *next = vm_create_like(vm);

	add_real_mode_pages(next);
	vm_destroy(vm);
	vm_restore(next, &saved);
	vm_save(next, &now);
	for (unsigned int i = 0; i < next->vcpu_count; i++) {
		EXPECT_SAME(next, i, "the activity state", saved.vcpus[i].mp.mp_state,
			    now.vcpus[i].mp.mp_state);
		EXPECT_SAME(next, i, "SMM", saved.vcpus[i].events.smi.smm,
			    now.vcpus[i].events.smi.smm);
		EXPECT_SAME(next, i, "the latched INIT", saved.vcpus[i].events.smi.latched_init,
			    now.vcpus[i].events.smi.latched_init);
		EXPECT_SAME(next, i, "RIP", saved.vcpus[i].regs.rip, now.vcpus[i].regs.rip);
		EXPECT_SAME(next, i, "CS", saved.vcpus[i].sregs.cs.base,
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

/* vCPU 1 gets an INIT and is saved as it waits for its SIPI. */
static struct vm *save_waiting_for_sipi(unsigned int options)
{
	struct vm *vm = begin_startup(options);

	command(vm, ICR_INIT);
	vm_pause(vm);
	vm_save(vm, &saved);
	EXPECT_SAME(vm, 1, "INIT", KVM_MP_STATE_INIT_RECEIVED, saved.vcpus[1].mp.mp_state);
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

	/* It comes while vCPU 1 stands still, and nothing but the save can see it. */
	vcpu_resume(&vm->vcpus[0]);
	command(vm, ICR_STARTUP | FIRST_PAGE);
	vm_pause(vm);
	vm_save(vm, &saved);
	EXPECT_SAME(vm, 1, "a SIPI", KVM_MP_STATE_RUNNABLE, saved.vcpus[1].mp.mp_state);
	EXPECT_SAME(vm, 1, "the SIPI's vector", FIRST_PAGE << 12, saved.vcpus[1].sregs.cs.base);
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
 * KVM takes a remote read for its paravirtual kick, which lets the next HLT end at once. One
 * that a vCPU got before its INIT is no business of what it runs after its SIPI.
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

/* In SMM an INIT has to wait, and a SIPI without an INIT before it is ignored. */
static void latched_init(unsigned int options)
{
	struct vm *vm = begin_startup(options);

	vcpu_pause(&vm->vcpus[1]);
	set_smm(&vm->vcpus[1], true);
	command(vm, ICR_INIT);
	command(vm, ICR_STARTUP | FIRST_PAGE);
	vm_pause(vm);
	vm_save(vm, &saved);
	EXPECT_SAME(vm, 1, "a latched INIT", 1, saved.vcpus[1].events.smi.latched_init);
	EXPECT_SAME(vm, 1, "the state in SMM", KVM_MP_STATE_RUNNABLE,
		    saved.vcpus[1].mp.mp_state);
	vm = move_on(vm);
	set_smm(&vm->vcpus[1], false);
	EXPECT_SAME(vm, 1, "the INIT after SMM", KVM_MP_STATE_INIT_RECEIVED,
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
