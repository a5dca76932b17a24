/* SPDX-License-Identifier: GPL-2.0-only */
/* What vapic has said in the kernel log. */
#ifndef VAPIC_KUNIT_LOG_H
#define VAPIC_KUNIT_LOG_H

/* How many lines of an error vapic has printed since the last call. @last is the newest one. */
unsigned int kunit_log_errors(const char **last);

#endif
