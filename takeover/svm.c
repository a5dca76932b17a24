// SPDX-License-Identifier: GPL-2.0-only
/*
 * What init takes over from kvm_amd: AVIC.
 */
#include <linux/amd-iommu.h>

#include <asm/cpufeature.h>

#include "../avic/vendor.h"
#include "../kvm/layout.h"
#include "../kvm/hooks.h"
#include "../kvm/symbols.h"
#include "vendor.h"

/* Defaults and auto are those of kvm_amd in newer kernels. */
static void settle(void)
{
	struct vapic_avic_host host;

	vapic_avic_host_facts(&host);
	if (vapic_param_auto(VAPIC_AVIC))
		vapic_param_decide(VAPIC_AVIC, vapic_avic_by_default(&host));
	if (!vapic_param_given(VAPIC_ENABLE_IPIV))
		vapic_param_decide(VAPIC_ENABLE_IPIV, !vapic_avic_hides_running(&host));
}

static enum vapic_decision decide(bool resolved)
{
	struct vapic_avic_host host;

	vapic_avic_host_facts(&host);
	if (resolved)
		host.nested_paging = vapic_data(npt_enabled);
	return vapic_avic_host_decision(&host);
}

static int init_glue(void)
{
	return vapic_avic_init(!vapic_param_on(VAPIC_ENABLE_IPIV));
}

/*
 * Without x2AVIC a guest in x2APIC mode gets its interrupts by doorbell and KVM emulates its
 * accesses.  KVM must be told that, whatever the parameters of kvm_amd: KVM then takes the xAPIC
 * page out of such a guest's memory, where hardware would redirect accesses to the registers.
 * Stock says so only with avic=1.  kvm_amd's own x2avic_enabled may be another value: all
 * functions that read it are replaced, or called only by functions that are.
 */
#if VAPIC_HAS_inhibited_apic_page
VAPIC_BOOL_SWITCH(allow_apicv_in_x2apic_without_x2apic_virtualization,
		  vapic_data(kvm_x86_ops).allow_apicv_in_x2apic_without_x2apic_virtualization,
		  !boot_cpu_has(X86_FEATURE_X2AVIC))
#endif

#ifdef CONFIG_AMD_IOMMU
/*
 * What the IOMMU's driver calls, in the thread of an interrupt; NULL if kvm_amd was loaded with
 * avic=0. A thread that is still in vapic's at exit is waited for in vapic_gate_remove(), like all
 * tasks.
 */
static unsigned long stock_iommu_ga_log_notifier;

static void set_iommu_ga_log_notifier(void)
{
	stock_iommu_ga_log_notifier = READ_ONCE(vapic_data(iommu_ga_log_notifier));
	amd_iommu_register_ga_log_notifier(vapic_avic_ga_log_notifier);
}

static void restore_iommu_ga_log_notifier(void)
{
	amd_iommu_register_ga_log_notifier((int (*)(u32))stock_iommu_ga_log_notifier);
}

static bool is_set_iommu_ga_log_notifier(void)
{
	return READ_ONCE(vapic_data(iommu_ga_log_notifier)) ==
	       (unsigned long)vapic_avic_ga_log_notifier;
}
#endif

/* kvm_amd reads its own variable only at its init, and vapic takes over only to have AVIC on. */
static bool avic_is_on = true;

VAPIC_DEFINE_TAKEOVERS(VAPIC_SVM_TAKEOVERS)

const struct vapic_vendor vapic_svm = {
	.module = "kvm_amd",
	.build_id = VAPIC_BUILD_ID_kvm_amd,
	.what = "AVIC",
	.off = "avic=0",
	.auto_off = "avic=auto on a processor before Zen 4 or without x2AVIC",
	.feature = X86_FEATURE_SVM,
	.parameter = VAPIC_AVIC,
	.settle = settle,
	.takeovers = &takeovers,
	.decide = decide,
	.init = init_glue,
	.exit = vapic_avic_exit,
#if !VAPIC_HAS_avic_vm_init
	.create_vm = vapic_avic_create_vm,
	.cancel_vm = vapic_avic_cancel_vm,
#endif
	.mode = vapic_avic_mode,
	.status = vapic_avic_status,
	.shown = {"avic", &avic_is_on},
};
