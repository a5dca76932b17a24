// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that KVM calls directly: find, redirect, undo.
 */
#include "redirect.h"

#include <linux/rcupdate.h>

#include "log.h"
#include "symbols.h"

int vapic_redirect_available(void)
{
	if (vapic_data(ftrace_enabled))
		return 0;

	vapic_err("ftrace is off: run sysctl kernel.ftrace_enabled=1\n");
	return -EAGAIN;
}

int vapic_redirect_find(struct vapic_redirect *redirect)
{
	const char *module = redirect->module;
	unsigned long function = vapic_symbols_find(module, redirect->name);

	if (!function) {
		vapic_err("function %s is missing in %s: this kernel is not one vapic knows\n",
			  redirect->name, module);
		return -ENOENT;
	}

	redirect->site = vapic_call(ftrace_location)(function);
	if (!redirect->site) {
		vapic_err("function %s of %s has no ftrace site: this kernel is not one vapic "
			  "knows\n",
			  redirect->name, module);
		return -ENOENT;
	}

	if (vapic_call(ftrace_find_rec_direct)(redirect->site)) {
		vapic_err("function %s is taken by another direct user of ftrace: detach BPF "
			  "fentry/fexit programs from %s\n",
			  redirect->name, module);
		return -EBUSY;
	}
	return 0;
}

int vapic_redirect_install(struct vapic_redirect *redirect)
{
	struct ftrace_ops *ops = &redirect->ops;
	int ret;

	ret = ftrace_set_filter_ip(ops, redirect->site, 0, 0);
	if (!ret)
		ret = register_ftrace_direct(ops, redirect->stub);
	if (ret) {
		ftrace_free_filter(ops);
		if (ret == -EBUSY)
			vapic_err("function %s is taken by a live patch or another direct user "
				  "of ftrace: remove it first\n",
				  redirect->name);
		else
			vapic_err("cannot redirect %s: error %d\n", redirect->name, ret);
		return ret;
	}

	/*
	 * Stock code must not come back under a running VM because somebody switches
	 * ftrace off: with this flag that sysctl fails with EBUSY.  Registering
	 * overwrites flags, so set it now; nothing else changes flags of this ops.
	 */
	ops->flags |= FTRACE_OPS_FL_PERMANENT;
	redirect->active = true;
	return 0;
}

void vapic_redirect_remove(struct vapic_redirect *redirect)
{
	struct ftrace_ops *ops = &redirect->ops;
	int ret;

	if (!redirect->active)
		return;

	/*
	 * ftrace gives an ops that is not in core kernel data this flag and then waits
	 * for every task, twice, in each removal.  vapic_redirect_wait() does that once
	 * for all of them.
	 */
	ops->flags &= ~FTRACE_OPS_FL_DYNAMIC;
	ret = unregister_ftrace_direct(ops, redirect->stub, true);
	WARN_ONCE(ret, "vapic: cannot undo the redirection of %s: error %d\n", redirect->name, ret);
	redirect->active = false;
}

void vapic_redirect_wait(void)
{
	/* ftrace_shutdown() says why it takes both. */
	synchronize_rcu_tasks_rude();
	synchronize_rcu_tasks();
}
