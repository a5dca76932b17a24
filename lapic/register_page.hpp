// SPDX-License-Identifier: GPL-2.0-only
//
// The 4 KiB page of local APIC registers that the guest, the hardware and KVM
// share. While acceleration is on, hardware writes it concurrently (IRR of any vCPU,
// everything else of a running vCPU); on or off, other tasks set bits of IRR and TMR. So
// there is no plain access: words are read and written whole, and interrupt bits are set
// atomically.
#pragma once

#include <bit>
#include <cstdint>

#include <vapic/hw/apic.hpp>
#include <vapic/lapic_hot.h>

namespace vapic::lapic {

// Interrupts by vector: eight registers each.
enum class Bank : std::uint32_t { kIsr = 0x100, kTmr = 0x180, kIrr = 0x200 };

class RegisterPage {
public:
	// Number of words that hold registers; nobody uses the rest of the page.
	static constexpr unsigned kWords = 256;

	static constexpr unsigned index(hw::ApicRegister reg)
	{
		return static_cast<unsigned>(reg) / unsigned{sizeof(std::uint32_t)};
	}

	// One register, untorn. The value may be stale by the time it is used; a
	// caller that acts on it says who else may write.
	[[nodiscard]] std::uint32_t read(hw::ApicRegister reg) const { return word(index(reg)); }

	// Write one register, untorn. Only the owner of the page may write like this.
	void write(hw::ApicRegister reg, std::uint32_t value) { set_word(index(reg), value); }

	// The n-th word of the page, register or not.
	[[nodiscard]] std::uint32_t word(unsigned n) const
	{
		return vapic_lapic_word_load(&words_[n]);
	}
	void set_word(unsigned n, std::uint32_t value)
	{
		vapic_lapic_word_store(&words_[n], value);
	}

	// Copy all words from an image of kWords. A bit that another task sets in IRR or TMR
	// meanwhile may be lost or not: the state as a whole is replaced, without order against
	// such a write.
	void copy_from(const std::uint32_t *image) { vapic_lapic_copy(words_, image); }

	// Add 64 vectors, those from 64 * `quarter` on, to the IRR. Returns the highest that was not
	// in it, or VAPIC_NO_VECTOR.
	//
	// ORDERING irr-merge
	//   writers:  this, called by the vCPU's own task, and KVM add vectors; virtual-interrupt
	//             delivery and notification processing, while that task runs the guest, take
	//             and add them; KVM takes them in that task
	//   order:    sequentially consistent, a locked OR: KVM may set a bit of the same word, for a
	//             vCPU that is not accelerated, from another CPU
	//   pairs:    vapic_lapic_set_irr(), by whoever delivers to a vCPU that is not accelerated
	//   barrier:  here
	//   if lost:  a vector that another CPU sets at the same time disappears
	//   checked:  posted_threads_test; posted_interleaving_test
	std::uint32_t merge_irr(unsigned quarter, std::uint64_t vectors)
	{
		const std::uint32_t low = add(2 * quarter, static_cast<std::uint32_t>(vectors));
		const std::uint32_t high =
			add(2 * quarter + 1, static_cast<std::uint32_t>(vectors >> 32));

		return high != VAPIC_NO_VECTOR ? high : low;
	}

	// Highest vector of the bank, or VAPIC_NO_VECTOR.
	[[nodiscard]] std::uint32_t highest(Bank bank) const
	{
		return vapic_lapic_highest(words_, static_cast<std::uint32_t>(bank));
	}

	[[nodiscard]] std::uint32_t highest_irr() const { return highest(Bank::kIrr); }

	void clear(Bank bank)
	{
		for (unsigned n = 0; n < 8; ++n)
			set_word(index(bank, n), 0);
	}

private:
	// The n-th of the eight registers, four words apart.
	static constexpr unsigned index(Bank bank, unsigned n)
	{
		return static_cast<unsigned>(bank) / unsigned{sizeof(std::uint32_t)} + 4 * n;
	}

	// Add the vectors of the n-th register of the IRR; returns as merge_irr().
	std::uint32_t add(unsigned n, std::uint32_t vectors)
	{
		if (!vectors)
			return VAPIC_NO_VECTOR;
		vectors &= ~vapic_lapic_word_set(&words_[index(Bank::kIrr, n)], vectors);
		return vectors ? 32 * n + std::bit_width(vectors) - 1 : VAPIC_NO_VECTOR;
	}

	vapic_lapic_word words_[1024];
};

static_assert(sizeof(RegisterPage) == 4096);

} // namespace vapic::lapic
