// SPDX-License-Identifier: GPL-2.0-only
/*
 * What init takes over from kvm_amd: AVIC.
 */
#include <asm/cpufeature.h>

#include "../avic/vendor.h"
#include "../kvm/layout.h"
#include "../kvm/hooks.h"
#include "../kvm/symbols.h"
#include "vendor.h"

static enum vapic_decision decide(bool resolved)
{
	struct vapic_avic_host host;

	vapic_avic_host_facts(&host);
	if (resolved)
		host.nested_paging = vapic_data(npt_enabled);
	return vapic_avic_host_decision(&host);
}

/*
 * vapic does not use x2AVIC: a guest in x2APIC mode gets its interrupts by doorbell and KVM
 * emulates its accesses.  KVM must be told that, whatever the parameters of kvm_amd: KVM then
 * takes the xAPIC page out of such a guest's memory, where hardware would redirect accesses
 * to the registers.  Stock says so only with avic=1 on a processor that has no x2AVIC.
 * kvm_amd's x2avic_enabled may stay set meanwhile: all functions that read it are replaced,
 * or called only by functions that are.
 */
VAPIC_BOOL_SWITCH(allow_apicv_in_x2apic_without_x2apic_virtualization,
		  vapic_data(kvm_x86_ops).allow_apicv_in_x2apic_without_x2apic_virtualization, true)

/* kvm_amd reads its own variable only at its init, and vapic takes over only to have AVIC on. */
static bool avic_is_on = true;

VAPIC_DEFINE_TAKEOVERS(VAPIC_SVM_TAKEOVERS)

const struct vapic_vendor vapic_svm = {
	.module = "kvm_amd",
	.build_id = VAPIC_BUILD_ID_kvm_amd,
	.what = "AVIC",
	.off = "avic=0",
	.feature = X86_FEATURE_SVM,
	.parameter = VAPIC_AVIC,
	.takeovers = &takeovers,
	.decide = decide,
	.init = vapic_avic_init,
	.exit = vapic_avic_exit,
	.mode = vapic_avic_mode,
	.status = vapic_avic_status,
	.shown = {"avic", &avic_is_on},
};
