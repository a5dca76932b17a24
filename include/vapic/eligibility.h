/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decides from facts about the processor, the host, the VM and the vCPU which vCPUs may be
 * accelerated. Init and the creation of VMs and vCPUs ask here and decide nothing themselves.
 * The rules of avic.h hold: the functions are pure and may be called in any context.
 */
#ifndef VAPIC_ELIGIBILITY_H
#define VAPIC_ELIGIBILITY_H

#include <vapic/types.h>

VAPIC_C_BEGIN

enum vapic_decision {
	VAPIC_ACCELERATED,

	/* About the machine: init refuses it. */
	VAPIC_NO_AVIC,
	VAPIC_NO_NESTED_PAGING,
	VAPIC_SNP_HOST, /* a VMRUN would make KVM's writes to register pages fault */
	VAPIC_NO_APICV,
	VAPIC_NO_TPR_SHADOW,
	VAPIC_APICV_UNUSED, /* the processor has it, but kvm_intel found it unusable */
	VAPIC_NO_IPIV,	    /* and the user demands it */

	/* About a VM or a vCPU: it is never accelerated. */
	VAPIC_NO_APIC, /* KVM emulates no local APIC for it */
	VAPIC_SEV,
	VAPIC_SEV_ES,
	VAPIC_SEV_SNP,
	VAPIC_INHIBITED,       /* KVM has inhibited the VM for a reason that never ends */
	VAPIC_ID_BEYOND_TABLE, /* no table entry can name the vCPU */

	VAPIC_DECISIONS, /* how many there are */
};

/* One word, for status: "accelerated", "sev-es". */
const char *vapic_decision_name(enum vapic_decision decision);

/* For the log, a clause that says what to do if anything can be done. */
const char *vapic_decision_reason(enum vapic_decision decision);

/* Facts about the machine that AVIC depends on. */
struct vapic_avic_host {
	u32 family;	    /* of the processor */
	bool avic;	    /* CPUID 8000_000A EDX bit 13 */
	bool x2avic;	    /* CPUID 8000_000A EDX bit 18 */
	bool x2avic_ext;    /* CPUID 8000_000A ECX bit 6: 4,096 IDs */
	bool zen4;	    /* of the Zen 4 in family 19h */
	bool nested_paging; /* in use by kvm_amd; true while that is not known yet */
	bool snp;	    /* SEV-SNP is enabled for guests of this host */
	bool in_use_writes; /* HvInUseWrAllowed, CPUID 8000_001F EAX bit 30 */
};

enum vapic_decision vapic_avic_host_decision(const struct vapic_avic_host *host);

/* What avic=auto means on this machine: true from Zen 4 on, if it has x2AVIC. */
bool vapic_avic_by_default(const struct vapic_avic_host *host);

/* How many APIC IDs, from 0 on, this machine can accelerate in one VM. */
u32 vapic_avic_ids(const struct vapic_avic_host *host);

/*
 * AMD erratum 1235, on families 17h and 18h: IPI hardware may read IsRunning before its write
 * of the IRR is visible, and miss a vCPU that has just gone to sleep. IsRunning is never
 * shown there.
 */
bool vapic_avic_hides_running(const struct vapic_avic_host *host);

/* How a guest's memory is encrypted; each keeps more from the host than the one before. */
enum vapic_encryption {
	VAPIC_UNENCRYPTED,
	VAPIC_ENCRYPTED,	/* SEV */
	VAPIC_ENCRYPTED_STATE,	/* SEV-ES */
	VAPIC_ENCRYPTED_NESTED, /* SEV-SNP */
};

/*
 * Decide about a VM when it is created. KVM may learn only before the first vCPU that the VM
 * is encrypted, so vapic_avic_vcpu_decision() asks again.
 */
enum vapic_decision vapic_avic_vm_decision(enum vapic_encryption encryption);

/* Facts about a vCPU that AVIC depends on. */
struct vapic_avic_candidate {
	enum vapic_encryption encryption;
	bool apic_in_kernel;
	bool inhibited; /* its VM is inhibited for good */
	u32 id;		/* its APIC ID at reset, which KVM calls vCPU ID */
	u32 ids;	/* how many IDs, from 0 on, its VM's table can name */
};

enum vapic_decision vapic_avic_vcpu_decision(const struct vapic_avic_candidate *vcpu);

/* Facts about the machine that APICv depends on. */
struct vapic_vmx_host {
	bool apicv;	    /* the processor has it, posted interrupts included */
	bool ipiv;	    /* the processor can virtualize IPIs */
	bool ipiv_demanded; /* the user insists on that */
	bool tpr_shadow;    /* in use by kvm_intel; true while that is not known yet */
	bool used;	    /* kvm_intel has found APICv usable; likewise */
};

enum vapic_decision vapic_vmx_host_decision(const struct vapic_vmx_host *host);

/* Decide about a vCPU under APICv. */
enum vapic_decision vapic_vmx_vcpu_decision(bool apic_in_kernel);

VAPIC_C_END

#endif
