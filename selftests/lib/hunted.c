// SPDX-License-Identifier: GPL-2.0-only
/* See hunted.h. */
#define _GNU_SOURCE
#include "hunted.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "accel.h"
#include "actors.h"
#include "device.h"
#include "processors.h"
#include "roles.h"
#include "stats.h"
#include "traffic.h"

#define DEVICE_VECTOR	0x2e	/* below all others */
#define PING_VECTOR	0x2d
#define MSI_VECTOR	0x2c

/* Interrupts in a burst, each when the last was handled; and bursts in which none may be prompt. */
#define BURST		64
#define BURSTS		50

const char *const hunted_actions[ACTIONS] = {
	"fire", "line", "pin", "free", "preempt", "kick", "inhibit", "route", "restore", "move", "offline",
	"neighbour",
};

const char *const hunted_kinds[KINDS] = { "traffic", "actors", "pings" };
const char *const hunted_sources[SOURCES] = { "ipi", "device", "level", "timer", "msi" };

static const struct {
	unsigned int weight;
	/* It may wake vCPUs that sleep, and so repair a loss that nobody has seen yet. */
	bool wakes;
} actions[ACTIONS] = {
	[FIRE] = { 30, false },
	[LINE] = { 10, false },
	[PIN] = { 12, false },
	[FREE] = { 6, false },
	[PREEMPT] = { 12, false },
	[KICK] = { 8, false },
	[INHIBIT] = { 4, true },
	[ROUTE] = { 2, false },
	[RESTORE] = { 2, true },
	[MOVE] = { 1, true },
	[OFFLINE] = { 1, true },
	/* It is no step. */
	[NEIGHBOUR] = { 0, false },
};

static struct report *report;
static const struct schedule *now;
static struct vm *vm;
static cpu_set_t all_cpus;
static bool inhibited;
static int offline;
static uint32_t fired;
static uint64_t fired_at;

static struct guest_cpu *device_cpu(void)
{
	return &guest_cpus[now->vcpus];
}

/* Interrupts whose handler has signalled EOI. Each vCPU has its own. */
static volatile uint32_t serviced[GUEST_MAX_CPUS][256];
static volatile bool device_started;

static bool device_is_idle(void)
{
	return serviced[now->vcpus][DEVICE_VECTOR] == fired;
}

static void counting_handler(struct guest_frame *frame)
{
	struct guest_cpu *self = guest_self();

	self->irqs[frame->vector]++;
	apic_eoi();
	serviced[self->index][frame->vector]++;
}

/* The vCPU to which the device's interrupts go. Among pings it never halts. */
static void device_guest(uint64_t halts)
{
	irq_enable();
	device_started = true;
	while (!roles_finished) {
		uint64_t dice = guest_random();

		guest_poll();
		if (halts && dice % 2)
			halt_with_irqs();
		else
			guest_delay(dice >> 8 & 0xfff);
	}
}

static volatile uint32_t pings_ordered, pings_sent, msis_sent;

static void pinging_guest(uint64_t arg)
{
	(void)arg;
	irq_enable();
	while (!roles_finished) {
		if (pings_sent != pings_ordered && serviced[1][PING_VECTOR] == pings_sent) {
			pings_sent++;
			apic_send_fixed(guest_cpus[1].apic_id, PING_VECTOR);
		}
		guest_poll();
	}
}

static struct account account_of(uint8_t vector, unsigned int cpu, uint64_t sent)
{
	return (struct account){ sent, guest_cpus[cpu].irqs[vector], serviced[cpu][vector] };
}

static void account(void)
{
	struct account *accounts = report->accounts;

	memset(accounts, 0, sizeof(report->accounts));
	if (now->kind == TRAFFIC_KIND)
		traffic_account(&accounts[IPI]);
	else if (now->kind == ACTORS_KIND)
		actors_account(&accounts[IPI], &accounts[LEVEL], &accounts[TIMER]);
	else
		accounts[IPI] = account_of(PING_VECTOR, 1, pings_sent);
	accounts[MSI] = account_of(MSI_VECTOR, 1, msis_sent);
	accounts[DEVICE] = account_of(DEVICE_VECTOR, now->vcpus, fired);
}

/* For a failure: what vapic says of each vCPU. */
static void show_status(void)
{
	FILE *file = fopen("/sys/kernel/vapic/vcpus", "re");
	char line[512], mine[32];

	if (!file)
		return;
	snprintf(mine, sizeof(mine), "pid=%d ", getpid());
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, mine, strlen(mine)))
			fprintf(stderr, "# %s", line);
	fclose(file);
}

