// SPDX-License-Identifier: GPL-2.0-only
//
// ICR, LDR and DFR: whom an IPI is for. The oracle decodes no destination: for one APIC after the
// other it applies the manual's rule of what that APIC accepts.
#include "../../lapic/destination.hpp"

#include "fuzz.hpp"

using namespace vapic;
using lapic::Destination;
using Shape = Destination::Shape;

namespace {

// Where the manual's table of logical IDs has each; -1 if nowhere. Written as the manual draws the
// table, from the place to the ID.
struct Places {
	int of[256];

	explicit Places(bool flat)
	{
		for (int &place : of)
			place = -1;
		for (int n = 0; n < (flat ? 8 : 60); ++n)
			of[flat ? 1 << n : n / 4 * 16 + (1 << n % 4)] = n;
	}
};

int place(u32 ldr, u32 dfr)
{
	static const Places flat(true), cluster(false);

	return (dfr >> 28 == 0xf ? flat : cluster).of[ldr >> 24];
}

struct Sent {
	u64 icr;
	u32 dfr;
	bool x2apic;

	u32 shorthand() const { return icr >> 18 & 3; }
	bool logical() const { return icr >> 11 & 1; }
	u32 to() const { return static_cast<u32>(x2apic ? icr >> 32 : icr >> 56); }
	bool broadcast() const { return to() == (x2apic ? 0xffffffff : 0xff); }
};

struct Apic {
	u32 id;
	u32 logical_id; // LDR[31:24] of xAPIC mode
	bool sender;
};

// Does the APIC accept the IPI? As the manual's "Logical Destination Mode" and "Logical
// Destination Mode in x2APIC Mode" say, with the sender's model for all.
bool accepts(const Sent &s, const Apic &a)
{
	switch (s.shorthand()) {
	case 1:
		return a.sender;
	case 2:
		return true;
	case 3:
		return !a.sender;
	}
	if (s.broadcast())
		return true;
	if (!s.logical())
		return a.id == s.to();
	if (s.x2apic) {
		const u32 ldr = (a.id / 16) * 0x10000 + (1u << a.id % 16);

		return ldr >> 16 == s.to() >> 16 && (ldr & s.to() & 0xffff);
	}
	if (s.dfr >> 28 == 0xf)
		return a.logical_id & s.to();
	return (s.to() >> 4 == 15 || a.logical_id >> 4 == s.to() >> 4) &&
	       (a.logical_id & s.to() & 15);
}

// Does core's shape name it?
bool named(const Destination &d, const Apic &a, u32 dfr)
{
	const int index = place(a.logical_id << 24, dfr);

	switch (d.shape) {
	case Shape::kSelf:
		return a.sender;
	case Shape::kAll:
		return true;
	case Shape::kAllButSelf:
		return !a.sender;
	case Shape::kOne:
		return a.id == d.first;
	case Shape::kLogical:
		return index >= static_cast<int>(d.first) &&
		       index < static_cast<int>(d.first) + 8 &&
		       (d.bits >> (index - static_cast<int>(d.first)) & 1);
	case Shape::kCluster:
		return a.id >= d.first && a.id - d.first < 16 && (d.bits >> (a.id - d.first) & 1);
	}
	NEVER("a shape");
	return false;
}

void check(const Sent &s, const Destination &d, const Apic &a)
{
	// Only an APIC with a place in the table gets logical IPIs of xAPIC mode from hardware.
	const bool in_table = place(a.logical_id << 24, s.dfr) >= 0;
	const bool by_table = !s.x2apic && s.logical() && !s.shorthand() && !s.broadcast();
	const bool expected = accepts(s, a) && (!by_table || in_table);

	// Some members of all clusters: core names everybody.
	if (by_table && s.dfr >> 28 != 0xf && s.to() >> 4 == 15)
		HOLDS(d.shape == Shape::kAll);
	else
		HOLDS(named(d, a, s.dfr) == expected);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	fuzz::Input in(bytes, size);
	const u8 mode = in.byte();
	const Sent s = {in.quad(), mode & 2 ? ~u32{0} : in.word(), (mode & 1) != 0};
	const Destination d = lapic::destination(hw::Icr{s.icr}, s.x2apic, hw::Dfr{s.dfr});
	const u32 ldr = in.word();

	HOLDS(static_cast<int>(lapic::logical_index(hw::Ldr{ldr}, hw::Dfr{s.dfr})) ==
	      place(ldr, s.dfr));
	// Who has this place must be named by the sum of its bits.
	if (d.shape == Shape::kLogical)
		HOLDS(!(d.bits >> 8) && d.first + 8 <= 1024);

	// Bits that the destination does not depend on.
	const u64 others = s.x2apic ? 0x00000000'fff3f7ffull : 0x00ffffff'fff3f7ffull;
	const Destination e =
		lapic::destination(hw::Icr{s.icr ^ (in.quad() & others)}, s.x2apic, hw::Dfr{s.dfr});

	HOLDS(d.shape == e.shape && d.bits == e.bits && d.first == e.first);

	// All logical IDs of xAPIC mode, and IDs around those that are named.
	for (u32 id = 0; id < 256; ++id) {
		HOLDS(static_cast<int>(lapic::logical_index(hw::Ldr{id << 24}, hw::Dfr{s.dfr})) ==
		      place(id << 24, s.dfr));
		check(s, d, {.id = id, .logical_id = id, .sender = id == (mode >> 2)});
	}
	if (s.x2apic) {
		const u32 first = (s.to() >> 16) * 16;

		for (u32 n = 0; n < 48; ++n)
			check(s, d,
			      {.id = (first - 16 + n) & 0xfffff, .logical_id = 1, .sender = false});
		for (u32 n = 0; n < 3; ++n)
			check(s, d,
			      {.id = (s.to() - 1 + n) & 0xfffff, .logical_id = 2, .sender = false});
	}
	check(s, d, {.id = in.half(), .logical_id = in.byte(), .sender = in.flag()});
	return 0;
}
