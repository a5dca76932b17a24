// SPDX-License-Identifier: GPL-2.0-only
/*
 * ports PIPE...: what virtio-serial is on the AMD machine, for the Intel one, whose emulator
 * has none: several named pipes over one I/O port, E9h, each byte of which the emulator
 * passes on. Reads the pipes, which must exist, and writes frames:
 *
 *	byte 0		which pipe, counted from 0 in the order of the arguments
 *	bytes 1, 2	how many bytes follow, low byte first
 *	...		the bytes
 *
 * after one line, START, since the emulator prints a few lines of its own first. On SIGTERM
 * it passes on what is left in the pipes, and ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <unistd.h>

#define PORT 0xe9
#define START "\ntestbed: ports\n"
#define MAX_PIPES 16
#define HEADER 3

static volatile sig_atomic_t ending;

static void on_term(int number)
{
	(void)number;
	ending = 1;
}

static void out(const void *data, unsigned long count)
{
	__asm__ volatile("rep outsb" : "+S"(data), "+c"(count) : "d"(PORT) : "memory");
}

static void pass_on(int which, int pipe)
{
	unsigned char frame[HEADER + 4096];
	ssize_t count = read(pipe, frame + HEADER, sizeof(frame) - HEADER);

	if (count <= 0)
		return;
	frame[0] = which;
	frame[1] = count & 0xff;
	frame[2] = count >> 8;
	out(frame, HEADER + count);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_term };
	struct pollfd pipes[MAX_PIPES];
	const struct timespec now = { 0, 0 };
	sigset_t term, none;
	int count = argc - 1;

	if (count < 1 || count > MAX_PIPES)
		return 2;
	if (ioperm(PORT, 1, 1)) {
		perror("ports: ioperm");
		return 1;
	}
	for (int i = 0; i < count; i++) {
		// For writing too, so that a pipe without writers is not at its end.
		pipes[i].fd = open(argv[1 + i], O_RDWR | O_NONBLOCK);
		pipes[i].events = POLLIN;
		if (pipes[i].fd < 0) {
			perror(argv[1 + i]);
			return 1;
		}
	}
	sigemptyset(&none);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	sigaction(SIGTERM, &action, NULL);
	out(START, strlen(START));
	for (;;) {
		int ready = ppoll(pipes, count, ending ? &now : NULL, &none);

		if (ready == 0)
			return 0;
		for (int i = 0; ready > 0 && i < count; i++)
			if (pipes[i].revents & POLLIN)
				pass_on(i, pipes[i].fd);
	}
}
