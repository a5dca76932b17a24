/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns of the emulated CPUs, see smp-loop.cc. */
#ifndef SMP_LOOP_H
#define SMP_LOOP_H

/* Run all CPUs until the emulator is to end; @quantum is in instructions. */
void smp_loop(unsigned quantum);

/* What VAPIC_SEED in the environment says; 0 if it says nothing. */
unsigned smp_seed(void);

/* The turns after the present one go by this seed, as if it had been that of the start. */
void smp_reseed(unsigned seed);

#endif
