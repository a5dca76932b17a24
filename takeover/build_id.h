/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks that a running module is the very build that vapic was built for. */
#ifndef VAPIC_TAKEOVER_BUILD_ID_H
#define VAPIC_TAKEOVER_BUILD_ID_H

struct module;

/*
 * Compare the GNU build-id of @module with @expected, in hexadecimal.  0, or -ENOEXEC
 * with the reason logged.  The caller keeps the module from being unloaded.
 */
int vapic_build_id_check(struct module *module, const char *expected);

#endif
