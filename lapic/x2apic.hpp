// SPDX-License-Identifier: GPL-2.0-only
//
// Which MSRs of x2APIC mode may be used without an exit, as far as it does not depend on the
// vendor.
#pragma once

#include <cstdint>

#include <vapic/hw/apic.hpp>

namespace vapic::lapic {

// Reads that exit if hardware virtualizes reads of all registers: those of registers that are not
// in `readable`, KVM's mask (bit n: offset n * 16), and of the timer's current count, which is
// not in the page: KVM computes it.
constexpr hw::X2apicIntercepts x2apic_read_intercepts(std::uint64_t readable)
{
	return hw::X2apicIntercepts{~readable}.with(hw::X2apicIntercepts::kTimerCurrent, true);
}

} // namespace vapic::lapic
