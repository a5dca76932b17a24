/* SPDX-License-Identifier: GPL-2.0-only */
/* Log lines of vapic: one cause, one line, "vapic: " in front. */
#ifndef VAPIC_KVM_LOG_H
#define VAPIC_KVM_LOG_H

#include <linux/printk.h>

#define vapic_err(format, ...) pr_err("vapic: " format, ##__VA_ARGS__)
#define vapic_info(format, ...) pr_info("vapic: " format, ##__VA_ARGS__)

#endif