static void on_failure(struct vm *failed)
{
	(void)failed;
	account();
	fprintf(stderr, "# device: raised %u, handled %u\n", fired,
		device_cpu()->irqs[DEVICE_VECTOR]);
	show_status();
	processors_restore();
}

/* Fails if an interrupt has been outstanding for long. */
static void check(void)
{
	uint64_t at = patience_us();

	if (now->kind == TRAFFIC_KIND)
		traffic_check(vm);
	else if (now->kind == ACTORS_KIND)
		actors_check(vm);
	if (device_is_idle())
		fired_at = at;
	else if (at - fired_at > vm_timeout_us() / 2)
		vm_fail(vm, "interrupt %u of the device (vector %xh, vcpu %u) is lost", fired,
			DEVICE_VECTOR, now->vcpus);
}

static void wait_for_device(void)
{
	while (!device_is_idle()) {
		check();
		sleep_us(50);
	}
}

/* Whatever was sent before arrives without help. */
static void wait_for_sent(void)
{
	traffic_mark();
	actors_mark();
	/* Who is not there has sent nothing. */
	while (!traffic_reached_mark() || !actors_reached_mark()) {
		check();
		sleep_us(50);
	}
	wait_for_device();
}

static uint64_t interrupts_sent(void)
{
	struct account ipis = { 0 }, levels = { 0 }, timers = { 0 };

	if (now->kind == TRAFFIC_KIND)
		traffic_account(&ipis);
	else if (now->kind == ACTORS_KIND)
		actors_account(&ipis, &levels, &timers);
	/* As many as otherwise would take long: each waits for the last. */
	return ipis.sent + levels.sent + timers.sent + 4ULL * (pings_sent + msis_sent);
}

static void begin_vm(void)
{
	roles_finished = device_started = false;
	guest_seed = host_random();
	pings_ordered = pings_sent = msis_sent = 0;
	guest_set_handler(DEVICE_VECTOR, counting_handler);
	guest_set_handler(PING_VECTOR, counting_handler);
	guest_set_handler(MSI_VECTOR, counting_handler);
	if (now->kind == TRAFFIC_KIND) {
		vm = vm_create(now->mode);
		traffic_begin(vm, now->vcpus);
		traffic_alone = false;
	} else if (now->kind == ACTORS_KIND) {
		vm = actors_create(now->mode);
	} else {
		vm = vm_create(now->mode);
		roles_begin();
		vm_add_vcpu(vm, 0, pinging_guest, 0);
		vm_add_vcpu(vm, 1, role_spinner, 0);
	}
	vm->on_failure = on_failure;
	vm_add_vcpu(vm, now->vcpus, device_guest, now->kind != PINGS_KIND);
	vm_add_blocker(vm);
	device_is_there();
	device_route(vm, now->vcpus, DEVICE_VECTOR);
	device_assign(vm);
	if (now->kind == ACTORS_KIND)
		actors_start(vm);
	else
		vm_start(vm);
	vm_wait(vm, device_started, "the device's vCPU runs");
	if (now->kind == PINGS_KIND)
		vm_wait(vm, role_is_ready(&vm->vcpus[1]), "the vCPU that is pinged runs");
}

static void end_vm(void)
{
	if (offline)
		processor_set_online(vm, offline, true);
	if (inhibited)
		vm_block(vm, false);
	wait_for_sent();
	/* vCPU 0 never halts, so that it can be asked. */
	if (accel_check()->active) {
		bool accelerated = false;

		for (int tries = 0; !accelerated && tries < 100; tries++) {
			accelerated = vcpu_is_accelerated(&vm->vcpus[0]);
			check();
		}
		if (accelerated != accel_expected(now->mode & VM_X2APIC))
			vm_fail(vm, "acceleration did not return");
	}
	device_take_away();
	roles_finished = true;
	if (now->kind == TRAFFIC_KIND)
		traffic_end(vm);
	else if (now->kind == ACTORS_KIND)
		actors_finish(vm);
	else
		vm_join(vm);
	account();
	for (unsigned int i = 0; i < SOURCES; i++) {
		const struct account *a = &report->accounts[i];

		if (a->sent != a->accepted || a->sent != a->serviced)
			vm_fail(vm, "%s: %llu sent, %llu accepted, %llu serviced", hunted_sources[i],
				(unsigned long long)a->sent, (unsigned long long)a->accepted,
				(unsigned long long)a->serviced);
	}
	vm_destroy(vm);
}

