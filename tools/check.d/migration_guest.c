// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the Linux guest of `migration` does, round after round, and says on standard output:
 * hackbench, and with a higher priority a thread on each CPU that makes the other flush its
 * TLB, for which Linux sends an IPI and waits until it was handled, and naps in between.
 *
 * A lost IPI of these stops the sender, unless the other CPU becomes idle meanwhile, and a lost
 * tick stops that CPU's nap. What Linux mends by itself cannot be seen here: an IPI that only
 * says that a task woke up. lapic_restore of the selftests accounts for every interrupt.
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

#define CPUS		2
#define PAGE		4096
#define PRIORITY	-10
#define FLUSHES_PER_NAP 10
#define NS_PER_S	1000000000
/* Priorities of kernel messages below this one are complaints; KERN_NOTICE and on are not. */
#define COMPLAINTS	5

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
	struct timespec time = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	nanosleep(&time, NULL);
}

static void *flusher(void *arg)
{
	int64_t begun;
	cpu_set_t cpu;
	char *page;

	CPU_ZERO(&cpu);
	CPU_SET((size_t)arg, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		fail("sched_setaffinity");
	if (setpriority(PRIO_PROCESS, 0, PRIORITY))
		fail("setpriority");
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		fail("mmap");
	while (!over) {
		begun = now_ns();
		for (unsigned int i = 0; i < FLUSHES_PER_NAP; i++)
			flush_all_tlbs(page);
		/* However long an IPI takes here, half of the time is hackbench's. */
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

static void do_round(char **hackbench)
{
	pthread_t threads[CPUS];
	pid_t pid = start(hackbench);
	int status;

	over = false;
	for (size_t i = 0; i < CPUS; i++)
		if (pthread_create(&threads[i], NULL, flusher, (void *)i))
			fail("pthread_create");
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
		do_round(argv + 1);
		show_complaints(log);
		printf("round %u\n", round);
	}
}
