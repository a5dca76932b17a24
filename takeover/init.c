// SPDX-License-Identifier: GPL-2.0-only
/*
 * Init and exit of the module: all of the takeover or none of it.
 *
 * One table lists the steps in the order of init.  A step that fails has logged why and
 * has changed nothing; the steps before it are then undone in reverse order, as exit does
 * with all steps.  Nothing of KVM changes before the step "gate".
 */
#include <linux/init.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/signal.h>

#include <asm/cpufeature.h>

#include "build_id.h"
#include "gate.h"
#include "../kvm/log.h"
#include "params.h"
#include "redirect.h"
#include "requirements.h"
#include "shown.h"
#include "sysfs.h"
#include "../kvm/symbols.h"
#include "vendor.h"
#include "version.h"

static const struct vapic_vendor *const vendors[] = {&vapic_svm, &vapic_vmx};

const struct vapic_vendor *vapic_vendor;

/* The parameter that makes vapic take over nothing. */
static const char *idle_reason;

/* Pinned from the step "KVM modules" on. */
static struct module *kvm_module, *vendor_module;

/* 0 if the machine allows the takeover, else a negative errno with the reason logged. */
static int check_machine(bool resolved)
{
	enum vapic_decision decision = vapic_vendor->decide(resolved);

	if (decision == VAPIC_ACCELERATED)
		return 0;

	vapic_err("%s\n", vapic_decision_reason(decision));
	switch (decision) {
	case VAPIC_NO_AVIC:
	case VAPIC_NO_APICV:
	case VAPIC_NO_IPIV:
		return -ENODEV;
	default:
		return -EOPNOTSUPP;
	}
}

static int check_processor(void)
{
	return check_machine(false);
}

static int resolve_kernel(void)
{
	return vapic_symbols_resolve(VAPIC_KERNEL);
}

/* A reference on a module that has finished loading; NULL if there is none. */
static struct module *pin_module(const char *name)
{
	struct module *module;

	guard(preempt)();
	module = vapic_call(find_module)(name);
	if (!module || module->state != MODULE_STATE_LIVE || !try_module_get(module))
		return NULL;
	return module;
}

static void unpin_modules(void)
{
	module_put(vendor_module);
	module_put(kvm_module);
}

static int pin_modules(void)
{
	kvm_module = pin_module("kvm");
	vendor_module = pin_module(vapic_vendor->module);
	if (kvm_module && vendor_module)
		return 0;

	unpin_modules();
	vapic_err("%s is not loaded: run modprobe %s\n", vapic_vendor->module,
		  vapic_vendor->module);
	return -ENXIO;
}

static int check_builds(void)
{
	return vapic_build_id_check(kvm_module, VAPIC_BUILD_ID_kvm) ?:
		       vapic_build_id_check(vendor_module, vapic_vendor->build_id);
}

static int resolve_kvm(void)
{
	return vapic_symbols_resolve("kvm") ?: vapic_symbols_resolve(vapic_vendor->module);
}

static int check_module(void)
{
	return check_machine(true);
}

static int find_takeovers(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < vapic_vendor->takeovers->redirect_count && !ret; i++)
		ret = vapic_redirect_find(&vapic_vendor->takeovers->redirects[i]);
	for (i = 0; i < vapic_vendor->takeovers->op_count && !ret; i++)
		ret = vapic_op_find(&vapic_vendor->takeovers->ops[i]);
	return ret ?: vapic_op_find(&vapic_gate_op);
}

static void forget_takeovers(void)
{
	unsigned int i;

	for (i = 0; i < vapic_vendor->takeovers->redirect_count; i++)
		vapic_redirect_forget(&vapic_vendor->takeovers->redirects[i]);
}

static int init_vendor(void)
{
	return vapic_vendor->init();
}

static void exit_vendor(void)
{
	vapic_vendor->exit();
}

/* Runs behind the closed gate; gate.c says why this check is enough. */
static int check_no_vm(void)
{
	size_t vms;

	vapic_gate_assert_closed();
	mutex_lock(&vapic_data(kvm_lock));
	vms = list_count_nodes(&vapic_data(vm_list));
	mutex_unlock(&vapic_data(kvm_lock));

	if (vms) {
		vapic_err("%zu virtual machine%s alive: stop %s, then load again\n", vms,
			  vms == 1 ? " is" : "s are", vms == 1 ? "it" : "them");
		return -EBUSY;
	}
	if (module_refcount(vendor_module) > 1) {
		vapic_err("/dev/kvm is open, or a BPF program is attached to %s: end that, then "
			  "load again\n",
			  vapic_vendor->module);
		return -EBUSY;
	}
	return 0;
}

