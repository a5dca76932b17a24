// SPDX-License-Identifier: GPL-2.0-only
/* The host's side of the actors: their devices, and the check for lost interrupts. */
#include "actors_shared.h"

#include <stdio.h>
#include <string.h>

#include "lapic.h"
#include "run.h"

#define STOP_VECTOR	0xee

/* For each channel, the last count of handled interrupts, and since when it has not changed. */
static struct watch { uint32_t handled; uint64_t since; } watches[ACTORS][256];
static struct watch level_watches[ACTORS], timer_watches[ACTORS];

static bool is_stuck(struct watch *watch, uint32_t handled, bool outstanding)
{
	uint64_t now = patience_us();

	if (!outstanding || handled != watch->handled || !watch->since) {
		watch->handled = handled;
		watch->since = now;
	}
	return now - watch->since > vm_timeout_us() / 2;
}

bool actors_check(struct vm *vm)
{
	bool idle = true;

	for (unsigned int t = 0; t < ACTORS; t++) {
		const struct timer *timer = &actors.each[t].timer;

		for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++) {
			bool outstanding = !is_free(&actors.ipis[t][v]);

			idle &= !outstanding;
			if (is_stuck(&watches[t][v], actors.ipis[t][v].handled, outstanding))
				vm_fail(vm, "IPI %u from vcpu %u to vcpu %u (vector %xh) is lost",
					actors.ipis[t][v].sent, OWNER(v), t, v);
		}
		idle &= is_free(&actors.levels[t]) && !timer->armed;
		if (is_stuck(&level_watches[t], actors.levels[t].handled, !is_free(&actors.levels[t])))
			vm_fail(vm, "level interrupt %u of vcpu %u is lost", actors.levels[t].sent, t);
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

void actors_raise_line(struct vm *vm, unsigned int cpu)
{
	if (actors.quiet || !is_free(&actors.levels[cpu]))
		return;
	actors.levels[cpu].sent++;
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

struct vm *actors_create(unsigned int options)
{
	struct vm *vm = vm_create(options);

	memset(&actors, 0, sizeof(actors));
	memset(watches, 0, sizeof(watches));
	memset(level_watches, 0, sizeof(level_watches));
	memset(timer_watches, 0, sizeof(timer_watches));
	actors_set_handlers();
	guest_set_handler(STOP_VECTOR, guest_count_irq);
	vm->on_exit = on_exit_lower;
	for (unsigned int i = 0; i < ACTORS; i++)
		vm_add_vcpu(vm, i, actors_guest, 0);
	actors.tsc_per_ms = vcpu_ioctl(&vm->vcpus[0], KVM_GET_TSC_KHZ, NULL);
	return vm;
}

void actors_start(struct vm *vm)
{
	vm_start(vm);
	vm_wait(vm, actors.present == ACTORS, "every vCPU is there");
}

struct vm *actors_begin(unsigned int options)
{
	struct vm *vm = actors_create(options);

	actors_start(vm);
	return vm;
}

static bool timer_is_rundown_oneshot(const struct kvm_lapic_state *lapic)
{
	uint32_t lvt = lapic_read(lapic, APIC_LVT_TIMER);

	return (lvt & APIC_TIMER_MODE) == APIC_TIMER_ONESHOT && !(lvt & APIC_LVT_MASKED) &&
	       lapic_read(lapic, APIC_TMICT) && !lapic_read(lapic, APIC_TMCCT);
}

void actors_note_saved(const struct vm_state *saved)
{
	/* The timer that has expired now has still expired when the state is restored. */
	for (unsigned int i = 0; i < ACTORS; i++)
		actors.each[i].timer.strays_allowed +=
			timer_is_rundown_oneshot(&saved->vcpus[i].lapic);
	actors.restores++;
}

uint32_t actors_saves(void)
{
	return actors.restores;
}

static bool all_finished(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		if (!vm->vcpus[i].finished)
			return false;
	return true;
}

void actors_finish(struct vm *vm)
{
	uint64_t deadline = patience_us() + vm_timeout_us();

	/* A vCPU that sleeps has nothing outstanding; otherwise that interrupt wakes it. */
	actors.quiet = true;
	while (!actors_check(vm))
		sleep_us(200);
	actors.stop = true;
	while (!all_finished(vm)) {
		if (patience_us() > deadline)
			vm_fail(vm, "the guests do not come to their end");
		for (unsigned int i = 0; i < vm->vcpu_count; i++)
			if (!vm->vcpus[i].finished)
				vm_send_msi(vm, vm->vcpus[i].id, STOP_VECTOR);
		sleep_us(500);
	}
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct timer *timer = &actors.each[i].timer;

		if (timer->strays > timer->strays_allowed)
			vm_fail(vm, "%u timer interrupts on vCPU %u more than its timer explains",
				timer->strays - timer->strays_allowed, i);
	}
}

/* What had been sent at the mark; the last of each row is for the level interrupts. */
static uint32_t marks[ACTORS][256];

void actors_mark(void)
{
	for (unsigned int t = 0; t < ACTORS; t++) {
		for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++)
			marks[t][v] = actors.ipis[t][v].sent;
		marks[t][255] = actors.levels[t].sent;
	}
}

bool actors_reached_mark(void)
{
	for (unsigned int t = 0; t < ACTORS; t++) {
		for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++)
			if ((int32_t)(actors.ipis[t][v].handled - marks[t][v]) < 0)
				return false;
		if ((int32_t)(actors.levels[t].handled - marks[t][255]) < 0)
			return false;
	}
	return true;
}

void actors_account(struct account *ipis, struct account *levels, struct account *timers)
{
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct timer *timer = &actors.each[i].timer;

		levels->sent += actors.levels[i].sent;
		levels->accepted += guest_cpus[i].irqs[LEVEL_VECTOR(i)];
		levels->serviced += actors.levels[i].handled;
		timers->sent += timer->expected;
		timers->accepted += timer->taken;
		timers->serviced += timer->ended;
		for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++) {
			ipis->sent += actors.ipis[i][v].sent;
			ipis->serviced += actors.ipis[i][v].handled;
			if (OWNER(v) != OWN)
				ipis->accepted += guest_cpus[i].irqs[v];
		}
	}
}

void actors_end(struct vm *vm)
{
	uint64_t handled = 0, armed = 0, strays = 0;

	actors_finish(vm);
	for (unsigned int i = 0; i < ACTORS; i++) {
		armed += actors.each[i].timer.armings;
		strays += actors.each[i].timer.strays;
		handled += actors.levels[i].handled;
		for (unsigned int v = FIRST_VECTOR; v <= LAST_VECTOR; v++)
			handled += actors.ipis[i][v].handled;
	}
	printf("# %llu IPIs and level interrupts, timers armed %llu times, %llu of them fired again\n",
	       (unsigned long long)handled, (unsigned long long)armed, (unsigned long long)strays);
	vm_destroy(vm);
}
