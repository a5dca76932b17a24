// SPDX-License-Identifier: GPL-2.0-only
//
// The local APIC's registers: where they lie in the 4 KiB page and what their
// fields mean in xAPIC mode, and in x2APIC mode where that differs.
//
// Source: AMD64 Architecture Programmer's Manual, volume 2, "APIC Registers",
// "Interrupt Command Register", "Logical Destination Register".
#pragma once

#include <vapic/hw/units.hpp>
#include <vapic/hw/word.hpp>

namespace vapic::hw {

// Byte offsets; each register is 32 bits wide at a multiple of 16.
enum class ApicRegister : std::uint32_t {
	kId = 0x020,
	kVersion = 0x030,
	kTpr = 0x080,
	kPpr = 0x0a0,
	kEoi = 0x0b0,
	kRemoteRead = 0x0c0,
	kLdr = 0x0d0,
	kDfr = 0x0e0,
	kSpiv = 0x0f0,
	kIsr = 0x100,
	kTmr = 0x180,
	kIrr = 0x200,
	kEsr = 0x280,
	kLvtCmci = 0x2f0,
	kIcrLow = 0x300,
	kIcrHigh = 0x310,
	kLvtTimer = 0x320,
	kLvtThermal = 0x330,
	kLvtPerf = 0x340,
	kLvtLint0 = 0x350,
	kLvtLint1 = 0x360,
	kLvtError = 0x370,
	kTimerInitial = 0x380,
	kTimerCurrent = 0x390,
	kTimerDivide = 0x3e0,
	kSelfIpi = 0x3f0, // x2APIC mode only
};

enum class DestinationMode : std::uint32_t { kPhysical = 0, kLogical = 1 };
enum class Shorthand : std::uint32_t { kNone = 0, kSelf = 1, kAll = 2, kAllButSelf = 3 };

// ICR as EXITINFO1 of exit 401h gives it: high half above low half.
struct Icr : Word<Icr, std::uint64_t> {
	using Word::Word;

	static constexpr At<Vector, 0, 8> kVector{};
	static constexpr At<std::uint32_t, 8, 3> kDeliveryMode{};
	static constexpr At<DestinationMode, 11, 1> kDestinationMode{};
	static constexpr At<bool, 12, 1> kBusy{};
	static constexpr At<bool, 15, 1> kLevelTriggered{};
	static constexpr At<Shorthand, 18, 2> kShorthand{};
	static constexpr At<std::uint32_t, 0, 32> kLow{};
	static constexpr At<std::uint32_t, 32, 32> kX2apicDestination{};
	static constexpr At<std::uint32_t, 56, 8> kXapicDestination{};
};

static_assert(Icr::kVector.kMask == 0xff);
static_assert(Icr::kDeliveryMode.kMask == 0x700);
static_assert(Icr::kDestinationMode.kMask == 0x800);
static_assert(Icr::kBusy.kMask == 0x1000);
static_assert(Icr::kLevelTriggered.kMask == 0x8000);
static_assert(Icr::kShorthand.kMask == 0xc0000);
static_assert(Icr::kLow.kMask == 0xffffffffull);
static_assert(Icr::kX2apicDestination.kMask == 0xffffffff00000000ull);
static_assert(Icr::kXapicDestination.kMask == 0xff00000000000000ull);
static_assert(disjoint(Icr::kVector.kMask, Icr::kDeliveryMode.kMask, Icr::kDestinationMode.kMask,
		       Icr::kBusy.kMask, Icr::kLevelTriggered.kMask, Icr::kShorthand.kMask,
		       Icr::kXapicDestination.kMask));

constexpr std::uint32_t kXapicBroadcast = 0xff;
constexpr std::uint32_t kX2apicBroadcast = 0xffffffff;

struct Ldr : Word<Ldr, std::uint32_t> {
	using Word::Word;

	static constexpr At<std::uint32_t, 24, 8> kLogicalId{};
};

static_assert(Ldr::kLogicalId.kMask == 0xff000000u);

// 1111b in the top bits is the flat model, 0000b the cluster model; the rest reads
// as ones. Anything else is reserved, and taken as cluster as KVM does.
struct Dfr : Word<Dfr, std::uint32_t> {
	using Word::Word;

	static constexpr At<std::uint32_t, 28, 4> kModel{};

	[[nodiscard]] constexpr bool flat() const { return get(kModel) == 0xf; }
};

static_assert(Dfr::kModel.kMask == 0xf0000000u);

struct Lvt : Word<Lvt, std::uint32_t> {
	using Word::Word;

	static constexpr At<std::uint32_t, 8, 3> kDeliveryMode{};
	static constexpr At<bool, 16, 1> kMasked{};

	static constexpr std::uint32_t kExtInt = 7;
};

static_assert(Lvt::kDeliveryMode.kMask == 0x700);
static_assert(Lvt::kMasked.kMask == 0x10000);
static_assert(disjoint(Lvt::kDeliveryMode.kMask, Lvt::kMasked.kMask));

// LDR of x2APIC mode, which follows from the ID: the cluster of 16 and the bit in it.
constexpr std::uint32_t x2apic_ldr(std::uint32_t id)
{
	return id >> 4 << 16 | std::uint32_t{1} << id % 16;
}

static_assert(x2apic_ldr(0x0) == 0x1 && x2apic_ldr(0x1f) == 0x18000);

// Intercepts of the x2APIC MSRs 800h to 83Fh, one bit each, as each half of Intel's MSR
// bitmap has them. An MSR is found by its register's offset in xAPIC mode.
struct X2apicIntercepts : Word<X2apicIntercepts, std::uint64_t> {
	using Word::Word;

	static constexpr At<bool, 0x08, 1> kTpr{};
	static constexpr At<bool, 0x0b, 1> kEoi{};
	static constexpr At<bool, 0x30, 1> kIcr{};
	static constexpr At<bool, 0x39, 1> kTimerCurrent{};
	static constexpr At<bool, 0x3f, 1> kSelfIpi{};
};

static_assert(X2apicIntercepts::kTpr.kMask == 0x0000000000000100ull);
static_assert(X2apicIntercepts::kEoi.kMask == 0x0000000000000800ull);
static_assert(X2apicIntercepts::kIcr.kMask == 0x0001000000000000ull);
static_assert(X2apicIntercepts::kTimerCurrent.kMask == 0x0200000000000000ull);
static_assert(X2apicIntercepts::kSelfIpi.kMask == 0x8000000000000000ull);
static_assert(disjoint(X2apicIntercepts::kTpr.kMask, X2apicIntercepts::kEoi.kMask,
		       X2apicIntercepts::kIcr.kMask, X2apicIntercepts::kTimerCurrent.kMask,
		       X2apicIntercepts::kSelfIpi.kMask));

} // namespace vapic::hw
