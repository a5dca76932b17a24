/* SPDX-License-Identifier: GPL-2.0-only */
/* /sys/kernel/vapic/: what any user may read.  See Documentation/ABI/. */
#ifndef VAPIC_TAKEOVER_STATUS_H
#define VAPIC_TAKEOVER_STATUS_H

/* Make the files, 0 or a negative errno; remove them, waiting for their readers. */
int vapic_status_create(void);
void vapic_status_remove(void);

#endif
