// SPDX-License-Identifier: GPL-2.0-only
//
// What core keeps about a VM and a vCPU under AVIC, and who may write each field.
#pragma once

#include <cstddef>

#include <vapic/avic.h>
#include <vapic/avic_hot.h>
#include <vapic/hw/atomic.hpp>
#include <vapic/hw/avic.hpp>

#include "../lapic/destination.hpp"
#include "../lapic/register_page.hpp"

namespace vapic::avic {

// Why a sender's software must act for the vCPU. With no bit set, the vCPU runs and shows
// IsRunning, or its next VMRUN finds the interrupt.
class Attention : public hw::Word<Attention, std::uint8_t> {
public:
	using Word::Word;

	static constexpr At<bool, 0, 1> kAsleep{};   // blocked: wake it
	static constexpr At<bool, 1, 1> kInactive{}; // not accelerated: kick it
	// The entry does not show it run: no entry names its CPU, or it is to be hidden. In guest
	// mode, ring or kick it.
	static constexpr At<bool, 2, 1> kFar{};
	static constexpr At<bool, 3, 1> kOutside{}; // in no table yet; in own_attention only
};

// What the IOMMU does with the interrupts of assigned devices that name the vCPU, the same with
// all of them: remaps them to the host; or posts them, and makes an entry in its log; or posts
// them, and rings a CPU. Zero if there is no such interrupt.
class Posting : public hw::Word<Posting, std::uint64_t> {
public:
	using Word::Word;

	static constexpr At<hw::HostApicId, 0, 32> kHost{}; // which CPU it rings
	static constexpr At<bool, 32, 1> kRings{};
	static constexpr At<bool, 33, 1> kPosts{};
	static constexpr At<bool, 34, 1> kAny{};  // there is such an interrupt
	static constexpr At<bool, 35, 1> kSoon{}; // who holds the posting lock decides just now
};

// Enter a vCPU that KVM has accepted in the VM's tables.
void enter_tables(vapic_avic_vcpu &vcpu);

// What the attention byte asks of the IOMMU, for a vCPU that is on, or was last on, `host`.
Posting wanted_posting(const vapic_avic_vcpu &vcpu, hw::HostApicId host);

// Statistics. Only the vCPU's own task writes them; anybody may read them.
using Counter = hw::Cell<std::uint64_t>;

} // namespace vapic::avic

struct alignas(VAPIC_AVIC_ALIGN) vapic_avic_vm {
	// Constant after vapic_avic_vm_init(). The first three point to `ids` cells each.
	// Table of hardware, indexed by guest APIC ID. ORDERING running-set, running-clear, enter.
	vapic::hw::Slot<vapic::hw::PhysicalIdEntry> *physical;
	// Indexed by guest APIC ID. ORDERING asleep, inactive, far-set, enter.
	vapic::hw::Slot<vapic::avic::Attention> *attention;
	// Indexed by guest APIC ID; set by enter_tables(), cleared by vapic_avic_vcpu_retire().
	// ORDERING vcpus.
	vapic::hw::Cell<vapic_avic_vcpu *> *vcpus;
	vapic::hw::LogicalIdTable *logical;
	std::uint64_t physical_pa;
	std::uint64_t logical_pa;
	std::uint32_t ids;
	bool hide_running;

	// Interrupts of assigned devices are remapped. ORDERING remaps.
	vapic::hw::Cell<bool> remaps;

	// One above the largest ID that has entered the tables. ORDERING id-end.
	vapic::hw::Cell<std::uint32_t> id_end;

	// How many changes of the logical table have begun. ORDERING logical-change.
	vapic::hw::Cell<std::uint32_t> logical_begun;
	// How many are done; equal to logical_begun while none is under way. ORDERING
	// logical-change.
	vapic::hw::Cell<std::uint32_t> logical_done;
};

struct alignas(VAPIC_AVIC_ALIGN) vapic_avic_vcpu {
	// Pointers to the attention byte and the table entry, which senders follow too: to
	// own_attention and own_slot until enter_tables() changes them to the VM's. ORDERING enter.
	vapic_avic_vcpu_hot hot;
	// ORDERING posting-begin, posting.
	vapic::hw::Slot<vapic::avic::Posting> posting;

