/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Takes processors of the host offline, one at a time, and back. That needs root.
 */
#ifndef SELFTESTS_LIB_PROCESSORS_H
#define SELFTESTS_LIB_PROCESSORS_H

#include <stdbool.h>

#include "vm.h"

/* Write a file in one piece, errno if false; read its first line, empty if there is none. */
bool file_write(const char *path, const char *text);
const char *file_read(const char *path, char *text, int size);

/* Looks for the processors that may go: all but the first. Returns how many there are. */
unsigned int removable_find(void);

/* The n-th of them; n wraps around. There must be one. */
int removable_cpu(unsigned int n);

/* Fails the test if the processor does not go or come. */
void processor_set_online(struct vm *vm, int cpu, bool on);

/* Brings back the processor that is offline, if one is: for a test that fails. */
void processors_restore(void);

/*
 * Calls @restore, then ends the program, if SIGHUP, SIGINT or SIGTERM comes: for a change of the
 * host that must not outlive a program that somebody stops. @restore may write files, as the
 * functions here do, and may not allocate. A child inherits this until it asks for another.
 */
void restore_if_killed(void (*restore)(void));

/*
 * Linux 6.12 counts a processor's fair server, which is not a task, among the tasks that run
 * there. Its timer may fire while the processor waits for the others to let it die. Then the
 * kernel warns "Dying CPU not properly vacated!", as if a task were left. With the fair servers
 * stopped, that warning means a task again. If a server cannot be stopped, the tests still work,
 * but the warning may appear without a task.
 *
 * Stop them once for all tests, before the first processor goes offline: if a server was started
 * again after processors went offline, stopping it can make the same kernel warn that its
 * bandwidth is below zero ("dl_rq->running_bw > old").
 */
void fair_servers_stop(void);
void fair_servers_start(void);

#endif
