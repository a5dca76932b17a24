// SPDX-License-Identifier: GPL-2.0-only
/* Configures an interrupt source of Hyper-V's that nothing ever raises. */
#include "hyperv.h"

#include <sys/ioctl.h>

#define HV_SINT2	0x40000092U
#define HV_AUTO_EOI	(1U << 17)
#define HV_MASKED	(1U << 16)
#define UNUSED_VECTOR	0xf3

bool hyperv_add(struct vcpu *vcpu)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_SYNIC2 };

	return !ioctl(vcpu->fd, KVM_ENABLE_CAP, &cap);
}

void hyperv_require(struct vcpu *vcpu)
{
	if (!hyperv_add(vcpu))
		vm_fail(vcpu->vm, "KVM has no Hyper-V SynIC");
}

void hyperv_set_auto_eoi(struct vcpu *vcpu, bool on)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = {
		.header = { .nmsrs = 1 },
		.entry = { .index = HV_SINT2, .data = on ? HV_AUTO_EOI | UNUSED_VECTOR : HV_MASKED },
	};

	if (vcpu_ioctl(vcpu, KVM_SET_MSRS, &msrs.header) != 1)
		vm_fail(vcpu->vm, "KVM refuses the Hyper-V SINT register");
}
