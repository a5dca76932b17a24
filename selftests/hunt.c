// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hunter: runs VMs in which every interrupt is accounted for, while all that may disturb a
 * vCPU happens at random, and looks for one that is lost or comes twice.
 *
 * A schedule follows from one number, its seed: what the guest does (lib/traffic.h, lib/actors.h),
 * the mode of its APICs, how many vCPUs it has, which actions disturb it, and the order of those.
 * Beside the guest's own interrupts a device raises its own: the assigned one if this host has
 * one, else an eventfd. Each schedule is a process of its own; so are VMs that are born and die
 * beside it. The first schedule that fails ends the hunt. Where an emulator's processors take
 * turns, the seed says which.
 *
 * usage: hunt [-s SEED] [-n SCHEDULES] [-i INTERRUPTS] [-t SECONDS] [-a ACTION,...] [-k KIND]
 *   -s   the first seed, 1 if there is none; the schedules have this one and those that follow
 *   -i   a schedule ends when the guest has sent so many to itself
 *   -t   begin no schedule after so many seconds
 *   -a   no other actions than these
 *   -k   no other guest than this: traffic, actors or pings
 *
 * Prints a line for each schedule. For each kind of interrupt that has how many were sent, how
 * many were accepted, which means that their handlers were entered, and how many were serviced,
 * which means that those signalled EOI. Ends with 0, with 1 if a schedule failed or none was run,
 * with 2 if the options are wrong or ask for none, with 4 if this machine has no acceleration.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/accel.h"
#include "lib/actors.h"
#include "lib/counters.h"
#include "lib/hunted.h"
#include "lib/processors.h"
#include "lib/run.h"
#include "lib/traffic.h"

#define EXIT_FAIL	1

/* Shared by all processes. */
static struct report *report;

static struct {
	uint64_t seed, schedules, interrupts, seconds;
	uint32_t actions;
	int kind;
} options = {
	.seed = 1, .schedules = 1, .interrupts = 4000, .seconds = UINT64_MAX / 1000000,
	.actions = (1U << ACTIONS) - 1, .kind = -1,
};

/* Seeds that follow each other shall not give numbers that do. */
static uint64_t mixed(uint64_t seed)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (x ^ x >> 31) | 1;
}

static struct schedule make_schedule(uint64_t seed)
{
	static const enum kind some_kinds[8] = {
		TRAFFIC_KIND, TRAFFIC_KIND, TRAFFIC_KIND, ACTORS_KIND, ACTORS_KIND, ACTORS_KIND,
		PINGS_KIND, PINGS_KIND,
	};
	struct schedule schedule = { .seed = seed, .interrupts = options.interrupts };
	uint64_t kind, mode, vcpus, mask;

	host_random_state = mixed(seed);
	kind = host_random();
	mode = host_random();
	vcpus = host_random();
	mask = host_random();
	schedule.kind = options.kind >= 0 ? (enum kind)options.kind : some_kinds[kind >> 20 & 7];
	schedule.mode = mode >> 20 & 1 ? VM_X2APIC : 0;
	schedule.vcpus = schedule.kind == TRAFFIC_KIND ? 2 + (vcpus >> 20) % (TRAFFIC_MAX - 1) :
			 schedule.kind == ACTORS_KIND  ? ACTORS :
							 PINGS;
	/* The device always fires. One schedule of four has all that there is. */
	schedule.actions = mask >> 20 & 3 ? mask >> 24 | 1U << FIRE : ~0U;
	schedule.actions &= options.actions;
	if (schedule.kind != ACTORS_KIND)
		schedule.actions &= ~(1U << LINE);
	return schedule;
}

/* ---- the process that begins schedules ---- */

/* The schedule that the processes run. */
static struct schedule now;

static void schedule_process(void)
{
	restore_if_killed(processors_restore);
	hunted_run(&now, report);
}

static void neighbours_process(void)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(host_cpu(0), &first);
	/* Or a processor might go just when one of its threads is to begin there. */
	if (now.actions & 1U << OFFLINE && sched_setaffinity(0, sizeof(first), &first))
		vm_fail(NULL, "the first processor: %s", strerror(errno));
	host_random_state = mixed(~now.seed);
	hunted_neighbours(report);
}

static pid_t begin_process(void (*what)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		vm_fail(NULL, "fork: %s", strerror(errno));
	if (pid)
		return pid;
	what();
	_exit(0);
}

/* Waits until one of the two has ended, or time is over. Returns which; 0: time is over. */
static pid_t wait_for(pid_t schedule, pid_t beside, int *status)
{
	uint64_t begun = patience_us();

	while (patience_us() - begun < 10 * vm_timeout_us()) {
		if (waitpid(schedule, status, WNOHANG) == schedule)
			return schedule;
		if (beside && waitpid(beside, status, WNOHANG) == beside)
			return beside;
		sleep_us(2000);
	}
	return 0;
}

static void end_process(pid_t pid, int how)
{
	kill(pid, how);
	waitpid(pid, NULL, 0);
}

/* True if nothing was lost. */
static bool passes(void)
{
	pid_t pid, beside = 0, ended;
	int status = 0;

	memset(report, 0, sizeof(*report));
	emulator_reseed(now.seed);
	if (now.actions & 1U << NEIGHBOUR)
		beside = begin_process(neighbours_process);
	pid = begin_process(schedule_process);
	ended = wait_for(pid, beside, &status);
	/* The schedule may have to bring a processor back, the others have nothing to put back. */
	if (ended != pid)
		end_process(pid, SIGTERM);
	if (beside && ended != beside)
		end_process(beside, SIGKILL);
	report->done[NEIGHBOUR] = report->births;
	if (!ended)
		fprintf(stderr, "# the schedule does not come to its end\n");
	else if (ended == beside)
		fprintf(stderr, "# the VMs beside it ended with status %x\n", status);
	else if (status)
		fprintf(stderr, "# it ended with status %x\n", status);
	return ended == pid && !status && report->finished;
}

