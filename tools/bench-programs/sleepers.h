/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM of many vCPUs that sleep until an interrupt comes, handle it and sleep again:
 * more than the selftests' VMs have. They run in real mode, APICs in x2APIC mode.
 */
#ifndef SLEEPERS_H
#define SLEEPERS_H

#define SLEEPERS_VECTOR 0x60

/*
 * Create vCPU 0, which never runs, and vCPUs 1 to @count, which live until the process ends. Of
 * these the first @asleep, with a thread each, sleep; the others have run, and are out of the
 * kernel. Returns the file of vCPU 0; dies of any error.
 */
int sleepers_start(unsigned int count, unsigned int asleep);

#endif
