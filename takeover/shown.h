/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vendor module's parameter that says whether what vapic has taken over is on.
 *
 * While vapic is loaded, /sys/module/.../parameters shows what is so.  The variable behind
 * the parameter cannot do that: kvm_intel acts on enable_ipiv at run time, and it has to
 * act as if there were none.
 */
#ifndef VAPIC_TAKEOVER_SHOWN_H
#define VAPIC_TAKEOVER_SHOWN_H

#include <linux/module.h>

/*
 * Have a parameter of the module show what ours of the same name holds: 0, or -ENOENT,
 * logged, if it cannot be found.
 */
int vapic_shown_replace(struct module *module, const struct kernel_param *ours);

/*
 * The module's own again.  A reader may still look at ours for an instant, without
 * sleeping: wait for Tasks RCU before it goes away.
 */
void vapic_shown_restore(void);

#endif
