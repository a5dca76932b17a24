// SPDX-License-Identifier: GPL-2.0-only
//
// A VM of core with its vCPUs, in memory that the test owns. Tests read it as raw numbers,
// as hardware would, without core's types.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include <vapic/avic.h>

#include "own_task.hpp"

// Memory as the glue provides it: zeroed, aligned.
class Block {
public:
	Block(std::size_t size, std::size_t align);

	void *get() const { return memory_.get(); }
	std::size_t size() const { return size_; }
	bool all_zero() const;

private:
	struct Free {
		void operator()(void *p) const { std::free(p); }
	};

	std::unique_ptr<void, Free> memory_;
	std::size_t size_;
};

class Machine;

class Vcpu {
public:
	// stays = false: KVM refuses the vCPU after core has created it.
	Vcpu(Machine &machine, u32 id, bool stays = true);

	bool made() const { return made_; }
	u32 id() const { return id_; }
	// The pointer that core passes to the host for this vCPU. It points to a byte that
	// fake_host reads.
	vapic_vcpu *host() const { return reinterpret_cast<vapic_vcpu *>(host_.get()); }
	vapic_avic_vcpu *core() const { return static_cast<vapic_avic_vcpu *>(object_.get()); }
	const Block &object() const { return object_; }
	void *regs() const { return regs_.get(); }
	u64 regs_pa() const { return regs_pa_; }

	u32 reg(u32 offset) const;
	void set_reg(u32 offset, u32 value);
	void set_ldr(u32 logical_id) { set_reg(0x0d0, logical_id << 24); }
	void set_dfr(u32 value) { set_reg(0x0e0, value); }

	vapic_avic_counts counts() const;

private:
	u32 id_;
	Block object_;
	Block regs_;
	u64 regs_pa_;
	// A byte of its own, so that its address is unique. It is not zero if the vCPU does not
	// stay (vapic_host_vcpu_stays()).
	std::unique_ptr<char> host_ = std::make_unique<char>();
	bool made_;
};

class Machine {
public:
	// Bit 47 is the memory encryption bit.
	static constexpr u64 kPhysicalPa = 0x0000800112345000ull;
	static constexpr u64 kLogicalPa = 0x0000800112346000ull;
	static constexpr u64 kRegsPa = 0x00008fedcba00000ull;
	static constexpr u32 kFlat = 0xffffffff;
	static constexpr u32 kCluster = 0x0fffffff;

	// `ids` IDs fit into the table: 255 without x2AVIC.
	explicit Machine(bool hide_running = false, u32 ids = 255);

	// Creates a vCPU; Vcpu::made() says whether core accepted it. It is loaded once, so it is
	// in the tables if it stays. LDR is 0, DFR flat.
	Vcpu &add(u32 id, bool stays = true);
	// The same, but the vCPU is active, as after its creation with AVIC on.
	Vcpu &add_active(u32 id);

	bool hide_running() const { return hide_running_; }
	u32 ids() const { return ids_; }
	vapic_avic_vm *core() const { return static_cast<vapic_avic_vm *>(object_.get()); }
	u64 *physical() const { return static_cast<u64 *>(physical_.get()); }
	u32 *logical() const { return static_cast<u32 *>(logical_.get()); }
	u64 physical(u32 id) const { return physical()[id]; }
	u32 logical(u32 index) const { return logical()[index]; }
	// Attention byte: bit 0 asleep, bit 1 inactive, bit 2 far.
	std::uint8_t *attention() const;

private:
	bool hide_running_;
	u32 ids_;
	Block physical_;
	Block logical_{4096, 4096};
	Block object_;
	std::vector<std::unique_ptr<Vcpu>> vcpus_;
};

// Exit 401h of `vcpu`.
inline vapic_avic_ipi_action incomplete_ipi(vapic_avic_vcpu *vcpu, u64 info1, u64 info2, bool visit_all,
				       bool x2apic = false)
{
	const vapic_avic_ipi_exit exit = {info1, info2, x2apic, visit_all};

	return vapic_avic_vcpu_ipi(vcpu, &exit);
}

// The entry of `vcpu` in the physical table, as in the manual: valid, and either running on a
// host CPU, or not running with the CPU where the vCPU was last, or with kNowhere.
constexpr u64 kEntryValid = 0x8000000000000000ull;
constexpr u64 kEntryRunning = 0x4000000000000000ull;

constexpr u32 kNowhere = 0xfff;

inline u64 parked(const Vcpu &vcpu, u32 host_id = kNowhere)
{
	return kEntryValid | vcpu.regs_pa() | host_id;
}

inline u64 running(const Vcpu &vcpu, u32 host_id)
{
	return kEntryValid | kEntryRunning | vcpu.regs_pa() | host_id;
}

inline u32 logical_entry(const Vcpu &vcpu)
{
	return 0x80000000u | vcpu.id();
}
