// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module parameters: values, and the failures that tests ask for.
 */
#include "params.h"

#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>

#include "../kvm/hooks.h"
#include "../kvm/log.h"
#include "vendor.h"

/*
 * With a bool parameter of the usual kind, the kernel would reject a bad value before
 * vapic could say what is wrong with it, so remember the value until init.
 */
struct param {
	const char *name;
	const struct vapic_vendor *vendor; /* NULL: either */
	bool value;
	bool given;
	bool may_be_auto;
	bool is_auto;
	char refused[16];
};

static struct param params[] = {
	[VAPIC_AVIC] = {"avic", &vapic_svm, true, .may_be_auto = true},
	[VAPIC_ENABLE_APICV] = {"enable_apicv", &vapic_vmx, true},
	[VAPIC_ENABLE_IPIV] = {"enable_ipiv", NULL, true},
};

static int param_set(const char *value, const struct kernel_param *kp)
{
	struct param *param = kp->arg;

	param->given = true;
	param->refused[0] = '\0';
	param->is_auto = param->may_be_auto && value && sysfs_streq(value, "auto");
	if (param->is_auto)
		return 0;

	/* "avic" alone means on, as everywhere. */
	if (!value)
		value = "1";
	if (kstrtobool(value, &param->value))
		strscpy(param->refused, *value ? value : "''", sizeof(param->refused));
	return 0;
}

static int param_get(char *buffer, const struct kernel_param *kp)
{
	struct param *param = kp->arg;

	return sysfs_emit(buffer, "%c\n", param->value ? 'Y' : 'N');
}

static const struct kernel_param_ops param_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = param_set,
	.get = param_get,
};

module_param_cb(avic, &param_ops, &params[VAPIC_AVIC], 0444);
__MODULE_PARM_TYPE(avic, "bool");
MODULE_PARM_DESC(avic, "take over AVIC from kvm_amd, or auto: from Zen 4 on (default: y)");

module_param_cb(enable_apicv, &param_ops, &params[VAPIC_ENABLE_APICV], 0444);
__MODULE_PARM_TYPE(enable_apicv, "bool");
MODULE_PARM_DESC(enable_apicv, "take over APICv from kvm_intel (default: y)");

module_param_cb(enable_ipiv, &param_ops, &params[VAPIC_ENABLE_IPIV], 0444);
__MODULE_PARM_TYPE(enable_ipiv, "bool");
MODULE_PARM_DESC(enable_ipiv, "use IPI virtualization where the processor has it (default: y, but "
			      "n on AMD family 17h, 18h)");

int vapic_params_check(void)
{
	const struct param *param;

	for (param = params; param < params + ARRAY_SIZE(params); param++) {
		if (!param->refused[0])
			continue;
		vapic_err("%s=%s is neither on nor off: say %s=1 or %s=0%s\n", param->name,
			  param->refused, param->name, param->name,
			  param->may_be_auto ? " or auto" : "");
		return -EINVAL;
	}
	return 0;
}

bool vapic_param_on(enum vapic_param param)
{
	return params[param].value;
}

bool vapic_param_auto(enum vapic_param param)
{
	return params[param].is_auto;
}

void vapic_param_decide(enum vapic_param param, bool value)
{
	params[param].value = value;
}

bool vapic_param_given(enum vapic_param param)
{
	return params[param].given;
}

int vapic_params_refuse_others(const struct vapic_vendor *vendor)
{
	const struct param *param;

	for (param = params; param < params + ARRAY_SIZE(params); param++) {
		if (!param->given || !param->vendor || param->vendor == vendor)
			continue;
		vapic_err("%s is not for this vendor's processors: use %s\n", param->name,
			  params[vendor->parameter].name);
		return -EINVAL;
	}
	return 0;
}

static unsigned int fail_step;
module_param(fail_step, uint, 0444);
MODULE_PARM_DESC(fail_step, "for tests: this point of init fails (default: 0, none)");

bool vapic_init_should_fail(const char *point)
{
	static unsigned int asked;

	if (++asked != fail_step)
		return false;

	vapic_err("%s fails because fail_step asks for it\n", point);
	return true;
}

/* Root writes it; creations on any CPU count it down. */
static int fail_create;
module_param(fail_create, int, 0644);
MODULE_PARM_DESC(fail_create,
		 "for tests: this allocation of VM and vCPU creation fails (default: 0, none)");

bool vapic_create_should_fail(void)
{
	int left = READ_ONCE(fail_create);

	do {
		if (left <= 0)
			return false;
	} while (!try_cmpxchg(&fail_create, &left, left - 1));

	return left == 1;
}
