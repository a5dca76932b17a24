/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Module parameters.
 *
 *   avic         y/n, any spelling kvm_amd takes for its own, or auto, as of kvm_amd in newer
 *                kernels: take over AVIC or nothing
 *   enable_apicv y/n, as of kvm_intel: take over APICv or nothing
 *   enable_ipiv  y/n, as of kvm_intel, and of kvm_amd in newer kernels: use IPI virtualization
 *                where the processor has it
 *   fail_step    N: point N of init, of those that can fail, fails, out of memory (tests)
 *   fail_create  N: allocation N of VM and vCPU creation from now on fails, once (tests)
 */
#ifndef VAPIC_TAKEOVER_PARAMS_H
#define VAPIC_TAKEOVER_PARAMS_H

#include <linux/types.h>

struct vapic_vendor;

enum vapic_param { VAPIC_AVIC, VAPIC_ENABLE_APICV, VAPIC_ENABLE_IPIV };

/* 0, or -EINVAL, logged, if the user gave one of them a value that is neither on nor off. */
int vapic_params_check(void);

/*
 * The parameter's value, true by default; whether it is auto, which is neither; whether the user
 * gave the parameter.
 */
bool vapic_param_on(enum vapic_param param);
bool vapic_param_auto(enum vapic_param param);
bool vapic_param_given(enum vapic_param param);

/* Decide about a parameter that is auto or was not given. */
void vapic_param_decide(enum vapic_param param, bool value);

/*
 * 0, or -EINVAL if the user gave a parameter of the other vendor, on or off, because a user who
 * says avic=0 on Intel wants nothing to be taken over.  The log names the parameter to use.
 */
int vapic_params_refuse_others(const struct vapic_vendor *vendor);

/*
 * Ask once at each point of init where something can fail, in order.  Returns true, and
 * logs that, at the point that fail_step names.
 */
bool vapic_init_should_fail(const char *point);

#endif
