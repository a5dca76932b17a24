// SPDX-License-Identifier: GPL-2.0-only
//
// One word of memory that hardware or other CPUs read and write concurrently, for C++ alone: a
// slot holds a hardware word, a cell a number or a pointer. The name of each operation says its
// memory order. Nothing else touches such memory, except what C shares (cell.h).
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

	Slot() = default;
	Slot(const Slot &) = delete;
	Slot &operator=(const Slot &) = delete;

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

	// Set or clear the bits of `bits`. Full barrier; set_bits() returns the word before.
	W set_bits(W bits) { return W{__atomic_fetch_or(&raw_, bits.raw(), __ATOMIC_SEQ_CST)}; }
	void clear_bits(W bits)
	{
		static_cast<void>(
			__atomic_fetch_and(&raw_, static_cast<Raw>(~bits.raw()), __ATOMIC_SEQ_CST));
	}

private:
	Raw raw_;
};

// `T` is an unsigned integer or a pointer.
template <typename T>
class Cell {
public:
	Cell() = default;
	Cell(const Cell &) = delete;
	Cell &operator=(const Cell &) = delete;

	// As in Slot.
	[[nodiscard]] T load() const { return __atomic_load_n(&value_, __ATOMIC_RELAXED); }
	[[nodiscard]] T load_first() const { return __atomic_load_n(&value_, __ATOMIC_ACQUIRE); }
	void publish(T value) { __atomic_store_n(&value_, value, __ATOMIC_RELEASE); }
	[[nodiscard]] bool try_replace(T expected, T desired)
	{
		return __atomic_compare_exchange_n(&value_, &expected, desired, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}

	// Add one. count() is locked, and so a full barrier. count_alone() has no order and is
	// for the only writer of the cell.
	void count() { __atomic_fetch_add(&value_, 1, __ATOMIC_SEQ_CST); }
	void count_alone() { __atomic_store_n(&value_, load() + 1, __ATOMIC_RELAXED); }

private:
	T value_;
};

} // namespace vapic::hw
