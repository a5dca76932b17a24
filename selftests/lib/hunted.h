/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM of one schedule of the hunter (hunt.c): it is disturbed by actions at random, and each of
 * its interrupts is accounted for. There is one in a process.
 */
#ifndef SELFTESTS_LIB_HUNTED_H
#define SELFTESTS_LIB_HUNTED_H

#include <stdbool.h>
#include <stdint.h>

#include "accounts.h"

/* vCPUs of pings: the first sends when it is told to, the other runs. */
#define PINGS		2

enum action {
	FIRE,		/* the device raises its interrupt */
	LINE,		/* level-triggered pins of the actors rise */
	PIN,		/* a vCPU moves to a processor, and stays there */
	FREE,		/* the scheduler may move a vCPU */
	PREEMPT,	/* something else takes the processor of a vCPU for some time */
	KICK,		/* a vCPU goes to user space and returns */
	INHIBIT,	/* acceleration goes or comes back */
	ROUTE,		/* the device's interrupt is taken away and assigned again */
	RESTORE,	/* the VM is saved, and restored in place */
	MOVE,		/* the VM is saved, dies, and a second one goes on */
	OFFLINE,	/* a processor of the host goes or comes back */
	NEIGHBOUR,	/* VMs are born and die beside it, all the time */
	ACTIONS
};

extern const char *const hunted_actions[ACTIONS];

enum kind { TRAFFIC_KIND, ACTORS_KIND, PINGS_KIND, KINDS };
extern const char *const hunted_kinds[KINDS];

enum source { IPI, DEVICE, LEVEL, TIMER, MSI, SOURCES };
extern const char *const hunted_sources[SOURCES];

struct schedule {
	uint64_t seed;
	enum kind kind;
	unsigned int mode;		/* of vm_create() */
	unsigned int vcpus;
	uint32_t actions;		/* a bit each */
	uint64_t interrupts;		/* the guest's own, after which it ends */
};

/* What the processes of a schedule tell the one that began them. */
struct report {
	struct account accounts[SOURCES];
	uint32_t done[ACTIONS];
	volatile uint32_t births;
	bool finished;
};

/* Runs it by host_random(). The report must be shared with whoever reads it. */
void hunted_run(const struct schedule *schedule, struct report *report);

/*
 * Makes VMs that come and go, half of them while their vCPUs run, for a process of its own. Never
 * returns.
 */
void __attribute__((noreturn)) hunted_neighbours(struct report *report);

#endif
