/* SPDX-License-Identifier: GPL-2.0-only */
/* What a test needs of the host beside VMs: time, processors and random numbers. */
#ifndef SELFTESTS_LIB_HOST_H
#define SELFTESTS_LIB_HOST_H

#include <stdint.h>

/*
 * Time for deadlines, in microseconds, of the thread that asks: it goes on only while the
 * thread does.  An emulated machine whose host stands still for a while has lost no
 * interrupt.
 */
uint64_t patience_us(void);
void sleep_us(unsigned int us);

/* How long any one step may take. */
uint64_t vm_timeout_us(void);

unsigned int host_cpu_count(void);
/* The n-th processor that this process may use, counted around. */
int host_cpu(unsigned int n);

/* The host's random numbers; each test begins with the same state, which -s sets. */
uint64_t host_random(void);
extern uint64_t host_random_state;

#endif
