// SPDX-License-Identifier: GPL-2.0-only
//
// One word of memory that hardware or other CPUs read and write while we do.
// Nothing else in core touches such memory, and the order is part of each name.
//
// On x86 a relaxed or acquire load and a relaxed or release store are plain
// moves; exchange, try_replace, set_bits and clear_bits are locked instructions and
// so full barriers for ordinary (write-back) memory.
#pragma once

#include <cstdint>
#include <type_traits>

namespace vapic::hw {

// `W` is a Word: the slot's memory is exactly one integer of the word's width.
template <typename W>
class Slot {
public:
	using Raw = typename W::Raw;

	// No order. For a word this CPU owns, or a snapshot for try_replace().
	[[nodiscard]] W load() const { return W{__atomic_load_n(&raw_, __ATOMIC_RELAXED)}; }

	// No later read is earlier than this one.
	[[nodiscard]] W load_first() const { return W{__atomic_load_n(&raw_, __ATOMIC_ACQUIRE)}; }

	// All earlier writes are visible before the new word is.
	void publish(W word) { __atomic_store_n(&raw_, word.raw(), __ATOMIC_RELEASE); }

	// Full barrier; returns the word replaced.
	W exchange(W word) { return W{__atomic_exchange_n(&raw_, word.raw(), __ATOMIC_SEQ_CST)}; }

	// Full barrier if it succeeds. On failure nothing is written and `expected`
	// is left as it was: the caller decides whether a changed word matters.
	[[nodiscard]] bool try_replace(W expected, W desired)
	{
		Raw seen = expected.raw();

		return __atomic_compare_exchange_n(&raw_, &seen, desired.raw(), false,
						   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}

	// Full barrier; returns the word before. Bits of `bits` are set, or cleared.
	W set_bits(W bits) { return W{__atomic_fetch_or(&raw_, bits.raw(), __ATOMIC_SEQ_CST)}; }
	void clear_bits(W bits)
	{
		static_cast<void>(
			__atomic_fetch_and(&raw_, static_cast<Raw>(~bits.raw()), __ATOMIC_SEQ_CST));
	}

	// For tables that hold the addresses of words of the same kind.
	[[nodiscard]] const Raw *address() const { return &raw_; }

private:
	Raw raw_;
};

} // namespace vapic::hw
