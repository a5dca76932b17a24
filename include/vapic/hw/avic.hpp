// SPDX-License-Identifier: GPL-2.0-only
//
// AVIC's words in memory and in the VMCB.
//
// Source: AMD64 Architecture Programmer's Manual, volume 2, "Advanced Virtual
// Interrupt Controller": "Physical APIC ID Table", "Logical APIC ID Table",
// "AVIC Backing Page", "VMCB Changes for AVIC", "AVIC IPI Delivery Not Completed",
// "AVIC Access to Un-accelerated vAPIC Register".
#pragma once

#include <vapic/hw/atomic.hpp>
#include <vapic/hw/units.hpp>
#include <vapic/hw/word.hpp>

namespace vapic::hw {

// Entry of the physical APIC ID table, indexed by guest physical APIC ID in either mode. Read by
// IPI hardware and by the IOMMU; written by software alone.
struct PhysicalIdEntry : Word<PhysicalIdEntry, std::uint64_t> {
	using Word::Word;

	static constexpr At<HostApicId, 0, 12> kHostApicId{};
	static constexpr At<PageFrame, 12, 40> kBackingPage{};
	static constexpr At<bool, 62, 1> kIsRunning{};
	static constexpr At<bool, 63, 1> kValid{};
};

static_assert(sizeof(PhysicalIdEntry) == 8);
static_assert(PhysicalIdEntry::kHostApicId.kMask == 0x0000000000000fffull);
static_assert(PhysicalIdEntry::kBackingPage.kMask == 0x000ffffffffff000ull);
static_assert(PhysicalIdEntry::kIsRunning.kMask == 0x4000000000000000ull);
static_assert(PhysicalIdEntry::kValid.kMask == 0x8000000000000000ull);
static_assert(disjoint(PhysicalIdEntry::kHostApicId.kMask, PhysicalIdEntry::kBackingPage.kMask,
		       PhysicalIdEntry::kIsRunning.kMask, PhysicalIdEntry::kValid.kMask));

// Entry of the logical APIC ID table of xAPIC mode. Flat: index = bit number of the
// destination; cluster: index = cluster * 4 + bit number.
struct LogicalIdEntry : Word<LogicalIdEntry, std::uint32_t> {
	using Word::Word;

	static constexpr At<GuestApicId, 0, 8> kGuestApicId{};
	static constexpr At<bool, 31, 1> kValid{};
};

static_assert(sizeof(LogicalIdEntry) == 4);
static_assert(LogicalIdEntry::kGuestApicId.kMask == 0x000000ffu);
static_assert(LogicalIdEntry::kValid.kMask == 0x80000000u);
static_assert(disjoint(LogicalIdEntry::kGuestApicId.kMask, LogicalIdEntry::kValid.kMask));

// VMCB 0F8h: where the physical table is, and the last valid index.
struct PhysicalTablePointer : Word<PhysicalTablePointer, std::uint64_t> {
	using Word::Word;

	// 9 bits, but 12 with the extension to 4,096 entries.
	static constexpr At<std::uint32_t, 0, 12> kMaxIndex{};
	static constexpr At<PageFrame, 12, 40> kTable{};
};

static_assert(PhysicalTablePointer::kMaxIndex.kMask == 0x0000000000000fffull);
static_assert(PhysicalTablePointer::kTable.kMask == 0x000ffffffffff000ull);
static_assert(disjoint(PhysicalTablePointer::kMaxIndex.kMask, PhysicalTablePointer::kTable.kMask));

// VMCB 060h, the half that AVIC uses.
struct InterruptControl : Word<InterruptControl, std::uint32_t> {
	using Word::Word;

	static constexpr At<bool, 30, 1> kX2apicMode{};
	static constexpr At<bool, 31, 1> kAvicEnable{};
};

static_assert(InterruptControl::kX2apicMode.kMask == 0x40000000u);
static_assert(InterruptControl::kAvicEnable.kMask == 0x80000000u);
static_assert(disjoint(InterruptControl::kX2apicMode.kMask, InterruptControl::kAvicEnable.kMask));

// The largest host APIC ID that an entry can name. FFFh stands for no CPU, or for a CPU that no
// entry can name, so a sender sees from the entry alone whether there is a CPU to ring; while
// IsRunning is clear, hardware does not look at the field.
constexpr std::uint32_t kMaxHostApicId = 0xffe;
constexpr HostApicId kNoHostApicId{0xfff};

// How many IDs, from 0 on, the physical table can name: in xAPIC mode, where FFh is the broadcast
// destination; in x2APIC mode; and there on processors with the extension.
constexpr std::uint32_t kXapicIds = 255;
constexpr std::uint32_t kX2apicIds = 512;
constexpr std::uint32_t kX2apicIdsExtended = 4096;
constexpr std::uint32_t kLogicalTableEntries = 1024;

struct LogicalIdTable {
	// ORDERING logical-entry, logical-change.
	Slot<LogicalIdEntry> entries[kLogicalTableEntries];
};

static_assert(sizeof(LogicalIdTable) == 4096);

// Exit 401h, EXITINFO2: why an IPI was not completed.
enum class IpiFailure : std::uint32_t {
	kInvalidType = 0,	 // not a fixed, edge-triggered interrupt
	kTargetNotRunning = 1,	 // IRR is set in every valid target; at least one did not run
	kInvalidTarget = 2,	 // a destination has no valid entry
	kInvalidBackingPage = 3, // an entry's backing page is invalid
	kInvalidVector = 4,	 // vector below 16
};

struct IncompleteIpiInfo : Word<IncompleteIpiInfo, std::uint64_t> {
	using Word::Word;

	// 9 bits, but 12 with the extension to 4,096 entries.
	static constexpr At<std::uint32_t, 0, 12> kIndex{};
	static constexpr At<IpiFailure, 32, 32> kFailure{};
};

static_assert(IncompleteIpiInfo::kIndex.kMask == 0xfffull);
static_assert(IncompleteIpiInfo::kFailure.kMask == 0xffffffff00000000ull);
static_assert(disjoint(IncompleteIpiInfo::kIndex.kMask, IncompleteIpiInfo::kFailure.kMask));

// Exit 402h, EXITINFO1: which register, read or written.
struct UnacceleratedInfo : Word<UnacceleratedInfo, std::uint64_t> {
	using Word::Word;

	static constexpr At<std::uint32_t, 4, 8> kRegister{};
	static constexpr At<bool, 32, 1> kWrite{};
};

static_assert(UnacceleratedInfo::kRegister.kMask == 0xff0ull);
static_assert(UnacceleratedInfo::kWrite.kMask == 0x100000000ull);
static_assert(disjoint(UnacceleratedInfo::kRegister.kMask, UnacceleratedInfo::kWrite.kMask));

} // namespace vapic::hw
