// SPDX-License-Identifier: GPL-2.0-only
//
// The VMCB words of AVIC for one vCPU, accelerated or not.
#include "state.hpp"

using namespace vapic;
using namespace vapic::avic;
using namespace vapic::hw;

namespace {

// Address of the guest's APIC page; KVM inhibits AVIC for a guest that moves it.
constexpr std::uint64_t kDefaultApicBase = 0xfee00000;

} // namespace

void vapic_avic_vcpu_vmcb_words(const vapic_avic_vcpu *vcpu, u32 int_ctl, bool active, u32 max_id,
				vapic_avic_vmcb *words)
{
	const vapic_avic_vm &vm = *vcpu->vm;
	const std::uint32_t index = max_id < kMaxXapicId ? max_id : kMaxXapicId;

	words->apic_bar = kDefaultApicBase;
	words->backing_page = vcpu->parked.get(PhysicalIdEntry::kBackingPage).raw() << 12;
	words->logical_table = vm.logical_pa;
	words->physical_table =
		PhysicalTablePointer{}
			.with(PhysicalTablePointer::kTable, PageFrame{vm.physical_pa >> 12})
			.with(PhysicalTablePointer::kMaxIndex, active ? index : 0)
			.raw();
	words->int_ctl = InterruptControl{int_ctl}
				 .with(InterruptControl::kX2apicMode, false)
				 .with(InterruptControl::kAvicEnable, active)
				 .raw();
}
