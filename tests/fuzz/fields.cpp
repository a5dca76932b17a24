// SPDX-License-Identifier: GPL-2.0-only
//
// Every field of every hardware word: read, changed and read back, with a value that fits and with
// one that does not. The places of the fields are typed from the manuals once more.
#include <vapic/hw/apic.hpp>
#include <vapic/hw/avic.hpp>
#include <vapic/hw/pi.hpp>
#include <vapic/hw/vmx.hpp>

#include <vector>

#include "fuzz.hpp"
#include "host.hpp"

using namespace vapic;
using namespace vapic::hw;

namespace {

u64 number(auto value)
{
	if constexpr (requires { value.raw(); })
		return value.raw();
	else
		return static_cast<u64>(value);
}

// Value of a field's type; what is above the type's width is gone.
template <typename Value>
Value value_of(u64 number)
{
	if constexpr (UnitValue<Value>)
		return Value{static_cast<typename Value::Raw>(number)};
	else if constexpr (std::is_same_v<Value, bool>)
		return number & 1;
	else
		return static_cast<Value>(number);
}

struct Case {
	u64 word;
	u64 value;
};

template <typename W, typename Value, unsigned Low, unsigned Width>
void field(const Case &c, Field<W, typename W::Raw, Value, Low, Width> at, u32 first, u32 last)
{
	const u64 ones = last - first == 63 ? ~u64{0} : (u64{1} << (last - first + 1)) - 1;
	const auto raw = static_cast<typename W::Raw>(c.word);
	const W word{raw};
	const Value value = value_of<Value>(c.value);
	host::ExpectBroken broken;

	HOLDS(number(word.get(at)) == (u64{raw} >> first & ones));

	const W changed = word.with(at, value);

	HOLDS((broken.take() == std::vector{Broken::kFieldOverflow}) == (number(value) > ones));
	HOLDS(u64{changed.raw()} ==
	      ((u64{raw} & ~(ones << first)) | (number(value) & ones) << first));
	HOLDS(number(changed.get(at)) == (number(value) & ones));
	HOLDS(changed.with(at, word.get(at)) == word);
}

void avic(const Case &c, u32 which)
{
	switch (which) {
	case 0:
		return field<PhysicalIdEntry>(c, PhysicalIdEntry::kHostApicId, 0, 11);
	case 1:
		return field<PhysicalIdEntry>(c, PhysicalIdEntry::kBackingPage, 12, 51);
	case 2:
		return field<PhysicalIdEntry>(c, PhysicalIdEntry::kIsRunning, 62, 62);
	case 3:
		return field<PhysicalIdEntry>(c, PhysicalIdEntry::kValid, 63, 63);
	case 4:
		return field<LogicalIdEntry>(c, LogicalIdEntry::kGuestApicId, 0, 7);
	case 5:
		return field<LogicalIdEntry>(c, LogicalIdEntry::kValid, 31, 31);
	case 6:
		return field<PhysicalTablePointer>(c, PhysicalTablePointer::kMaxIndex, 0, 11);
	case 7:
		return field<PhysicalTablePointer>(c, PhysicalTablePointer::kTable, 12, 51);
	case 8:
		return field<InterruptControl>(c, InterruptControl::kX2apicMode, 30, 30);
	case 9:
		return field<InterruptControl>(c, InterruptControl::kAvicEnable, 31, 31);
	case 10:
		return field<IncompleteIpiInfo>(c, IncompleteIpiInfo::kIndex, 0, 11);
	case 11:
		return field<IncompleteIpiInfo>(c, IncompleteIpiInfo::kFailure, 32, 63);
	case 12:
		return field<UnacceleratedInfo>(c, UnacceleratedInfo::kRegister, 4, 11);
	default:
		return field<UnacceleratedInfo>(c, UnacceleratedInfo::kWrite, 32, 32);
	}
}

void apic(const Case &c, u32 which)
{
	switch (which) {
	case 0:
		return field<Icr>(c, Icr::kVector, 0, 7);
	case 1:
		return field<Icr>(c, Icr::kDeliveryMode, 8, 10);
	case 2:
		return field<Icr>(c, Icr::kDestinationMode, 11, 11);
	case 3:
		return field<Icr>(c, Icr::kBusy, 12, 12);
	case 4:
		return field<Icr>(c, Icr::kLevelTriggered, 15, 15);
	case 5:
		return field<Icr>(c, Icr::kShorthand, 18, 19);
	case 6:
		return field<Icr>(c, Icr::kLow, 0, 31);
	case 7:
		return field<Icr>(c, Icr::kX2apicDestination, 32, 63);
	case 8:
		return field<Icr>(c, Icr::kXapicDestination, 56, 63);
	case 9:
		return field<Ldr>(c, Ldr::kLogicalId, 24, 31);
	case 10:
		return field<Dfr>(c, Dfr::kModel, 28, 31);
	case 11:
		return field<Lvt>(c, Lvt::kDeliveryMode, 8, 10);
	default:
		return field<Lvt>(c, Lvt::kMasked, 16, 16);
	}
}

void intel(const Case &c, u32 which)
{
	switch (which) {
	case 0:
		return field<PiControl>(c, PiControl::kOn, 0, 0);
	case 1:
		return field<PiControl>(c, PiControl::kSn, 1, 1);
	case 2:
		return field<PiControl>(c, PiControl::kNv, 16, 23);
	case 3:
		return field<PiControl>(c, PiControl::kNdst, 32, 63);
	case 4:
		return field<PidTableEntry>(c, PidTableEntry::kValid, 0, 0);
	case 5:
		return field<PidTableEntry>(c, PidTableEntry::kDescriptor, 6, 51);
	case 6:
		return field<GuestInterruptStatus>(c, GuestInterruptStatus::kRvi, 0, 7);
	case 7:
		return field<GuestInterruptStatus>(c, GuestInterruptStatus::kSvi, 8, 15);
	case 8:
		return field<PinControls>(c, PinControls::kPostedInterrupts, 7, 7);
	case 9:
		return field<SecondaryControls>(c, SecondaryControls::kVirtualizeApicAccesses, 0,
						0);
	case 10:
		return field<SecondaryControls>(c, SecondaryControls::kVirtualizeX2apicMode, 4, 4);
	case 11:
		return field<SecondaryControls>(c, SecondaryControls::kApicRegisterVirtualization,
						8, 8);
	case 12:
		return field<SecondaryControls>(c, SecondaryControls::kVirtualInterruptDelivery, 9,
						9);
	case 13:
		return field<TertiaryControls>(c, TertiaryControls::kIpiVirtualization, 4, 4);
	case 14:
		return field<ApicAccessInfo>(c, ApicAccessInfo::kOffset, 0, 11);
	case 15:
		return field<ApicAccessInfo>(c, ApicAccessInfo::kType, 12, 15);
	case 16:
		return field<ApicWriteInfo>(c, ApicWriteInfo::kRegister, 4, 11);
	default:
		return field<EoiInducedInfo>(c, EoiInducedInfo::kVector, 0, 7);
	}
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	fuzz::Input in(bytes, size);
	const u32 which = in.below(14 + 13 + 18);
	const Case c = {in.quad(), in.quad()};

	if (which < 14)
		avic(c, which);
	else if (which < 27)
		apic(c, which - 14);
	else
		intel(c, which - 27);
	return 0;
}
