/* SPDX-License-Identifier: GPL-2.0-only */
/* The version of vapic. */
#ifndef VAPIC_TAKEOVER_VERSION_H
#define VAPIC_TAKEOVER_VERSION_H

#define VAPIC_VERSION "0.1.0"

#endif
