// SPDX-License-Identifier: GPL-2.0-only
//
// The 4 KiB page of local APIC registers that the guest, the hardware and KVM
// share. While acceleration is on, hardware writes it concurrently (IRR of any vCPU,
// everything else of a running one), so there is no plain access: registers are
// read whole, and interrupt bits are set atomically.
#pragma once

#include <cstdint>

#include <vapic/hot.h>
#include <vapic/hw/apic.hpp>

namespace vapic::lapic {

class RegisterPage {
public:
	// One register, untorn. The value may be stale by the time it is used; a
	// caller that acts on it says who else may write.
	[[nodiscard]] std::uint32_t read(hw::ApicRegister reg) const
	{
		return __atomic_load_n(&words_[index(reg)], __ATOMIC_RELAXED);
	}

	// ORDERING irr-set
	//   writers:  IPI hardware and the IOMMU set bits, VMRUN and the doorbell clear
	//             them, KVM does both for an inactive vCPU; all atomically
	//   order:    sequentially consistent, a locked OR. Weaker: the sender's next read
	//             (is the target in guest mode, asleep?) could pass this write
	//   pairs:    vapic_avic_vcpu_block() and vcpu_enter_guest(), which write the state
	//             first and look at IRR second
	//   barrier:  here
	//   if lost:  a sleeping vCPU is never woken for the interrupt
	//   checked:  selftests ipi_blocked and ipi_lost; residency history replay
	void set_irr(hw::Vector vector) { vapic_hot_set_irr(words_, vector.raw()); }

	// Add the bits of 64 vectors, from 64 * `quarter` on; returns those that are new.
	// Ordering as set_irr(): IRR hardware is the writer besides the vCPU's own task.
	std::uint64_t merge_irr(unsigned quarter, std::uint64_t bits)
	{
		const std::uint32_t low = merge(2 * quarter, static_cast<std::uint32_t>(bits));
		const std::uint32_t high =
			merge(2 * quarter + 1, static_cast<std::uint32_t>(bits >> 32));

		return std::uint64_t{high} << 32 | low;
	}

	// Highest vector of the IRR, or kNone.
	static constexpr std::uint32_t kNone = ~std::uint32_t{0};

	[[nodiscard]] std::uint32_t highest_irr() const
	{
		for (unsigned n = 8; n-- > 0;) {
			const std::uint32_t bits =
				__atomic_load_n(&words_[irr_index(n)], __ATOMIC_RELAXED);

			if (bits)
				return 32 * n + 31 - static_cast<unsigned>(__builtin_clz(bits));
		}
		return kNone;
	}

private:
	// The n-th of the eight registers, four words apart.
	static constexpr unsigned irr_index(unsigned n)
	{
		return index(hw::ApicRegister::kIrr) + 4 * n;
	}

	std::uint32_t merge(unsigned n, std::uint32_t bits)
	{
		if (!bits)
			return 0;
		return bits & ~__atomic_fetch_or(&words_[irr_index(n)], bits, __ATOMIC_SEQ_CST);
	}

	static constexpr unsigned index(hw::ApicRegister reg)
	{
		return static_cast<unsigned>(reg) / unsigned{sizeof(std::uint32_t)};
	}

	std::uint32_t words_[1024];
};

static_assert(sizeof(RegisterPage) == 4096);

} // namespace vapic::lapic
