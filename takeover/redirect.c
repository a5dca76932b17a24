// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that KVM calls directly: find, redirect, verify, undo.
 */
#include "redirect.h"

#include <linux/linkage.h>
#include <linux/rcupdate.h>

#include <asm/text-patching.h>

#include "code.h"
#include "../kvm/compat.h"
#include "../kvm/log.h"
#include "../kvm/symbols.h"

/* In redirect_stubs.S. */
asmlinkage void vapic_pass_through(void);

static unsigned int stuck;

unsigned int vapic_redirects_stuck(void)
{
	return stuck;
}

/*
 * An ops with the PERMANENT flag cannot be registered while the sysctl has ftrace off, and the
 * sysctl cannot switch ftrace off afterwards. A direct ops can be registered with ftrace off: that
 * redirects nothing, and undoing it leaves flags in ftrace's records that make ftrace shut itself
 * off at the next occasion. So hold is registered first and unregistered last. It traces
 * held(), a function that nobody calls.
 */
static noinline void held(void)
{
	barrier();
}

static void hold_call(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
		      struct ftrace_regs *regs)
{
}

static struct ftrace_ops hold = {.func = hold_call, .flags = FTRACE_OPS_FL_PERMANENT};
static bool hold_stays;

bool vapic_redirect_needs_text(void)
{
	return stuck || hold_stays;
}

int vapic_redirect_begin(void)
{
	int ret;

	if (vapic_call(ftrace_is_dead)()) {
		vapic_err("ftrace has shut itself off, and redirects nothing until the next "
			  "boot\n");
		return -ENODEV;
	}

	ret = ftrace_set_filter_ip(&hold, vapic_call(ftrace_location)((unsigned long)held), 0, 0);
	if (!ret)
		ret = register_ftrace_function(&hold);
	if (!ret)
		return 0;

	ftrace_free_filter(&hold);
	if (ret == -EBUSY) {
		vapic_err("ftrace is off: run sysctl kernel.ftrace_enabled=1\n");
		return -EAGAIN;
	}
	vapic_err("cannot use ftrace: error %d\n", ret);
	return ret;
}

void vapic_redirect_end(void)
{
	/* If ftrace has shut itself off, it keeps hold_call() on its list. */
	hold_stays = vapic_call(ftrace_is_dead)() || unregister_ftrace_function(&hold);
	if (!hold_stays)
		ftrace_free_filter(&hold);
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

/* The stub is called for good: make it go on with the stock function's body. */
static void pass(struct vapic_redirect *redirect)
{
	__static_call_update(redirect->run_key, redirect->run_tramp, vapic_pass_through);
	redirect->stuck = true;
	stuck++;
}

/* For an ops that is no longer on ftrace's list: only the site can still call the stub. */
static void pass_if_called(struct vapic_redirect *redirect)
{
	if (vapic_code_target(redirect->site, CALL_INSN_OPCODE) == redirect->stub)
		pass(redirect);
}

int vapic_redirect_install(struct vapic_redirect *redirect)
{
	struct ftrace_ops *ops = &redirect->ops;
	int ret;

	ret = ftrace_set_filter_ip(ops, redirect->site, 0, 0);
	if (!ret) {
		redirect->filtered = true;
		ret = vapic_register_direct(ops, redirect->stub);
	}
	if (ret) {
		if (ret == -EBUSY)
			vapic_err("function %s is taken by a live patch or another direct user "
				  "of ftrace: remove it first\n",
				  redirect->name);
		else
			vapic_err("cannot redirect %s: error %d\n", redirect->name, ret);
		/* If ftrace shut itself off in the middle, registering fails but the call stays. */
		pass_if_called(redirect);
		return ret;
	}

	/*
	 * Stock code must not come back under a running VM because somebody switches
	 * ftrace off: with this flag that sysctl fails with EBUSY.  Registering
	 * overwrites flags, so set the flag now; nothing else changes flags of this ops.
	 * If the sysctl came before, vapic_redirect_verify() notices it.
	 */
	ops->flags |= FTRACE_OPS_FL_PERMANENT;
	redirect->installed = true;
	return 0;
}

/*
 * If nobody else traces the function, ftrace makes the site call the stub.  While others
 * trace it too, the site calls ftrace_regs_caller() for all of them: that runs the func of
 * each ops on ftrace's list whose filter has the site, and the func of a direct ops makes
 * it go on to the stub.  While ftrace is off, no site calls anything.
 */
bool vapic_redirect_in_place(const struct vapic_redirect *redirect)
{
	unsigned long target;

	if (!redirect->installed)
		return false;
	target = vapic_code_target(redirect->site, CALL_INSN_OPCODE);
	if (target == redirect->stub)
		return true;
	return target == (unsigned long)vapic_ptr_ftrace_regs_caller &&
	       redirect->ops.flags & FTRACE_OPS_FL_ENABLED &&
	       vapic_call(ftrace_find_rec_direct)(redirect->site) == redirect->stub;
}

int vapic_redirect_verify(const struct vapic_redirect *redirect)
{
	if (vapic_redirect_in_place(redirect))
		return 0;

	vapic_err("%s still runs stock code: ftrace was switched off while vapic loaded; run "
		  "sysctl kernel.ftrace_enabled=1 and load again\n",
		  redirect->name);
	return -EAGAIN;
}

/* Unregister; an error means that the ops is still on ftrace's list, as it was. */
static int unregister(struct vapic_redirect *redirect)
{
	struct ftrace_ops *ops = &redirect->ops;
	ftrace_func_t func = ops->func;
	int ret;

	/* Unregistering would fail, but only after it has cleared func of an ops in use. */
	if (vapic_call(ftrace_is_dead)())
		return -ENODEV;

	/*
	 * ftrace gives an ops that is not in core kernel data this flag and then waits
	 * for every task, twice, in each removal.  vapic_redirect_wait() does that once
	 * for all of them.  The filter must outlive that wait, too.
	 */
	ops->flags &= ~FTRACE_OPS_FL_DYNAMIC;
	ret = vapic_unregister_direct(ops, redirect->stub);
	/* ftrace has shut itself off in between. */
	if (ret)
		ops->func = func;
	return ret;
}

void vapic_redirect_remove(struct vapic_redirect *redirect)
{
	if (!redirect->installed)
		return;

	/* If ftrace shuts itself off amid the removal, that succeeds but the call stays. */
	if (unregister(redirect))
		pass(redirect);
	else
		pass_if_called(redirect);
	redirect->installed = false;
}

void vapic_redirect_wait(void)
{
	/* ftrace_shutdown() says why both are needed. */
	synchronize_rcu_tasks_rude();
	synchronize_rcu_tasks();
}

void vapic_redirect_forget(struct vapic_redirect *redirect)
{
	if (redirect->filtered && !redirect->stuck)
		ftrace_free_filter(&redirect->ops);
	redirect->filtered = false;
}
