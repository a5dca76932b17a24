/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vendor module's parameter that says whether the feature is on that vapic takes over.
 *
 * While vapic is loaded, /sys/module/.../parameters shows the feature's real state.  The
 * variable behind the parameter cannot do that: kvm_intel acts on enable_ipiv at run time,
 * and it has to act as if there were no IPI virtualization.
 */
#ifndef VAPIC_TAKEOVER_SHOWN_H
#define VAPIC_TAKEOVER_SHOWN_H

#include <linux/module.h>

/* A bool parameter of the module, and what it shows while vapic is loaded. */
struct vapic_shown {
	const char *name;
	bool *value;
};

/*
 * Make the module's parameter show what vapic says.  Returns 0, or -ENOENT, logged, if that
 * parameter cannot be found.
 */
int vapic_shown_replace(struct module *module, const struct vapic_shown *shown);

/*
 * Make it show the module's own value again.  A reader may still look at vapic's for an
 * instant, without sleeping: wait for Tasks RCU before that goes away.
 */
void vapic_shown_restore(void);

#endif