	// Constant after vapic_avic_vcpu_init().
	vapic_avic_vm *vm;
	vapic::lapic::RegisterPage *regs;
	vapic_vcpu *glue;
	vapic::hw::GuestApicId id;
	vapic::hw::PhysicalIdEntry parked; // its table entry with IsRunning clear and no CPU

	// Its table entry while it runs, all but the CPU. Only the vCPU's own task writes it later.
	vapic::hw::PhysicalIdEntry resident;

	// Index of the logical table entry that names this vCPU, or kNoLogicalIndex.
	// Written with the vCPU's mutex held.
	std::uint32_t logical_index;
	bool retired;

	// The VM's logical_begun when an IPI exit of this vCPU last found no change under way.
	// Only the vCPU's own task uses it.
	std::uint32_t logical_seen;
	// What hot points to until the vCPU is in the tables. ORDERING asleep, enter.
	vapic::hw::Slot<vapic::avic::Attention> own_attention;
	// As above. ORDERING running-set, enter.
	vapic::hw::Slot<vapic::hw::PhysicalIdEntry> own_slot;

	vapic::avic::Counter ipi_exits[5];
	vapic::avic::Counter ipi_woken;
	vapic::avic::Counter ipi_inactive;
	vapic::avic::Counter accesses_trap;
	vapic::avic::Counter accesses_fault;
};

namespace vapic::avic {

// The cells of avic_hot.h and core's slots are the same memory.
static_assert(sizeof(vapic_avic_attention) == sizeof(hw::Slot<Attention>));
static_assert(sizeof(vapic_avic_entry) == sizeof(hw::Slot<hw::PhysicalIdEntry>));

inline hw::Slot<Attention> &attention(const vapic_avic_vcpu &vcpu)
{
	return *reinterpret_cast<hw::Slot<Attention> *>(
		vapic_avic_attention_at_load(&vcpu.hot.attention));
}

inline hw::Slot<hw::PhysicalIdEntry> &slot(const vapic_avic_vcpu &vcpu)
{
	return *reinterpret_cast<hw::Slot<hw::PhysicalIdEntry> *>(
		vapic_avic_entry_at_load(&vcpu.hot.entry));
}

inline void set_attention_at(vapic_avic_vcpu &vcpu, hw::Slot<Attention> &to)
{
	vapic_avic_attention_at_publish(&vcpu.hot.attention,
					reinterpret_cast<vapic_avic_attention *>(&to));
}

inline void set_slot_at(vapic_avic_vcpu &vcpu, hw::Slot<hw::PhysicalIdEntry> &to)
{
	vapic_avic_entry_at_publish(&vcpu.hot.entry, reinterpret_cast<vapic_avic_entry *>(&to));
}

} // namespace vapic::avic

static_assert(offsetof(vapic_avic_vcpu, hot) == 0);
static_assert(vapic::avic::Attention::kAsleep.kMask == VAPIC_AVIC_ASLEEP);
static_assert(vapic::avic::Attention::kAsleep.kMask == 0x01);
static_assert(vapic::avic::Attention::kInactive.kMask == 0x02);
static_assert(vapic::avic::Attention::kFar.kMask == 0x04);
static_assert(vapic::avic::Attention::kOutside.kMask == 0x08);
static_assert(vapic::hw::disjoint(vapic::avic::Attention::kAsleep.kMask,
				  vapic::avic::Attention::kInactive.kMask,
				  vapic::avic::Attention::kFar.kMask,
				  vapic::avic::Attention::kOutside.kMask));
static_assert(vapic::hw::disjoint(vapic::avic::Posting::kHost.kMask,
				  vapic::avic::Posting::kRings.kMask,
				  vapic::avic::Posting::kPosts.kMask,
				  vapic::avic::Posting::kAny.kMask,
				  vapic::avic::Posting::kSoon.kMask));
static_assert(vapic::hw::PhysicalIdEntry::kHostApicId.kMask == VAPIC_AVIC_HOST_ID);
static_assert(vapic::hw::kNoHostApicId.raw() == VAPIC_AVIC_NO_CPU);
