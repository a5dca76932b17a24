// SPDX-License-Identifier: GPL-2.0-only
//
// See machine.hpp.
#include "machine.hpp"

#include <algorithm>
#include <cstring>

#include "../../avic/state.hpp"

Block::Block(std::size_t size, std::size_t align)
	: memory_(std::aligned_alloc(align, (size + align - 1) / align * align)), size_(size)
{
	std::memset(memory_.get(), 0, size);
}

bool Block::all_zero() const
{
	const auto *bytes = static_cast<const unsigned char *>(memory_.get());

	return std::all_of(bytes, bytes + size_, [](unsigned char byte) { return byte == 0; });
}

Vcpu::Vcpu(Machine &machine, u32 id, bool stays)
	: id_(id), object_(vapic_avic_vcpu_size(), VAPIC_AVIC_ALIGN), regs_(4096, 4096),
	  regs_pa_(Machine::kRegsPa + u64{id} * 0x1000)
{
	set_dfr(Machine::kFlat);
	*host_ = !stays;
	made_ = vapic_avic_vcpu_init(core(), machine.core(), host(), id, regs(), regs_pa());
	if (made_)
		vapic_avic_vcpu_load(core(), 0);
}

u32 Vcpu::reg(u32 offset) const
{
	return __atomic_load_n(static_cast<u32 *>(regs()) + offset / 4, __ATOMIC_RELAXED);
}

void Vcpu::set_reg(u32 offset, u32 value)
{
	__atomic_store_n(static_cast<u32 *>(regs()) + offset / 4, value, __ATOMIC_RELAXED);
}

vapic_avic_counts Vcpu::counts() const
{
	vapic_avic_counts counts;

	vapic_avic_vcpu_counts(core(), &counts);
	return counts;
}

u64 *Vcpu::posting() const
{
	return reinterpret_cast<u64 *>(&core()->posting);
}

Machine::Machine(bool hide_running, u32 ids)
	: hide_running_(hide_running), ids_(ids), physical_((ids * 8 + 4095) / 4096 * 4096, 4096),
	  object_(vapic_avic_vm_size(ids), VAPIC_AVIC_ALIGN)
{
	const vapic_avic_tables tables = {.physical = physical(),
					  .logical = logical(),
					  .physical_pa = kPhysicalPa,
					  .logical_pa = kLogicalPa,
					  .ids = ids,
					  .hide_running = hide_running};

	vapic_avic_vm_init(core(), &tables);
}

Vcpu &Machine::add(u32 id, bool stays)
{
	return *vcpus_.emplace_back(std::make_unique<Vcpu>(*this, id, stays));
}

Vcpu &Machine::add_active(u32 id)
{
	Vcpu &vcpu = add(id);

	vapic_avic_vcpu_activate(vcpu.core());
	return vcpu;
}

std::uint8_t *Machine::attention() const
{
	return reinterpret_cast<std::uint8_t *>(core()->attention);
}
