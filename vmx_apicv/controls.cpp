// SPDX-License-Identifier: GPL-2.0-only
//
// The VMCS words of APICv and the qualifications of its exits: pure functions of words.
#include <vapic/hw/apic.hpp>
#include <vapic/hw/vmx.hpp>
#include <vapic/vmx.h>

#include "../lapic/x2apic.hpp"

using namespace vapic;
using namespace vapic::hw;

void vapic_vmx_activate(vapic_vmx_controls *controls, bool active, bool ipi_virtualization)
{
	controls->pin =
		PinControls{controls->pin}.with(PinControls::kPostedInterrupts, active).raw();
	controls->secondary = SecondaryControls{controls->secondary}
				      .with(SecondaryControls::kApicRegisterVirtualization, active)
				      .with(SecondaryControls::kVirtualInterruptDelivery, active)
				      .raw();
	// IPI virtualization needs the registers that the two secondary controls virtualize.
	controls->tertiary =
		TertiaryControls{controls->tertiary}
			.with(TertiaryControls::kIpiVirtualization, active && ipi_virtualization)
			.raw();
}

void vapic_vmx_set_mode(vapic_vmx_controls *controls, vapic_apic_mode mode, u32 may)
{
	const SecondaryControls allowed{may};

	controls->secondary =
		SecondaryControls{controls->secondary}
			.with(SecondaryControls::kVirtualizeApicAccesses,
			      mode == VAPIC_APIC_XAPIC &&
				      allowed.get(SecondaryControls::kVirtualizeApicAccesses))
			.with(SecondaryControls::kVirtualizeX2apicMode,
			      mode == VAPIC_APIC_X2APIC &&
				      allowed.get(SecondaryControls::kVirtualizeX2apicMode))
			.raw();
}

vapic_vmx_msrs vapic_vmx_x2apic_msrs(const vapic_vmx_controls *controls, u64 readable)
{
	using I = X2apicIntercepts;

	constexpr I kAll{~std::uint64_t{0}};
	const SecondaryControls secondary{controls->secondary};
	const TertiaryControls tertiary{controls->tertiary};

	if (!secondary.get(SecondaryControls::kVirtualizeX2apicMode))
		return {kAll.raw(), kAll.raw()};

	// TPR needs no virtual-interrupt delivery.
	I read = kAll.with(I::kTpr, false);
	I write = read;

	if (secondary.get(SecondaryControls::kApicRegisterVirtualization)) {
		read = lapic::x2apic_read_intercepts(readable).with(I::kTpr, false);
		write = write.with(I::kEoi, false).with(I::kSelfIpi, false);
	}
	if (tertiary.get(TertiaryControls::kIpiVirtualization)) {
		read = read.with(I::kIcr, false);
		write = write.with(I::kIcr, false);
	}
	return {read.raw(), write.raw()};
}

bool vapic_vmx_is_eoi_write(u64 qualification)
{
	const ApicAccessInfo info{qualification};

	return info.get(ApicAccessInfo::kType) == ApicAccessInfo::Type::kWrite &&
	       info.get(ApicAccessInfo::kOffset) == static_cast<std::uint32_t>(ApicRegister::kEoi);
}

u32 vapic_vmx_written(u64 qualification)
{
	return ApicWriteInfo{qualification}.get(ApicWriteInfo::kRegister) << 4;
}

u8 vapic_vmx_ended(u64 qualification)
{
	return EoiInducedInfo{qualification}.get(EoiInducedInfo::kVector).raw();
}