/* ---- the actions ---- */

static struct vcpu *some_vcpu(void)
{
	return &vm->vcpus[host_random() % vm->vcpu_count];
}

static void fire(void)
{
	if (!device_is_idle())
		return;
	fired++;
	fired_at = patience_us();
	device_fire(1);
}

/* With real-time priority this thread runs at once where it is sent; else it has to compete. */
static void preempt(struct vcpu *vcpu)
{
	struct sched_param high = { .sched_priority = 1 }, low = { 0 };
	uint64_t until = host_random() % 400;
	int pcpu = vcpu->pcpu < 0 || vcpu->pcpu == offline ? host_cpu(host_random() % 64) :
							      vcpu->pcpu;
	uint64_t begun;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(pcpu, &set);
	/* Without the right to it, it is nothing. */
	sched_setscheduler(0, SCHED_FIFO, &high);
	if (sched_setaffinity(0, sizeof(set), &set))
		vm_fail(vm, "cannot go to processor %d: %s", pcpu, strerror(errno));
	begun = host_clock_us();
	while (host_clock_us() - begun < until)
		cpu_pause();
	sched_setscheduler(0, SCHED_OTHER, &low);
	if (sched_setaffinity(0, sizeof(all_cpus), &all_cpus))
		vm_fail(vm, "cannot come back: %s", strerror(errno));
}

/* One that sleeps is left alone, because that would end its sleep. */
static void kick(struct vcpu *vcpu)
{
	if (vcpu_is_blocked(vcpu))
		return;
	vcpu_pause(vcpu);
	vcpu_resume(vcpu);
}

/*
 * Where a vCPU may be pinned. No two of pings share a processor: if they did, an IPI could not come
 * while its target runs.
 */
static int some_place(const struct vcpu *vcpu)
{
	int pcpu = host_cpu(host_random() % 64);

	for (unsigned int i = 0; now->kind == PINGS_KIND && i < vm->vcpu_count; i++)
		if (vm->vcpus[i].pcpu == pcpu)
			return vcpu->pcpu == offline ? -1 : vcpu->pcpu;
	return pcpu;
}

static struct vm_state saved;

static void save(void)
{
	wait_for_device();
	vm_pause(vm);
	vm_save(vm, &saved);
	if (now->kind == ACTORS_KIND)
		actors_note_saved(&saved);
}

static void move_on(void)
{
	struct vm *next;

	save();
	device_take_away();
	next = vm_create_like(vm);
	next->on_failure = on_failure;
	vm_add_blocker(next);
	vm_destroy(vm);
	vm = next;
	if (inhibited)
		vm_block(vm, true);
	device_route(vm, now->vcpus, DEVICE_VECTOR);
	device_assign(vm);
	vm_restore(vm, &saved);
	vm_resume(vm);
}

static void offline_or_back(void)
{
	if (offline) {
		processor_set_online(vm, offline, true);
		offline = 0;
		/* Whose processor had gone may run anywhere since. */
		for (unsigned int i = 0; i < vm->vcpu_count; i++)
			vcpu_pin(&vm->vcpus[i], vm->vcpus[i].pcpu);
		return;
	}
	if (!removable_find())
		return;
	offline = removable_cpu(host_random());
	processor_set_online(vm, offline, false);
}

static void reassign(void)
{
	wait_for_device();
	device_take_away();
	device_route(vm, now->vcpus, DEVICE_VECTOR);
	device_assign(vm);
}

static void act(enum action action)
{
	struct vcpu *vcpu = some_vcpu();

	if (actions[action].wakes && host_random() % 4)
		wait_for_sent();
	report->done[action]++;
	switch (action) {
	case FIRE:
		fire();
		break;
	case LINE:
		actors_raise_line(vm, host_random() % ACTORS);
		break;
	case PIN:
		vcpu_pin(vcpu, some_place(vcpu));
		break;
	case FREE:
		vcpu_pin(vcpu, now->kind == PINGS_KIND ? some_place(vcpu) : -1);
		break;
	case PREEMPT:
		preempt(vcpu);
		break;
	case KICK:
		kick(vcpu);
		break;
	case INHIBIT:
		inhibited = !inhibited;
		vm_block(vm, inhibited);
		break;
	case ROUTE:
		reassign();
		break;
	case RESTORE:
		save();
		vm_restore(vm, &saved);
		vm_resume(vm);
		break;
	case MOVE:
		move_on();
		break;
	case OFFLINE:
		offline_or_back();
		break;
	default:
		break;
	}
}

