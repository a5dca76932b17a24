// SPDX-License-Identifier: GPL-2.0-only
//
// The destinations of an IPI. The oracle does not decode the destination: it checks for every
// possible target separately whether the manual's matching rule accepts it.
#include "../../lapic/destination.hpp"

#include <vapic/types.h>

#include <set>

#include <gtest/gtest.h>

using namespace vapic;
using namespace vapic::lapic;
using Shape = Destination::Shape;

namespace {

constexpr u32 kModels[] = {0xffffffff, 0x0fffffff, 0x1fffffff, 0x70000000, 0xefffffff, 0};

bool is_flat(u32 dfr)
{
	return dfr >> 28 == 15;
}

// AMD64 manual, "Logical Destination Mode": does a local APIC whose LDR holds
// `logical_id` match the destination? Ignores broadcast.
bool matches(u32 dfr, u32 logical_id, u32 destination)
{
	if (is_flat(dfr))
		return logical_id & destination;
	return logical_id / 16 == destination / 16 && (logical_id & destination & 15);
}

TEST(LogicalIndex, AgreesWithTheTableLayoutForEveryLdrAndModel)
{
	for (u32 dfr : kModels) {
		for (u32 id = 0; id < 256; ++id) {
			// The manual's layout, in the opposite direction.
			u32 expected = kNoLogicalIndex;

			if (is_flat(dfr)) {
				for (u32 bit = 0; bit < 8; ++bit)
					if (id == 1u << bit)
						expected = bit;
			} else {
				for (u32 cluster = 0; cluster < 15; ++cluster)
					for (u32 bit = 0; bit < 4; ++bit)
						if (id == cluster * 16 + (1u << bit))
							expected = cluster * 4 + bit;
			}
			// Reserved bits of LDR change nothing.
			for (u32 low : {0u, 0xffffffu})
				ASSERT_EQ(logical_index(hw::Ldr{id << 24 | low}, hw::Dfr{dfr}),
					  expected)
					<< "LDR " << id << " DFR " << dfr;
		}
	}
}

TEST(LogicalIndex, StaysBelowTheIndicesADestinationCanName)
{
	for (u32 dfr : kModels) {
		for (u32 id = 0; id < 256; ++id) {
			const u32 index = logical_index(hw::Ldr{id << 24}, hw::Dfr{dfr});

			EXPECT_TRUE(index == kNoLogicalIndex || index < 60);
		}
	}
}

u64 icr(u32 destination, bool logical, u32 shorthand)
{
	return u64{destination} << 56 | u64{shorthand} << 18 | u64{logical} << 11 | 0x41;
}

TEST(Destination, ShorthandNamesNoDestination)
{
	for (u32 dfr : kModels) {
		for (u32 dest = 0; dest < 256; ++dest) {
			for (bool logical : {false, true}) {
				EXPECT_EQ(destination(hw::Icr{icr(dest, logical, 1)}, false, hw::Dfr{dfr}).shape,
					  Shape::kSelf);
				EXPECT_EQ(destination(hw::Icr{icr(dest, logical, 2)}, false, hw::Dfr{dfr}).shape,
					  Shape::kAll);
				EXPECT_EQ(destination(hw::Icr{icr(dest, logical, 3)}, false, hw::Dfr{dfr}).shape,
					  Shape::kAllButSelf);
			}
		}
	}
}

TEST(Destination, PhysicalNamesOneIdOrEverybody)
{
	for (u32 dfr : kModels) {
		for (u32 dest = 0; dest < 255; ++dest) {
			const Destination d = destination(hw::Icr{icr(dest, false, 0)}, false, hw::Dfr{dfr});

			EXPECT_EQ(d.shape, Shape::kOne);
			EXPECT_EQ(d.first, dest);
		}
		EXPECT_EQ(destination(hw::Icr{icr(255, false, 0)}, false, hw::Dfr{dfr}).shape, Shape::kAll);
	}
}

// All indices of the logical table that the shape covers.
std::set<u32> covered(const Destination &d)
{
	std::set<u32> indices;

	EXPECT_EQ(d.shape, Shape::kLogical);
	for (u32 bit = 0; bit < 8; ++bit)
		if (d.bits >> bit & 1)
			indices.insert(d.first + bit);
	return indices;
}

TEST(Destination, LogicalCoversExactlyTheTargetsThatMatch)
{
	for (u32 dfr : kModels) {
		for (u32 dest = 0; dest < 256; ++dest) {
			const Destination d = destination(hw::Icr{icr(dest, true, 0)}, false, hw::Dfr{dfr});

			// Broadcast, and cluster 15, which is part of every cluster.
			if (dest == 255 || (!is_flat(dfr) && dest >= 0xf0)) {
				EXPECT_EQ(d.shape, Shape::kAll) << dest;
				continue;
			}

			std::set<u32> expected;

			for (u32 id = 0; id < 256; ++id) {
				const u32 index = logical_index(hw::Ldr{id << 24}, hw::Dfr{dfr});

				if (index != kNoLogicalIndex && matches(dfr, id, dest))
					expected.insert(index);
			}
			ASSERT_EQ(covered(d), expected) << "destination " << dest << " DFR " << dfr;
		}
	}
}

TEST(Destination, OtherBitsOfIcrChangeNothing)
{
	const u64 others = 0x00ffffff'fff3f7ffull;

	for (u32 dest = 0; dest < 256; ++dest) {
		for (bool logical : {false, true}) {
			const u64 plain = icr(dest, logical, 0) & ~others;
			const Destination a = destination(hw::Icr{plain}, false, hw::Dfr{0x0fffffff});
			const Destination b = destination(hw::Icr{plain | others}, false, hw::Dfr{0x0fffffff});

			EXPECT_EQ(a.shape, b.shape);
			EXPECT_EQ(a.bits, b.bits);
			EXPECT_EQ(a.first, b.first);
		}
	}
}

u64 x2apic_icr(u32 destination, bool logical, u32 shorthand)
{
	return u64{destination} << 32 | u64{shorthand} << 18 | u64{logical} << 11 | 0x41;
}

Destination x2apic_destination_of(u32 destination, bool logical, u32 shorthand = 0)
{
	return vapic::lapic::destination(hw::Icr{x2apic_icr(destination, logical, shorthand)}, true,
					 hw::Dfr{});
}

constexpr u32 kX2apicDestinations[] = {0,	 1,	     0xfe,	 0xff,	     0x100,	 0xffff,
				       0x10001,	 0x1ffff,    0x100001,	 0xff8000,   0xfffff,	 0x80000000,
				       0xffff0000, 0xfffffffe};

TEST(X2apicDestination, ShorthandNamesNoDestination)
{
	for (u32 dest : kX2apicDestinations) {
		for (bool logical : {false, true}) {
			EXPECT_EQ(x2apic_destination_of(dest, logical, 1).shape, Shape::kSelf);
			EXPECT_EQ(x2apic_destination_of(dest, logical, 2).shape, Shape::kAll);
			EXPECT_EQ(x2apic_destination_of(dest, logical, 3).shape, Shape::kAllButSelf);
		}
	}
}

// FFh is an ID like any other in this mode.
TEST(X2apicDestination, PhysicalNamesOneIdOf32BitsOrEverybody)
{
	for (u32 dest : kX2apicDestinations) {
		EXPECT_EQ(x2apic_destination_of(dest, false).shape, Shape::kOne) << dest;
		EXPECT_EQ(x2apic_destination_of(dest, false).first, dest);
	}
	EXPECT_EQ(x2apic_destination_of(0xffffffff, false).shape, Shape::kAll);
}

// The manual's rule for a match, asked for every ID that a table can have.
TEST(X2apicDestination, LogicalCoversExactlyTheTargetsThatMatch)
{
	for (u32 dest : kX2apicDestinations) {
		const Destination d = x2apic_destination_of(dest, true);

		ASSERT_EQ(d.shape, Shape::kCluster) << dest;
		for (u32 id = 0; id < 0x1000; ++id) {
			const u32 ldr = hw::x2apic_ldr(id);
			const bool matches = ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
			const bool covered = id >= d.first && id - d.first < 16 &&
					     (d.bits >> (id - d.first) & 1);

			ASSERT_EQ(covered, matches) << dest << " " << id;
		}
	}
	EXPECT_EQ(x2apic_destination_of(0xffffffff, true).shape, Shape::kAll);
}

} // namespace
