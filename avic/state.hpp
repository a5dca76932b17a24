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

// Why a vCPU that does not run needs a sender's software to act. None of these:
// it runs, or its next VMRUN finds the interrupt by itself.
class Attention : public hw::Word<Attention, std::uint8_t> {
public:
	using Word::Word;

	static constexpr At<bool, 0, 1> kAsleep{};   // blocked: wake it
	static constexpr At<bool, 1, 1> kInactive{}; // not accelerated: kick it
	static constexpr At<bool, 2, 1> kFar{};	     // no entry can name its CPU: look, kick
	static constexpr At<bool, 3, 1> kOutside{};  // in its own byte: no table knows it
};

// A vCPU that stays enters the tables.
void enter_tables(vapic_avic_vcpu &vcpu);

constexpr std::uint32_t kIds = hw::kMaxXapicId + 1;

// A word that one task writes and anybody reads, without order: statistics.
class Counter {
public:
	void add() { __atomic_store_n(&n_, n_ + 1, __ATOMIC_RELAXED); }
	[[nodiscard]] std::uint64_t read() const { return __atomic_load_n(&n_, __ATOMIC_RELAXED); }

private:
	std::uint64_t n_;
};

// Proof that the caller is the vCPU's own task with preemption off, so that no other
// load, put, block or unblock of the vCPU runs. Only the C entry points, whose callers
// assert it with lockdep, make one.
class OnCpu {
	friend void ::vapic_avic_vcpu_load(vapic_avic_vcpu *, u32);
	friend void ::vapic_avic_vcpu_put(vapic_avic_vcpu *);
	friend void ::vapic_avic_vcpu_block(vapic_avic_vcpu *);
	friend void ::vapic_avic_vcpu_unblock(vapic_avic_vcpu *, u32);
	friend void ::vapic_avic_vcpu_activate(vapic_avic_vcpu *);
	friend void ::vapic_avic_vcpu_deactivate(vapic_avic_vcpu *);
	OnCpu() = default;
};

} // namespace vapic::avic

struct alignas(VAPIC_AVIC_ALIGN) vapic_avic_vm {
	// Constant after vapic_avic_vm_init().
	vapic::hw::PhysicalIdTable *physical;
	vapic::hw::LogicalIdTable *logical;
	std::uint64_t physical_pa;
	std::uint64_t logical_pa;
	bool hide_running;

	// One above the largest ID given out. Grows only; a stale value misses a vCPU
	// that did not exist when the IPI was sent.
	std::uint32_t id_end;

	// Changes of the logical table, begun and done so far: equal while nobody is at it.
	std::uint32_t logical_begun;
	std::uint32_t logical_done;

	// By guest APIC ID; each byte has the vCPU's own task as only writer.
	alignas(VAPIC_AVIC_ALIGN)
		vapic::hw::Slot<vapic::avic::Attention> attention[vapic::avic::kIds];

	// By guest APIC ID; set by enter_tables(), cleared by vapic_avic_vcpu_retire(). A reader
	// keeps the vCPU alive by the caller's means (vapic_avic_vcpu_ipi()).
	vapic_avic_vcpu *vcpus[vapic::avic::kIds];
};

struct alignas(VAPIC_AVIC_ALIGN) vapic_avic_vcpu {
	// The first two are as avic_hot.h says: the vCPU's own, below, until enter_tables() makes
	// them the VM's.
	vapic::hw::Slot<vapic::avic::Attention> *attention;
	vapic::hw::Slot<vapic::hw::PhysicalIdEntry> *slot;

	// Constant after vapic_avic_vcpu_init().
	vapic_avic_vm *vm;
	vapic::lapic::RegisterPage *regs;
	vapic_vcpu *glue;
	vapic::hw::GuestApicId id;
	vapic::hw::PhysicalIdEntry parked;   // the table entry of a vCPU that is on no CPU
	vapic::hw::PhysicalIdEntry resident; // of one that runs, but for the CPU it is on

	// Index of the logical table entry that names this vCPU, or kNoLogicalIndex.
	// Written with the vCPU's mutex held.
	std::uint32_t logical_index;
	bool retired;

	// The VM's logical_begun when this vCPU last looked for whom its hardware had meant.
	// Only the vCPU's own task uses it.
	std::uint32_t logical_seen;
	vapic::hw::Slot<vapic::avic::Attention> own_attention;
	vapic::hw::Slot<vapic::hw::PhysicalIdEntry> own_slot;

	vapic::avic::Counter ipi_exits[5];
	vapic::avic::Counter ipi_woken;
	vapic::avic::Counter ipi_inactive;
	vapic::avic::Counter accesses_trap;
	vapic::avic::Counter accesses_fault;
};

static_assert(offsetof(vapic_avic_vcpu, attention) == offsetof(vapic_avic_vcpu_hot, attention));
static_assert(offsetof(vapic_avic_vcpu, slot) == offsetof(vapic_avic_vcpu_hot, entry));
static_assert(vapic::avic::Attention::kAsleep.kMask == VAPIC_AVIC_ASLEEP);
static_assert(vapic::hw::PhysicalIdEntry::kHostApicId.kMask == VAPIC_AVIC_HOST_ID);
static_assert(vapic::hw::kNoHostApicId.raw() == VAPIC_AVIC_NO_CPU);
