/* SPDX-License-Identifier: GPL-2.0-only */
/* /sys/kernel/vapic/: what users may read.  See Documentation/ABI/. */
#ifndef VAPIC_TAKEOVER_SYSFS_H
#define VAPIC_TAKEOVER_SYSFS_H

/*
 * Make the files, which returns 0 or a negative errno and needs the kernel's symbols;
 * remove the files and wait for their readers.
 */
int vapic_sysfs_create(void);
void vapic_sysfs_remove(void);

#endif
