// SPDX-License-Identifier: GPL-2.0-only
//
// Units: numbers that look alike and must never be mixed. A guest's APIC ID
// indexes its own tables; a host's APIC ID rings a doorbell on a real CPU.
#pragma once

#include <cstdint>

namespace vapic::hw {

template <typename Tag, typename R>
class Unit {
public:
	using Raw = R;

	constexpr Unit() = default;
	constexpr explicit Unit(Raw raw) : raw_(raw) {}

	[[nodiscard]] constexpr Raw raw() const { return raw_; }

	friend constexpr bool operator==(Unit a, Unit b) { return a.raw_ == b.raw_; }

private:
	Raw raw_ = 0;
};

// Physical APIC ID of a virtual CPU, as its guest sees it.
using GuestApicId = Unit<struct GuestApicIdTag, std::uint32_t>;
// Physical APIC ID of a CPU of the host.
using HostApicId = Unit<struct HostApicIdTag, std::uint32_t>;
// Interrupt vector, 0 to 255. Below 16 it is illegal for fixed interrupts.
using Vector = Unit<struct VectorTag, std::uint8_t>;
// Number of a 4 KiB page of host-physical memory, encryption bit included.
using PageFrame = Unit<struct PageFrameTag, std::uint64_t>;

} // namespace vapic::hw
