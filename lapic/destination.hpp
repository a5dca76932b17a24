// SPDX-License-Identifier: GPL-2.0-only
//
// Finds out whom an interrupt is for: takes the ICR's destination apart into one of a few shapes,
// and computes the place of a logical ID in a table of logical IDs.
//
// Pure functions, which know registers but no tables or vCPUs.
#pragma once

#include <cstdint>

#include <vapic/hw/apic.hpp>

namespace vapic::lapic {

struct Destination {
	enum class Shape : std::uint8_t {
		kSelf,	     // the sender alone
		kAll,	     // everybody
		kAllButSelf, // everybody but the sender
		kOne,	     // physical ID `first`
		kLogical,    // bit n of `bits`: logical index `first` + n
		kCluster,    // bit n of `bits`: physical ID `first` + n
	};

	Shape shape;
	std::uint16_t bits = 0;
	std::uint32_t first = 0;
};

// Place of logical ID `id` in the table, which a vCPU has only if its LDR names
// exactly one bit. Returns kNoLogicalIndex if it has none.
constexpr std::uint32_t kNoLogicalIndex = ~std::uint32_t{0};

constexpr std::uint32_t logical_index(hw::Ldr ldr, hw::Dfr dfr)
{
	std::uint32_t id = ldr.get(hw::Ldr::kLogicalId);
	std::uint32_t first = 0;

	if (!dfr.flat()) {
		const std::uint32_t cluster = id >> 4;

		// Cluster 15 addresses every cluster; no vCPU can be in it.
		if (cluster == 15)
			return kNoLogicalIndex;
		first = cluster * 4;
		id &= 0xf;
	}
	if (!id || (id & (id - 1)))
		return kNoLogicalIndex;
	return first + static_cast<std::uint32_t>(__builtin_ctz(id));
}

// A destination in xAPIC mode, without shorthand.
constexpr Destination xapic_destination(hw::Icr icr, hw::Dfr dfr)
{
	using Shape = Destination::Shape;

	const std::uint32_t dest = icr.get(hw::Icr::kXapicDestination);
	const bool logical = icr.get(hw::Icr::kDestinationMode) == hw::DestinationMode::kLogical;

	// FFh is everybody in every mode. Cluster 15 is some members of every cluster, which
	// are not one range of the table; everybody is right for a caller that only wakes
	// vCPUs that sleep.
	if (dest == hw::kXapicBroadcast || (logical && !dfr.flat() && dest >> 4 == 15))
		return {Shape::kAll};
	if (!logical)
		return {Shape::kOne, 0, dest};
	if (dfr.flat())
		return {Shape::kLogical, static_cast<std::uint16_t>(dest), 0};
	return {Shape::kLogical, static_cast<std::uint16_t>(dest & 0xf), (dest >> 4) * 4};
}

// A destination in x2APIC mode, without shorthand. A logical ID is the number of a cluster above
// a bit for each of its 16 members, and follows from the physical ID (hw::x2apic_ldr()).
constexpr Destination x2apic_destination(hw::Icr icr)
{
	using Shape = Destination::Shape;

	const std::uint32_t dest = icr.get(hw::Icr::kX2apicDestination);

	if (dest == hw::kX2apicBroadcast)
		return {Shape::kAll};
	if (icr.get(hw::Icr::kDestinationMode) == hw::DestinationMode::kPhysical)
		return {Shape::kOne, 0, dest};
	return {Shape::kCluster, static_cast<std::uint16_t>(dest), dest >> 16 << 4};
}

// `x2apic` and `dfr` are the sender's: hardware assumes that the destination is in the sender's
// mode and uses the sender's model of logical IDs.
constexpr Destination destination(hw::Icr icr, bool x2apic, hw::Dfr dfr)
{
	using Shape = Destination::Shape;

	switch (icr.get(hw::Icr::kShorthand)) {
	case hw::Shorthand::kSelf:
		return {Shape::kSelf};
	case hw::Shorthand::kAll:
		return {Shape::kAll};
	case hw::Shorthand::kAllButSelf:
		return {Shape::kAllButSelf};
	case hw::Shorthand::kNone:
		break;
	}
	return x2apic ? x2apic_destination(icr) : xapic_destination(icr, dfr);
}

} // namespace vapic::lapic
