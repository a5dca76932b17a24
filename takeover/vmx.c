// SPDX-License-Identifier: GPL-2.0-only
/*
 * What init takes over from kvm_intel: APICv and IPI virtualization.
 */
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/vmx.h>

#include "../kvm/compat.h"
#include "../kvm/layout.h"
#include "../kvm/symbols.h"
#include "vendor.h"
#include "../kvm/hooks.h"
#include "../vmx_apicv/vendor.h"

/* Whether @controls may be set by capability MSR @msr, whose upper half says that. */
static bool may_set(u32 msr, u32 controls)
{
	u64 value;

	return !rdmsrq_safe(msr, &value) && ((value >> 32) & controls) == controls;
}

static bool has_apicv(void)
{
	return may_set(MSR_IA32_VMX_PINBASED_CTLS, PIN_BASED_POSTED_INTR) &&
	       may_set(MSR_IA32_VMX_PROCBASED_CTLS,
		       CPU_BASED_TPR_SHADOW | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) &&
	       may_set(MSR_IA32_VMX_PROCBASED_CTLS2,
		       SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY |
			       SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
}

/* MSR 492h has one bit for each control that may be set. */
static bool has_ipiv(void)
{
	u64 allowed;

	return may_set(MSR_IA32_VMX_PROCBASED_CTLS, CPU_BASED_ACTIVATE_TERTIARY_CONTROLS) &&
	       !rdmsrq_safe(MSR_IA32_VMX_PROCBASED_CTLS3, &allowed) &&
	       allowed & TERTIARY_EXEC_IPI_VIRT;
}

static enum vapic_decision decide(bool resolved)
{
	struct vapic_vmx_host host = {
		.apicv = has_apicv(),
		.ipiv = has_ipiv(),
		/* Without the parameter, vapic uses what the processor has. */
		.ipiv_demanded = vapic_param_given(VAPIC_ENABLE_IPIV) &&
				 vapic_param_on(VAPIC_ENABLE_IPIV),
		.tpr_shadow = !resolved || vapic_data(flexpriority_enabled),
		.used = !resolved || vapic_vmx_apicv_usable(),
	};

	return vapic_vmx_host_decision(&host);
}

static int init_glue(void)
{
	return vapic_vmx_init(vapic_param_on(VAPIC_ENABLE_IPIV));
}

/* With enable_ipiv off, no stock code touches PID tables: they belong to vapic. */
VAPIC_BOOL_SWITCH(enable_ipiv, vapic_data(enable_ipiv), false)

static void set_kvm_posted_intr_wakeup_handler(void)
{
	vapic_call(kvm_set_posted_intr_wakeup_handler)(vapic_vmx_wakeup_handler);
}

static void restore_kvm_posted_intr_wakeup_handler(void)
{
	/* Set none, which waits for handlers that run; then set stock's, as it was before. */
	vapic_call(kvm_set_posted_intr_wakeup_handler)(NULL);
	vapic_call(kvm_set_posted_intr_wakeup_handler)((void (*)(void))vapic_ptr_pi_wakeup_handler);
}

static bool is_set_kvm_posted_intr_wakeup_handler(void)
{
	return READ_ONCE(vapic_data(kvm_posted_intr_wakeup_handler)) ==
	       (unsigned long)vapic_vmx_wakeup_handler;
}

VAPIC_DEFINE_TAKEOVERS(VAPIC_VMX_TAKEOVERS)

const struct vapic_vendor vapic_vmx = {
	.module = "kvm_intel",
	.build_id = VAPIC_BUILD_ID_kvm_intel,
	.what = "APICv",
	.off = "enable_apicv=0",
	.feature = X86_FEATURE_VMX,
	.parameter = VAPIC_ENABLE_APICV,
	.takeovers = &takeovers,
	.decide = decide,
	.init = init_glue,
	.exit = vapic_vmx_exit,
	.mode = vapic_vmx_mode,
	.status = vapic_vmx_status,
	/* enable_apicv needs no entry: kvm_intel's parameter shows kvm's variable, which is set. */
	.shown = {"enable_ipiv", &vapic_vmx_ipiv},
};