static enum action some_action(void)
{
	unsigned int sum = 0, dice;

	for (unsigned int i = 0; i < ACTIONS; i++)
		if (now->actions & 1U << i)
			sum += actions[i].weight;
	dice = (host_random() >> 20) % (sum + 1);
	for (unsigned int i = 0; i < ACTIONS; i++) {
		if (!(now->actions & 1U << i))
			continue;
		if (dice < actions[i].weight)
			return i;
		dice -= actions[i].weight;
	}
	return ACTIONS;
}

/* ---- prompt delivery to a vCPU that runs ---- */

/* Waits until so many of a kind have been handled. */
static void wait_for_handled(volatile uint32_t *done, uint32_t wanted, enum source source)
{
	uint64_t begun = patience_us();

	for (unsigned int spins = 0; *done != wanted; spins++) {
		if (spins < 1000)
			cpu_pause();
		else
			sleep_us(20);
		if (patience_us() - begun > vm_timeout_us() / 2)
			vm_fail(vm, "an interrupt of kind %s is lost", hunted_sources[source]);
	}
}

/* Each when the last was handled. IPIs follow each other without the host. */
static void send_burst(enum source source, unsigned int count)
{
	volatile uint32_t *msis = &serviced[1][MSI_VECTOR], *pings = &serviced[1][PING_VECTOR];

	if (source == IPI) {
		pings_ordered += count;
		wait_for_handled(pings, pings_ordered, source);
		return;
	}
	while (count--) {
		if (source == MSI) {
			msis_sent++;
			vm_send_msi(vm, 1, MSI_VECTOR);
			wait_for_handled(msis, msis_sent, source);
		} else {
			fire();
			wait_for_handled(&serviced[now->vcpus][DEVICE_VECTOR], fired, source);
		}
	}
}

/*
 * Hardware must deliver to a vCPU that runs. If it does not, each interrupt comes at an exit of the
 * vCPU, because the host's timer is never far, so that nothing is lost. So in some burst there must
 * be fewer exits than interrupts.
 */
static void expect_prompt(void)
{
	static const enum source those[] = { IPI, MSI, DEVICE };
	enum source source = those[host_random() % 3];
	struct vcpu *target = &vm->vcpus[source == DEVICE ? now->vcpus : 1];

	wait_for_device();
	for (unsigned int bursts = 0; bursts < BURSTS; bursts++) {
		uint64_t exits = vcpu_stat(target, "exits");

		send_burst(source, BURST);
		if (vcpu_stat(target, "exits") - exits < BURST)
			return;
	}
	vm_fail(vm, "no interrupt of kind %s comes while its target runs", hunted_sources[source]);
}

/* And no two share a processor: if one of the host's is gone, the scheduler may have them do it. */
static bool may_expect_prompt(void)
{
	return !inhibited && !offline && accel_check()->active && accel_expected(now->mode & VM_X2APIC);
}

static void pass_time(void)
{
	uint64_t dice = host_random() >> 20;

	switch (dice & 3) {
	case 0:
		break;
	case 1:
		for (unsigned int spins = dice >> 8 & 0xfff; spins; spins--)
			cpu_pause();
		break;
	default:
		sleep_us((dice >> 8) % 300);
	}
}

void hunted_run(const struct schedule *schedule, struct report *to)
{
	now = schedule;
	report = to;
	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		vm_fail(NULL, "processors: %s", strerror(errno));
	begin_vm();
	while (interrupts_sent() < now->interrupts) {
		enum action action = some_action();

		if (action < ACTIONS)
			act(action);
		pass_time();
		check();
		if (now->kind == PINGS_KIND && may_expect_prompt())
			expect_prompt();
		else if (now->kind == PINGS_KIND)
			send_burst(IPI, 1);
	}
	end_vm();
	report->finished = true;
}

void hunted_neighbours(struct report *to)
{
	for (;;) {
		struct vm *beside = vm_create(host_random() % 2 ? VM_X2APIC : 0);

		traffic_begin(beside, 2 + host_random() % 2);
		vm_start(beside);
		to->births++;
		sleep_us(host_random() % 5000);
		if (host_random() % 2)
			traffic_end(beside);
		vm_destroy(beside);
	}
}
