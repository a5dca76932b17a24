// SPDX-License-Identifier: GPL-2.0-only
//
// The hook for a broken invariant: a state that no guest, user or device can
// cause, only a bug of this module.
#pragma once

#include <cstdint>

#include <vapic/hw/broken.h>

namespace vapic {

// The number reaches the log, so that a report names the invariant.
enum class Broken : std::uint32_t {
	kFieldOverflow = 1,	   // a value did not fit its hardware field
	kEntryForeign = 2,	   // somebody else changed a table entry of vapic
	kBackingPageInvalid = 3,   // hardware found a backing page of vapic invalid
	kMisalignedTable = 4,	   // a register page is not 4 KiB aligned
	kMisalignedDescriptor = 5, // a posted-interrupt descriptor is not 64-byte aligned
	kWaiterForeign = 6,	   // a list of sleeping vCPUs does not hold what it should
};

// Not constexpr on purpose: in a constant expression a broken invariant is a
// compile error.
[[gnu::always_inline]] inline void broken(Broken what)
{
	vapic_host_broken(static_cast<std::uint32_t>(what));
}

} // namespace vapic
