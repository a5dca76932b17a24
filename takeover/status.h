/* SPDX-License-Identifier: GPL-2.0-only */
/* /sys/kernel/vapic/: what users may read.  See Documentation/ABI/. */
#ifndef VAPIC_TAKEOVER_STATUS_H
#define VAPIC_TAKEOVER_STATUS_H

#include <linux/types.h>
#include <linux/uidgid.h>

struct pid_namespace;

/* Who opened a file, which decides what it says to whoever reads it. */
struct vapic_viewer {
	bool all;   /* may see every VM: CAP_SYS_ADMIN in the initial user namespace */
	kuid_t uid; /* else those made by this user */
	struct pid_namespace *pids;
};

/*
 * Make the files, 0 or a negative errno; remove them, waiting for their readers.  Needs
 * the symbols of the kernel.
 */
int vapic_status_create(void);
void vapic_status_remove(void);

#endif
