// SPDX-License-Identifier: GPL-2.0-only
/* Runs a scenario: saves, disturbs, restores and compares at a sequence of random points. */
#include "lapic_scenario.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "actors.h"
#include "hyperv.h"
#include "lapic.h"
#include "run.h"
#include "state_check.h"

static struct vm_state saved;
static uint32_t wrong_pprs;

/* How many of the saved vCPUs were in each interesting state. */
static struct {
	uint32_t irr, isr, tmr, tpr, halted, oneshot, periodic, deadline, injected;
} seen_at_saves;

/* The inhibits that are set. */
static bool auto_eoi, blocked;

static void print_point(struct vm *vm)
{
	(void)vm;
	fprintf(stderr, "# after point %u\n", actors_saves());
}

static bool any(const struct kvm_lapic_state *lapic, uint32_t base)
{
	return lapic_highest(lapic, base) >= 0;
}

static void save(struct vm *vm)
{
	vm_save(vm, &saved);
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct vcpu_state *vcpu = &saved.vcpus[i];
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
	}
	actors_note_saved(&saved);
}

static void require(uint32_t seen, const char *what)
{
	if (!seen)
		vm_fail(NULL, "no vCPU was saved with %s", what);
}

static void require_all_kinds(unsigned int points)
{
	printf("# %u points; vCPUs saved with IRR %u, ISR %u, TMR %u, TPR %u, halted %u, timer %u "
	       "one-shot %u periodic %u deadline, %u injected but not delivered\n",
	       points, seen_at_saves.irr, seen_at_saves.isr, seen_at_saves.tmr, seen_at_saves.tpr,
	       seen_at_saves.halted, seen_at_saves.oneshot, seen_at_saves.periodic,
	       seen_at_saves.deadline, seen_at_saves.injected);
	if (wrong_pprs)
		printf("# stock KVM: PPR was wrong after %u restores\n", wrong_pprs);
	if (points < 40)
		return;
	require(seen_at_saves.irr, "a pending interrupt");
	require(seen_at_saves.tmr, "a level-triggered interrupt");
	require(seen_at_saves.tpr, "a raised TPR");
	require(seen_at_saves.halted, "a halt");
	require(seen_at_saves.oneshot + seen_at_saves.periodic + seen_at_saves.deadline,
		"a timer that runs");
	/* Rarer states, which must not be missing in a long run. */
	if (points < 1000)
		return;
	require(seen_at_saves.isr, "an interrupt in service");
	require(seen_at_saves.oneshot, "a one-shot timer");
	require(seen_at_saves.periodic, "a periodic timer");
	require(seen_at_saves.deadline, "a TSC deadline");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void restore_and_check(struct vm *vm)
{
	static struct vm_state now;
	uint64_t begun = now_ns(), passed;

	vm_restore(vm, &saved);
	vm_save(vm, &now);
	passed = now_ns() - begun;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		wrong_pprs += !expect_vcpu_same(vm, i, &saved.vcpus[i], &now.vcpus[i], passed);
}

/* Lets the guests run for a random while, to a point that nothing else determines. */
static void run_to_next_point(struct vm *vm)
{
	actors_check(vm);
	if (host_random() % 2)
		actors_raise_line(vm, host_random() % ACTORS);
	sleep_us(host_random() % 2000);
	if (host_random() % 2)
		actors_raise_line(vm, host_random() % ACTORS);
	vm_pause(vm);
	/* A line may rise while the vCPUs are paused. */
	if (host_random() % 4 == 0)
		actors_raise_line(vm, host_random() % ACTORS);
}

/* ---- into the same VM ---- */

/* Disturbs a VM that is then restored: no effect of this may remain. */
static void disturb(struct vm *vm)
{
	unsigned int i = host_random() % ACTORS;
	struct kvm_lapic_state other = saved.vcpus[i].lapic;

	switch (host_random() % 4) {
	case 0:
		vm_send_msi(vm, i, GHOST_VECTOR);
		break;
	case 1:
		/* Leave the timer's registers: KVM stops the timer when its mode changes. */
		for (uint32_t reg = APIC_ISR; reg < APIC_ESR; reg += 0x10)
			lapic_write(&other, reg, host_random() & (reg & 0x70 ? ~0U : ~0xffffU));
		lapic_write(&other, APIC_TPR, host_random() & 0xff);
		vcpu_ioctl(&vm->vcpus[i], KVM_SET_LAPIC, &other);
		break;
	}
}

static void prepare_inhibits(struct vm *vm)
{
	vm_pause(vm);
	hyperv_require(&vm->vcpus[0]);
	vm_add_blocker(vm);
	vm_block(vm, true);
	auto_eoi = false;
	blocked = true;
	vm_resume(vm);
}

static void toggle_one(struct vm *vm)
{
	if (host_random() % 2) {
		auto_eoi = !auto_eoi;
		hyperv_set_auto_eoi(&vm->vcpus[0], auto_eoi);
	} else {
		blocked = !blocked;
		vm_block(vm, blocked);
	}
}

static void maybe_toggle(const struct scenario *scenario, struct vm *vm)
{
	if (scenario->inhibits && host_random() % 3 == 0)
		toggle_one(vm);
}

static void set_back(const struct scenario *scenario, struct vm *vm)
{
	run_to_next_point(vm);
	maybe_toggle(scenario, vm);
	save(vm);
	maybe_toggle(scenario, vm);
	disturb(vm);
	maybe_toggle(scenario, vm);
	restore_and_check(vm);
	maybe_toggle(scenario, vm);
	vm_resume(vm);
}

/* ---- into a second VM ---- */

/* When and by what the second VM is inhibited. */
enum { NEVER, BEFORE_BY_DEBUGGER, BEFORE_BY_AUTO_EOI, AFTER_BY_AUTO_EOI, WAYS };

static struct vm *move_on(const struct scenario *scenario, struct vm *vm)
{
	unsigned int how = scenario->inhibits ? host_random() % WAYS : NEVER;
	struct vm *next;

	run_to_next_point(vm);
	save(vm);
	next = vm_create_like(vm);
	next->on_failure = print_point;
	vm_destroy(vm);
	if (how != NEVER)
		hyperv_require(&next->vcpus[0]);
	if (how == BEFORE_BY_DEBUGGER) {
		vm_add_blocker(next);
		vm_block(next, true);
	} else if (how == BEFORE_BY_AUTO_EOI) {
		hyperv_set_auto_eoi(&next->vcpus[0], true);
	}
	restore_and_check(next);
	if (how == AFTER_BY_AUTO_EOI)
		hyperv_set_auto_eoi(&next->vcpus[0], true);
	vm_resume(next);
	return next;
}

void scenario_run(const struct scenario *scenario, unsigned int points)
{
	struct vm *vm = actors_begin(scenario->options);

	vm->on_failure = print_point;
	memset(&seen_at_saves, 0, sizeof(seen_at_saves));
	wrong_pprs = 0;
	if (scenario->inhibits && !scenario->second_vm)
		prepare_inhibits(vm);
	for (unsigned int i = 0; i < points; i++) {
		if (scenario->second_vm)
			vm = move_on(scenario, vm);
		else
			set_back(scenario, vm);
	}
	actors_end(vm);
	require_all_kinds(points);
}
