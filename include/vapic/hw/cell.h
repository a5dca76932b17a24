/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One word of memory that hardware or other CPUs read and write concurrently, in source that C
 * and C++ share. Each kind of word is a type of its own, which cannot be copied in C++ and has
 * only named operations, whose names say the memory order. Words that only C++ uses are slots and
 * cells with the same operations (atomic.hpp). No other file has atomic accesses;
 * tools/check.d/contracts checks that.
 */
#ifndef VAPIC_HW_CELL_H
#define VAPIC_HW_CELL_H

#include <vapic/types.h>

/* NOLINTBEGIN(bugprone-macro-parentheses): a name or type takes none */

#ifdef __cplusplus
#define VAPIC_NOT_COPIED(name)                                                                     \
	name() = default;                                                                          \
	name(const name &) = delete;                                                               \
	name &operator=(const name &) = delete;
#else
#define VAPIC_NOT_COPIED(name)
#endif

/*
 * Defines struct @name with the operations
 *
 *   name_load()      no order
 *   name_load_first()
 *                    no later access is earlier than this one
 *   name_store()     no order
 *   name_publish()   all earlier writes are visible before the new word is
 *   name_exchange()  full barrier; returns the word replaced
 *   name_set(), name_clear()
 *                    set or clear bits; full barrier; return the word before
 *
 * A plain cell has the first four only.
 */
#define VAPIC_PLAIN_CELL(name, type)                                                               \
	struct name {                                                                              \
		VAPIC_NOT_COPIED(name)                                                             \
		type raw;                                                                          \
	};                                                                                         \
                                                                                                   \
	static inline type name##_load(const struct name *cell)                                    \
	{                                                                                          \
		return __atomic_load_n(&cell->raw, __ATOMIC_RELAXED);                              \
	}                                                                                          \
                                                                                                   \
	static inline type name##_load_first(const struct name *cell)                              \
	{                                                                                          \
		return __atomic_load_n(&cell->raw, __ATOMIC_ACQUIRE);                              \
	}                                                                                          \
                                                                                                   \
	static inline void name##_store(struct name *cell, type word)                              \
	{                                                                                          \
		__atomic_store_n(&cell->raw, word, __ATOMIC_RELAXED);                              \
	}                                                                                          \
                                                                                                   \
	static inline void name##_publish(struct name *cell, type word)                            \
	{                                                                                          \
		__atomic_store_n(&cell->raw, word, __ATOMIC_RELEASE);                              \
	}

#define VAPIC_CELL(name, type)                                                                     \
	VAPIC_PLAIN_CELL(name, type)                                                               \
                                                                                                   \
	static inline type name##_exchange(struct name *cell, type word)                           \
	{                                                                                          \
		return __atomic_exchange_n(&cell->raw, word, __ATOMIC_SEQ_CST);                    \
	}                                                                                          \
                                                                                                   \
	static inline type name##_set(struct name *cell, type bits)                                \
	{                                                                                          \
		return __atomic_fetch_or(&cell->raw, bits, __ATOMIC_SEQ_CST);                      \
	}                                                                                          \
                                                                                                   \
	static inline type name##_clear(struct name *cell, type bits)                              \
	{                                                                                          \
		return __atomic_fetch_and(&cell->raw, (type)~bits, __ATOMIC_SEQ_CST);              \
	}

/* A plain cell with a pointer to @type. */
#define VAPIC_POINTER_CELL(name, type) VAPIC_PLAIN_CELL(name, type *)

/* NOLINTEND(bugprone-macro-parentheses) */

/*
 * Compilers never make an atomic load part of another instruction. These macros do, without
 * order: they test bits of the lowest byte of @cell, or OR that byte into @seen. In tests that
 * must see every access (tests/core/seam.hpp), they are plain loads.
 */
#ifdef VAPIC_SEAM
#define VAPIC_CELL_TEST(cell, bits) (!!(__atomic_load_n(&(cell)->raw, __ATOMIC_RELAXED) & (bits)))
#define VAPIC_CELL_GATHER(seen, cell)                                                              \
	((seen) |= (u8)__atomic_load_n(&(cell)->raw, __ATOMIC_RELAXED), (seen) != 0)
#else
#define VAPIC_CELL_TEST(cell, bits)                                                                \
	({                                                                                         \
		bool found_; /* NOLINT(cppcoreguidelines-init-variables) */                        \
		asm("testb %2, %1" : "=@ccnz"(found_) : "m"((cell)->raw), "i"(bits));              \
		found_;                                                                            \
	})
#define VAPIC_CELL_GATHER(seen, cell)                                                              \
	({                                                                                         \
		bool found_; /* NOLINT(cppcoreguidelines-init-variables) */                        \
		asm("orb %2, %1" : "=@ccnz"(found_), "+q"(seen) : "m"(*(const u8 *)&(cell)->raw)); \
		found_;                                                                            \
	})
#endif

#endif
