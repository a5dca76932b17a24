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

/*
 * Make the module's parameter of the same name as @ours show what @ours holds.  Returns 0,
 * or -ENOENT, logged, if that parameter cannot be found.
 */
int vapic_shown_replace(struct module *module, const struct kernel_param *ours);

/*
 * Make it show the module's own value again.  A reader may still look at @ours for an
 * instant, without sleeping: wait for Tasks RCU before @ours goes away.
 */
void vapic_shown_restore(void);

#endif
