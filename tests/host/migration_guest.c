// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the Linux guest of `migration` does, round after round, and says on standard output:
 * hackbench, and with a higher priority a thread on each CPU. They make each other's CPU
 * flush its TLB, for which Linux sends an IPI and waits until it was handled. In every second
 * round both nap in between, so that the CPUs become idle; in the others one CPU flushes and the
 * other spins.
 *
 * One of these IPIs that is lost stops the sender for ever if the other CPU spins; if it becomes
 * idle, Linux may notice then. A lost tick stops the next nap on that CPU. What Linux mends by
 * itself cannot be seen here: an IPI that only says that a task woke up. lapic_restore of the
 * selftests accounts for every interrupt.
 *
 *   round N          the Nth is over
 *   kernel: TEXT     what the kernel complained of meanwhile
 *   failed: WHAT     no more rounds
 *
 * usage: migration_guest HACKBENCH [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CPUS 2
#define PAGE 4096
#define PRIORITY -10
#define FLUSHES_PER_NAP 10
#define NS_PER_S 1000000000
/* Priorities of kernel messages below this one are complaints; KERN_NOTICE and on are not. */
#define COMPLAINTS 5

/* What a thread does on its CPU. */
struct role {
	size_t cpu;
	bool flushes, naps;
};

static atomic_bool over;

static void fail(const char *what)
{
	printf("failed: %s\n", what);
	exit(1);
}

static void flush_all_tlbs(volatile char *page)
{
	*page += 1;
	if (mprotect((void *)page, PAGE, PROT_READ) ||
	    mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
		fail("mprotect");
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void nap(int64_t ns)
{
	struct timespec time = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};

	nanosleep(&time, NULL);
}

static void take_place(size_t number)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(number, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		fail("sched_setaffinity");
	if (setpriority(PRIO_PROCESS, 0, PRIORITY))
		fail("setpriority");
}

static void *play(void *arg)
{
	const struct role *role = arg;
	int64_t begun;
	char *page;

	take_place(role->cpu);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		fail("mmap");
	while (!over) {
		if (!role->flushes)
			continue;
		begun = now_ns();
		for (unsigned int i = 0; i < FLUSHES_PER_NAP; i++)
			flush_all_tlbs(page);
		/* Nap for as long as the flushes took, so that hackbench has half of the time. */
		if (role->naps)
			nap(now_ns() - begun);
	}
	munmap(page, PAGE);
	return NULL;
}

static pid_t start(char **words)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		fail("fork");
	if (pid)
		return pid;
	null = open("/dev/null", O_WRONLY);
	if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(1);
	execvp(words[0], words);
	_exit(1);
}

/* A record is "PRIORITY,...;TEXT\n" and lines that say more. */
static void show_complaints(int log)
{
	char record[8192], *text;
	ssize_t size;

	while ((size = read(log, record, sizeof(record) - 1)) > 0) {
		record[size] = '\0';
		text = strchr(record, ';');
		if (text && (strtoul(record, NULL, 10) & 7) < COMPLAINTS)
			printf("kernel: %.*s\n", (int)strcspn(text + 1, "\n"), text + 1);
	}
}

static void do_round(unsigned int round, char **hackbench)
{
	bool naps = round % 2 == 0;
	struct role roles[CPUS];
	pthread_t threads[CPUS];
	pid_t pid = start(hackbench);
	int status;

	over = false;
	for (size_t i = 0; i < CPUS; i++) {
		roles[i] = (struct role){i, naps || round / 2 % CPUS == i, naps};
		if (pthread_create(&threads[i], NULL, play, &roles[i]))
			fail("pthread_create");
	}
	if (waitpid(pid, &status, 0) != pid || status)
		fail("hackbench");
	over = true;
	for (size_t i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	setlinebuf(stdout);
	if (argc < 2)
		fail("usage");
	if (log < 0 || lseek(log, 0, SEEK_END))
		fail("/dev/kmsg");
	for (unsigned int round = 1;; round++) {
		do_round(round, argv + 1);
		show_complaints(log);
		printf("round %u\n", round);
	}
}