static int swap_ops(void)
{
	unsigned int i;

	vapic_gate_assert_closed();
	for (i = 0; i < vapic_vendor->takeovers->op_count; i++)
		vapic_op_swap(&vapic_vendor->takeovers->ops[i]);
	vapic_kvm_follow_ops();
	return 0;
}

static void restore_ops(void)
{
	unsigned int i;

	vapic_gate_assert_closed();
	for (i = vapic_vendor->takeovers->op_count; i-- > 0;)
		vapic_op_restore(&vapic_vendor->takeovers->ops[i]);
}

static void remove_redirects(void)
{
	unsigned int i;

	vapic_gate_assert_closed();
	for (i = vapic_vendor->takeovers->redirect_count; i-- > 0;)
		vapic_redirect_remove(&vapic_vendor->takeovers->redirects[i]);
}

static int install_redirects(void)
{
	unsigned int i;
	int ret;

	vapic_gate_assert_closed();
	for (i = 0; i < vapic_vendor->takeovers->redirect_count; i++) {
		ret = vapic_init_should_fail(vapic_vendor->takeovers->redirects[i].name) ?
			      -ENOMEM :
			      vapic_redirect_install(&vapic_vendor->takeovers->redirects[i]);
		if (ret) {
			remove_redirects();
			return ret;
		}
	}
	return 0;
}

/* Do not trust the steps above: read from KVM's code whose functions it runs. */
static int verify_takeovers(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < vapic_vendor->takeovers->redirect_count && !ret; i++)
		ret = vapic_redirect_verify(&vapic_vendor->takeovers->redirects[i]);
	for (i = 0; i < vapic_vendor->takeovers->op_count && !ret; i++)
		ret = vapic_op_verify(&vapic_vendor->takeovers->ops[i]);
	return ret ?: vapic_op_verify(&vapic_gate_op);
}

static int set_switches(void)
{
	unsigned int i;

	vapic_gate_assert_closed();
	for (i = 0; i < vapic_vendor->takeovers->switch_count; i++)
		vapic_vendor->takeovers->switches[i].set();
	return 0;
}

static void restore_switches(void)
{
	unsigned int i;

	vapic_gate_assert_closed();
	for (i = vapic_vendor->takeovers->switch_count; i-- > 0;)
		vapic_vendor->takeovers->switches[i].restore();
}

/* When this is undone, vapic_gate_remove() waits for readers that still have vapic's parameter. */
static int show_truth(void)
{
	return vapic_shown_replace(vendor_module, &vapic_vendor->shown);
}

struct step {
	const char *name;
	int (*enter)(void);
	void (*leave)(void);
};

/*
 * In this order, and back in the opposite one. Up to "status" nothing of KVM changes. From "gate" on
 * no VM can be made, and behind "no VM" there is none, so that no vCPU meets a KVM of which half is
 * exchanged. "verification" comes behind all that is patched in code, and before "switches", because
 * KVM acts by its switches even without a VM, and must not while a patch may be missing. The
 * parameter shows what the switches say, and VMs may be made again last.
 */
static const struct step takeover[] = {
	{"processor", check_processor},
	{"symbol lookup", vapic_symbols_init},
	{"kernel symbols", resolve_kernel},
	{"KVM modules", pin_modules, unpin_modules},
	{"builds", check_builds},
	{"KVM symbols", resolve_kvm},
	{"KVM settings", check_module},
	{"ftrace", vapic_redirect_begin, vapic_redirect_end},
	{"takeovers", find_takeovers, forget_takeovers},
	{"objects", init_vendor, exit_vendor},
	{"status", vapic_sysfs_create, vapic_sysfs_remove},
	{"gate", vapic_gate_install, vapic_gate_remove},
	{"no VM", check_no_vm},
	{"ops", swap_ops, restore_ops},
	{"redirects", install_redirects, remove_redirects},
	{"verification", verify_takeovers},
	{"switches", set_switches, restore_switches},
	{"parameter", show_truth, vapic_shown_restore},
	{"open gate", vapic_gate_open, vapic_gate_close},
};

