// SPDX-License-Identifier: GPL-2.0-only
/* The actors' guest code: all but actors_set_handlers() runs inside the guest. */
#include "actors_shared.h"

#include "guest_apic.h"
#include "ioapic.h"

struct actors actors;

static uint32_t random_below(uint32_t limit)
{
	return guest_random() % limit;
}

static bool is_level(uint8_t vector)
{
	for (unsigned int i = 0; i < ACTORS; i++)
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

/*
 * Begin of a handler.  Priorities must hold also after a restore.  Sometimes stay for a while with
 * interrupts enabled, so that others nest.
 */
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
	struct channel *channel = &actors.ipis[index][frame->vector];
	uint32_t before;

	if (is_free(channel))
		guest_fail("an IPI came that nobody sent (a: vector, b: number)", __FILE__,
			   __LINE__, frame->vector, channel->handled);
	before = enter(&actors.each[index], frame->vector);
	leave(&actors.each[index], before);
	channel->handled++;
}

static void level_handler(struct guest_frame *frame)
{
	unsigned int index = guest_self()->index;
	uint32_t before;

	if (is_free(&actors.levels[index]))
		guest_fail("a level interrupt came without its line (a: number)", __FILE__,
			   __LINE__, actors.levels[index].handled, 0);
	before = enter(&actors.each[index], frame->vector);
	__asm__ volatile("outb %0, %1" :: "a"((uint8_t)index), "d"((uint16_t)LOWER_PORT) : "memory");
	leave(&actors.each[index], before);
	actors.levels[index].handled++;
}

static void tick(struct timer *timer)
{
	uint64_t passed = read_tsc() - timer->armed_tsc;
	uint64_t periods = passed / timer->period_tsc;

	timer->ticks++;
	timer->expected++;
	/* Allow one early tick by rounding, one for each restore, and slightly different clocks. */
	if (timer->ticks > periods + periods / 8 + 2 + (actors.restores - timer->armed_at_restore))
		guest_fail("a periodic timer ticks too often (a: ticks, b: periods)", __FILE__,
			   __LINE__, timer->ticks, periods);
}

static void timer_handler(struct guest_frame *frame)
{
	struct actor *me = &actors.each[guest_self()->index];
	struct timer *timer = &me->timer;
	uint32_t before = enter(me, frame->vector);
	bool stray = !timer->armed || frame->vector != timer->vector;

	timer->taken += !stray;
	if (stray) {
		timer->strays++;
	} else if (timer->mode == APIC_TIMER_PERIODIC) {
		tick(timer);
	} else {
		timer->armed = false;
		/* Not always, so that a restore can find an expired timer. */
		if (timer->mode == APIC_TIMER_ONESHOT && random_below(2))
			apic_write(APIC_TMICT, 0);
	}
	leave(me, before);
	timer->ended += !stray;
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
	timer->expected += timer->mode != APIC_TIMER_PERIODIC;
	timer->ticks = 0;
	timer->armed_at_restore = actors.restores;
	us = timer->mode == APIC_TIMER_PERIODIC ? 1000 + random_below(2000) :
	     random_below(2)			? random_below(1000) :
						  random_below(20000);
	timer->period_tsc = actors.tsc_per_ms * us / 1000;
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

/*
 * Limits how many IPIs of one sender to a target are outstanding.  For target 1 the limit is one,
 * so that no other IPI hides a lost wakeup.
 */
static bool may_send(unsigned int me, unsigned int target)
{
	unsigned int outstanding = 0, limit = target == 1 ? 1 : 6;

	for (unsigned int vector = FIRST_VECTOR; vector <= LAST_VECTOR; vector++)
		if (OWNER(vector) == me && !is_free(&actors.ipis[target][vector]))
			outstanding++;
	return outstanding < limit;
}

static void send(unsigned int me)
{
	unsigned int target = random_below(ACTORS);
	uint8_t vector = random_vector(me);
	struct channel *channel = &actors.ipis[target][vector];
	bool x2apic = guest_self()->x2apic;

	if (actors.quiet || !is_free(channel) || !may_send(me, target))
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
		/* In x2APIC mode, too, the logical ID of these vCPUs is this bit, in cluster 0. */
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
		/* With a raised TPR the vCPU might sleep for ever, correctly. */
		if (!index || me->tpr)
			break;
		irq_disable();
		if (!actors.quiet)
			halt_with_irqs();
		irq_enable();
		break;
	case 4:
	case 5:
		/* vCPU 1 uses no timer, because its interrupts might hide a lost wakeup. */
		if (index != 1 && !actors.quiet)
			use_timer(&me->timer);
		break;
	default:
		send(index);
		guest_delay(random_below(0x800));
	}
	guest_poll();
}

void actors_guest(uint64_t arg)
{
	unsigned int index = guest_self()->index;
	struct actor *me = &actors.each[index];

	(void)arg;
	if (!guest_self()->x2apic)
		apic_write(APIC_LDR, 1U << (24 + index));
	if (!index)
		for (unsigned int i = 0; i < ACTORS; i++)
			ioapic_route(PIN(i), i, LEVEL_VECTOR(i), IOAPIC_LEVEL);
	irq_enable();
	__atomic_add_fetch(&actors.present, 1, __ATOMIC_SEQ_CST);
	guest_wait(actors.present == ACTORS);
	while (!actors.quiet)
		act(me, index);
	set_tpr(me, 0);
	if (me->timer.armed && me->timer.mode == APIC_TIMER_PERIODIC)
		stop_periodic(&me->timer);
	guest_wait(actors.stop);
}

void actors_set_handlers(void)
{
	for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++)
		guest_set_handler(v, OWNER(v) == OWN ? timer_handler : ipi_handler);
	for (unsigned int i = 0; i < ACTORS; i++)
		guest_set_handler(LEVEL_VECTOR(i), level_handler);
	guest_set_handler(GHOST_VECTOR, ghost_handler);
}
