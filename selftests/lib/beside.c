// SPDX-License-Identifier: GPL-2.0-only
/* See beside.h. */
#define _GNU_SOURCE
#include "beside.h"

#include <pthread.h>
#include <sched.h>

#include "cpu.h"

volatile bool beside_ends;
static pthread_t thread;

void beside(void *(*what)(void *), struct vm *vm)
{
	beside_ends = false;
	pthread_create(&thread, NULL, what, vm);
}

void beside_stop(void)
{
	beside_ends = true;
	pthread_join(thread, NULL);
}

void *beside_compete(void *vm)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(((struct vm *)vm)->vcpus[0].pcpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	while (!beside_ends)
		cpu_pause();
	return NULL;
}
