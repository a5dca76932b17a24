/* SPDX-License-Identifier: GPL-2.0-only */
/* What a test needs of the host beside VMs: time, processors and random numbers. */
#ifndef SELFTESTS_LIB_HOST_H
#define SELFTESTS_LIB_HOST_H

#include <stdint.h>

/*
 * Time for deadlines of the calling thread, in microseconds.  It advances only while the thread
 * runs, because an emulated machine whose own host stalls for a while has not lost an
 * interrupt.
 */
uint64_t patience_us(void);
void sleep_us(unsigned int us);

/* CLOCK_MONOTONIC. */
uint64_t host_clock_us(void);

/* How long any one step may take: VAPIC_TIMEOUT. */
uint64_t vm_timeout_us(void);

unsigned int host_cpu_count(void);
/* The n-th processor that this process may use; n wraps around. */
int host_cpu(unsigned int n);

/* Random numbers for host code; each test starts with the same state, which -s sets. */
uint64_t host_random(void);
extern uint64_t host_random_state;

#endif