/* For avic=0 and enable_apicv=0: vapic does not even look at KVM, let alone change it. */
static const struct step idle[] = {
	{"symbol lookup", vapic_symbols_init},
	{"kernel symbols", resolve_kernel},
	{"status", vapic_sysfs_create, vapic_sysfs_remove},
};

static const struct step *steps;
static unsigned int step_count;

static void leave_steps(unsigned int count)
{
	while (count-- > 0) {
		if (steps[count].leave)
			steps[count].leave();
	}
}

/* Set vapic_vendor to the vendor to take over; leave it NULL if that is not wanted. */
static int choose_vendor(void)
{
	const struct vapic_vendor *vendor = NULL;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(vendors) && !vendor; i++)
		if (boot_cpu_has(vendors[i]->feature))
			vendor = vendors[i];
	if (!vendor) {
		vapic_err("this processor has neither SVM nor VMX, or the firmware hides it\n");
		return -ENODEV;
	}

	ret = vapic_params_refuse_others(vendor);
	if (ret)
		return ret;
	if (vendor->settle)
		vendor->settle();
	if (vapic_param_on(vendor->parameter))
		vapic_vendor = vendor;
	else if (vapic_param_auto(vendor->parameter))
		idle_reason = vendor->auto_off;
	else
		idle_reason = vendor->off;
	return 0;
}

/*
 * ftrace shuts itself off for good when it meets something unexpected, and leaves all
 * calls as they are.  By now everything is stock's again except some calls of vapic's
 * stubs, which pass through to stock code, and of hold_call(), which does nothing.  Both
 * must stay in memory for as long as the kernel runs.
 */
static void say_stuck(void)
{
	vapic_err("ftrace has shut itself off with %u functions still redirected: it still calls "
		  "vapic, which runs stock code and stays in memory; reboot before you load it "
		  "again\n",
		  vapic_redirects_stuck());
}

/*
 * Init has failed, and the kernel would free a module whose init returns an error. Succeed
 * instead, with nothing taken over and nothing to undo, and forbid rmmod.
 */
static int stay(void)
{
	__module_get(THIS_MODULE);
	step_count = 0;
	say_stuck();
	return 0;
}

static int __init vapic_init(void)
{
	unsigned int i;
	int ret;

	ret = vapic_params_check() ?: choose_vendor();
	if (ret)
		return ret;

	steps = vapic_vendor ? takeover : idle;
	step_count = vapic_vendor ? ARRAY_SIZE(takeover) : ARRAY_SIZE(idle);

	for (i = 0; i < step_count; i++) {
		ret = vapic_init_should_fail(steps[i].name) ? -ENOMEM : steps[i].enter();
		if (ret) {
			leave_steps(i);
			return vapic_redirect_needs_text() ? stay() : ret;
		}
	}

	if (vapic_vendor)
		vapic_info("%s took over %s of %s (%u functions, %u ops); %s\n", VAPIC_VERSION,
			   vapic_vendor->what, vapic_vendor->module,
			   vapic_vendor->takeovers->redirect_count,
			   vapic_vendor->takeovers->op_count + 1, vapic_vendor->mode());
	else
		vapic_info("%s took over nothing, as %s asks\n", VAPIC_VERSION, idle_reason);
	return 0;
}

static void __exit vapic_exit(void)
{
	leave_steps(step_count);
	if (vapic_redirect_needs_text()) {
		say_stuck();
		/*
		 * Exit cannot fail, and when it returns the kernel frees the module.  So do not
		 * return: end the process that asked for the removal.  The process holds nothing
		 * here that would be left behind, and its user sees "Killed".  The module stays in
		 * the state of being unloaded, in which nobody can remove or insert it once more.
		 * To wait forever instead would leave a process that no signal ends, which blocks
		 * scripts and shutdown; and to stay in charge of KVM would not be what was asked
		 * for.
		 */
		vapic_call(do_group_exit)(SIGKILL);
		BUG();
	}
	vapic_info("unloaded, KVM is as it was before\n");
}

module_init(vapic_init);
module_exit(vapic_exit);

MODULE_DESCRIPTION("Local APIC acceleration for stock KVM");
MODULE_VERSION(VAPIC_VERSION);
MODULE_LICENSE("GPL");
