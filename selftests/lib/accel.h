/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks whether interrupt acceleration is really on.
 *
 * The check observes behaviour, which no module parameter and no status file can
 * fake: a guest reads an APIC register a number of times, and KVM's counters tell
 * whether KVM emulated those reads or never saw them.  Module parameters and
 * /sys/kernel/vapic only say what to expect.
 *
 * VAPIC_EXPECT=accelerated or plain says what to expect.  Otherwise acceleration
 * is expected if vapic is loaded and takes over, or if the stock vendor module was
 * loaded with acceleration enabled.  A processor that cannot accelerate is tested only
 * if plain is expected; it is a failure if VAPIC_EXPECT says accelerated, else a skip.
 */
#ifndef SELFTESTS_LIB_ACCEL_H
#define SELFTESTS_LIB_ACCEL_H

#include <stdbool.h>
#include <stdint.h>

/* How many reads one probe makes: far more than there are other exits meanwhile. */
#define ACCEL_PROBE_READS	64

enum accel_verdict {
	ACCEL_OK,		/* as expected: go on */
	ACCEL_WRONG,		/* not as expected: the test must fail */
	ACCEL_UNAVAILABLE,	/* the machine lacks what is expected: skip */
};

struct accel {
	enum accel_verdict verdict;
	bool active;		/* probed in a VM of its own, in xAPIC mode */
	bool vapic;		/* vapic is loaded */
	char reason[160];	/* one line for a person */
};

/* Probes once in a process; later calls return the same. */
const struct accel *accel_check(void);

/* Probes anew, in either mode. */
bool accel_probe(bool x2apic);

/* Whether acceleration is active and is AMD's. */
bool accel_is_avic(void);

/*
 * Whether a guest should be accelerated in x2APIC mode, or in xAPIC mode: on AMD x2APIC mode
 * needs x2AVIC.
 */
bool accel_expected(bool x2apic);

/*
 * From which APIC ID on hardware's table has no entry.  Stock KVM refuses such a vCPU, and under
 * vapic its whole VM is not accelerated.
 */
uint32_t accel_table_ids(void);

/*
 * Whether every IPI of a guest in this mode exits: without acceleration it does, and on Intel
 * also without IPI virtualization.
 */
bool accel_ipis_exit(bool x2apic);

/* Whether KVM is stock's, of a Linux before this one: for what only such a kernel gets wrong. */
bool stock_before(unsigned int major, unsigned int minor);

/*
 * Whether this kernel is known to lose interrupts when acceleration comes and goes: stock 6.1
 * does on Intel.  When APICv comes back, hardware does not know what is in service, and an EOI
 * ends nothing; while it is away, KVM may overlook what is posted.  And an old threshold of TPR
 * fails entries.
 */
bool accel_loses_interrupts(void);

/*
 * Whether this kernel is known to leave vCPUs asleep: stock 6.1 does with x2AVIC, if an IPI goes to
 * logical IDs of the first cluster.
 */
bool accel_misses_sleepers(void);

/* Whether vapic is loaded and has redirected this function of KVM. */
bool vapic_takes_over(const char *function);

struct vcpu;

/*
 * Whether this running vCPU's APIC accesses are accelerated now.  Its guest must reach
 * guest_poll(), with its APIC enabled in either mode.
 */
bool vcpu_is_accelerated(struct vcpu *vcpu);

/* Waits for the state, which may take a moment to change; returns the last state seen. */
bool vcpu_acceleration_becomes(struct vcpu *vcpu, bool wanted);

/*
 * Exits of the vCPU but those for the host's interrupts.  It may be one too many, and so a
 * difference of two one too few or below 0: KVM counts an exit before it looks for the reason, and
 * with PREEMPT_RT the interrupt mostly preempts the vCPU in between.
 */
int64_t vcpu_own_exits(struct vcpu *vcpu);

#endif
