// SPDX-License-Identifier: GPL-2.0-only
/*
 * Have ftrace go off at a wanted moment: at the Nth call of a kernel function.
 *
 *   at=FUNCTION   that function; one of ftrace's own, for the moments that matter here;
 *                 without it, ftrace goes off now
 *   after=N       the call, counted from 1
 *   dies=0        as by sysctl kernel.ftrace_enabled=0 while nobody uses ftrace, until
 *                 somebody sets it to 1
 *   dies=1        as when ftrace meets something unexpected: for good
 *
 * Unloading it forgets the moment, and revives nothing.
 */
#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/static_call.h>

static char *at;
module_param(at, charp, 0);
static int after = 1;
module_param(after, int, 0);
static bool dies;
module_param(dies, bool, 0);

/* By static calls, as the kernel's functions cannot be called by pointer on a CPU with IBT. */
typedef unsigned long lookup_function(const char *name);
typedef void kill_function(void);
DEFINE_STATIC_CALL_RET0(lookup, lookup_function);
DEFINE_STATIC_CALL_NULL(kill, kill_function);

static int *enabled;
static atomic_t calls;

static void go_off(void)
{
	if (dies)
		static_call_cond(kill)();
	else
		WRITE_ONCE(*enabled, 0);
}

static int hit(struct kprobe *probe, struct pt_regs *regs)
{
	if (atomic_inc_return(&calls) == after)
		go_off();
	return 0;
}

static struct kprobe moment = {.pre_handler = hit};

static int __init load(void)
{
	struct kprobe probe = {.symbol_name = "kallsyms_lookup_name"};
	kill_function *function;
	int ret;

	ret = register_kprobe(&probe);
	if (ret)
		return ret;
	static_call_update(lookup, (lookup_function *)probe.addr);
	unregister_kprobe(&probe);

	function = (kill_function *)static_call(lookup)("ftrace_kill");
	enabled = (int *)static_call(lookup)("ftrace_enabled");
	if (!function || !enabled)
		return -ENOENT;
	static_call_update(kill, function);

	if (!at) {
		go_off();
		return 0;
	}
	moment.symbol_name = at;
	return register_kprobe(&moment);
}

static void __exit unload(void)
{
	if (at)
		unregister_kprobe(&moment);
}

module_init(load);
module_exit(unload);

MODULE_DESCRIPTION("Switch ftrace off at a wanted moment");
MODULE_LICENSE("GPL");
