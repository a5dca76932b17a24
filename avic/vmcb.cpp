// SPDX-License-Identifier: GPL-2.0-only
//
// The VMCB words of AVIC for one vCPU, in each mode and with acceleration off.
#include "state.hpp"

using namespace vapic;
using namespace vapic::avic;
using namespace vapic::hw;

namespace {

// Address of the guest's APIC page; KVM inhibits AVIC for a guest that moves it.
constexpr std::uint64_t kDefaultApicBase = 0xfee00000;

} // namespace

void vapic_avic_vcpu_vmcb_words(const vapic_avic_vcpu *vcpu, u32 int_ctl, vapic_avic_mode mode,
				vapic_avic_vmcb *words)
{
	const vapic_avic_vm &vm = *vcpu->vm;
	// VMRUN refuses an index beyond what the mode allows.
	const bool wide = mode == VAPIC_AVIC_X2APIC || vm.ids <= kXapicIds;
	const std::uint32_t index = (wide ? vm.ids : kXapicIds) - 1;
	const bool active = mode != VAPIC_AVIC_OFF;

	words->apic_bar = kDefaultApicBase;
	words->backing_page = vcpu->parked.get(PhysicalIdEntry::kBackingPage).raw() << 12;
	words->logical_table = vm.logical_pa;
	words->physical_table =
		PhysicalTablePointer{}
			.with(PhysicalTablePointer::kTable, PageFrame{vm.physical_pa >> 12})
			.with(PhysicalTablePointer::kMaxIndex, active ? index : 0)
			.raw();
	words->int_ctl = InterruptControl{int_ctl}
				 .with(InterruptControl::kX2apicMode, mode == VAPIC_AVIC_X2APIC)
				 .with(InterruptControl::kAvicEnable, active)
				 .raw();
}