static void describe(const struct schedule *schedule)
{
	printf("%llu: %s %s %u+1", (unsigned long long)schedule->seed, hunted_kinds[schedule->kind],
	       schedule->mode & VM_X2APIC ? "x2apic" : "xapic", schedule->vcpus);
}

static struct account total[SOURCES];
static uint64_t total_done[ACTIONS];

static void print_accounts(const struct account *accounts)
{
	for (unsigned int i = 0; i < SOURCES; i++)
		if (accounts[i].sent || accounts[i].accepted)
			printf(" %s %llu/%llu/%llu", hunted_sources[i],
			       (unsigned long long)accounts[i].sent,
			       (unsigned long long)accounts[i].accepted,
			       (unsigned long long)accounts[i].serviced);
}

static void add_up(void)
{
	for (unsigned int i = 0; i < SOURCES; i++) {
		total[i].sent += report->accounts[i].sent;
		total[i].accepted += report->accounts[i].accepted;
		total[i].serviced += report->accounts[i].serviced;
	}
	for (unsigned int i = 0; i < ACTIONS; i++)
		total_done[i] += report->done[i];
}

static bool hunt_one(uint64_t seed)
{
	uint64_t begun = host_clock_us();
	bool passed;

	now = make_schedule(seed);
	passed = passes();

	printf("%s ", passed ? "ok" : "not ok");
	describe(&now);
	print_accounts(report->accounts);
	printf(";");
	for (unsigned int i = 0; i < ACTIONS; i++)
		if (report->done[i])
			printf(" %s %u", hunted_actions[i], report->done[i]);
	printf("; %llu ms\n", (unsigned long long)(host_clock_us() - begun) / 1000);
	fflush(stdout);
	add_up();
	return passed;
}

static void summarize(uint64_t schedules, uint64_t begun)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < SOURCES; i++)
		sum += total[i].serviced;
	printf("# %llu schedules, %llu interrupts serviced, sent/accepted/serviced:",
	       (unsigned long long)schedules, (unsigned long long)sum);
	print_accounts(total);
	printf(";");
	for (unsigned int i = 0; i < ACTIONS; i++)
		if (total_done[i])
			printf(" %s %llu", hunted_actions[i], (unsigned long long)total_done[i]);
	printf("; %llu s\n", (unsigned long long)(host_clock_us() - begun) / 1000000);
}

/* ---- options ---- */

static uint32_t actions_named(char *names)
{
	uint32_t mask = 0;

	for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		unsigned int i = 0;

		while (i < ACTIONS && strcmp(name, hunted_actions[i]))
			i++;
		if (i == ACTIONS)
			return 0;
		mask |= 1U << i;
	}
	return mask;
}

static int kind_named(const char *name)
{
	for (int i = 0; i < KINDS; i++)
		if (!strcmp(name, hunted_kinds[i]))
			return i;
	return -1;
}

/* The option's value. False if that is no number from @least to @most. */
static bool number(uint64_t *value, uint64_t least, uint64_t most)
{
	char *end;

	errno = 0;
	*value = strtoull(optarg, &end, 0);
	return *optarg >= '0' && *optarg <= '9' && !*end && !errno && *value >= least &&
	       *value <= most;
}

static bool parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "s:n:i:t:a:k:")) != -1) {
		switch (option) {
		case 's':
			if (!number(&options.seed, 0, UINT64_MAX))
				return false;
			break;
		case 'n':
			if (!number(&options.schedules, 1, UINT64_MAX))
				return false;
			break;
		case 'i':
			if (!number(&options.interrupts, 1, UINT64_MAX))
				return false;
			break;
		case 't':
			if (!number(&options.seconds, 1, UINT64_MAX / 1000000))
				return false;
			break;
		case 'a':
			options.actions = actions_named(optarg);
			break;
		case 'k':
			options.kind = kind_named(optarg);
			if (options.kind < 0)
				return false;
			break;
		default:
			return false;
		}
	}
	return optind == argc && options.actions;
}

int main(int argc, char **argv)
{
	uint64_t begun, done = 0;
	bool passed = true;

	if (!parse(argc, argv)) {
		fprintf(stderr, "usage: %s [-s SEED] [-n SCHEDULES] [-i INTERRUPTS] [-t SECONDS] "
			"[-a ACTION,...] [-k KIND]\n", argv[0]);
		return 2;
	}
	fprintf(stderr, "# %s\n", accel_check()->reason);
	if (accel_check()->verdict != ACCEL_OK)
		return accel_check()->verdict == ACCEL_UNAVAILABLE ? 4 : EXIT_FAIL;
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (report == MAP_FAILED)
		vm_fail(NULL, "memory: %s", strerror(errno));
	restore_if_killed(fair_servers_start);
	fair_servers_stop();
	begun = host_clock_us();
	while (passed && done < options.schedules &&
	       host_clock_us() - begun < options.seconds * 1000000) {
		passed = hunt_one(options.seed + done);
		done++;
	}
	fair_servers_start();
	if (!passed)
		printf("# replay: hunt -s %llu -i %llu\n",
		       (unsigned long long)(options.seed + done - 1),
		       (unsigned long long)options.interrupts);
	summarize(done, begun);
	return passed && done ? 0 : EXIT_FAIL;
}
