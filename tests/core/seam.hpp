// SPDX-License-Identifier: GPL-2.0-only
//
// Lets a test intercept core's accesses to memory without a change to core: this header is
// included ahead of each core file (g++ -include) and redirects the compiler's atomic
// builtins, through which core makes all accesses to shared memory. Core's sources and the
// module's objects do not depend on it.
//
// Without an observer, an access is carried out as written.
#pragma once

#include <cstdint>
#include <type_traits>

namespace seam {

enum class Kind : std::uint8_t { kLoad, kStore, kExchange, kCompareExchange, kFetchOr, kFetchAnd };

struct Access {
	Kind kind;
	void *address;
	unsigned size; // bytes
	int order;     // __ATOMIC_*; for kCompareExchange that of success
	std::uint64_t value;
	std::uint64_t expected; // of kCompareExchange only

	bool writes() const { return kind != Kind::kLoad; }
	// Whether it is a locked instruction on x86, and so a full barrier.
	bool locked() const
	{
		return writes() && (kind != Kind::kStore || order == __ATOMIC_SEQ_CST);
	}
};

class Observer {
public:
	// Carries out the access, or simulates it. Returns the previous value of the word.
	virtual std::uint64_t access(const Access &access) = 0;

protected:
	~Observer() = default;
};

// Null if there is no observer. Change it only while no other thread is in core.
extern Observer *observer;

// Carries out the access on real memory. Returns the previous value of the word.
std::uint64_t perform(const Access &access);

template <typename T>
std::uint64_t to_bits(T value)
{
	if constexpr (std::is_pointer_v<T>)
		return reinterpret_cast<std::uintptr_t>(value);
	else
		return static_cast<std::uint64_t>(value);
}

template <typename T>
T from_bits(std::uint64_t bits)
{
	if constexpr (std::is_pointer_v<T>)
		return reinterpret_cast<T>(static_cast<std::uintptr_t>(bits));
	else
		return static_cast<T>(bits);
}

inline std::uint64_t access(const Access &what)
{
	return observer ? observer->access(what) : perform(what);
}

template <int Order, typename T>
T load(const T *p)
{
	return from_bits<T>(access({Kind::kLoad, const_cast<T *>(p), sizeof(T), Order, 0, 0}));
}

template <int Order, typename T>
void store(T *p, std::type_identity_t<T> value)
{
	access({Kind::kStore, p, sizeof(T), Order, to_bits(value), 0});
}

template <int Order, typename T>
T exchange(T *p, std::type_identity_t<T> value)
{
	return from_bits<T>(access({Kind::kExchange, p, sizeof(T), Order, to_bits(value), 0}));
}

template <int Order, typename T>
T fetch_or(T *p, std::type_identity_t<T> value)
{
	return from_bits<T>(access({Kind::kFetchOr, p, sizeof(T), Order, to_bits(value), 0}));
}

template <int Order, typename T>
T fetch_and(T *p, std::type_identity_t<T> value)
{
	return from_bits<T>(access({Kind::kFetchAnd, p, sizeof(T), Order, to_bits(value), 0}));
}

template <int Order, typename T>
bool compare_exchange(T *p, T *expected, std::type_identity_t<T> desired)
{
	const std::uint64_t wanted = to_bits(*expected);
	const std::uint64_t seen = access(
		{Kind::kCompareExchange, p, sizeof(T), Order, to_bits(desired), wanted});

	*expected = from_bits<T>(seen);
	return seen == wanted;
}

} // namespace seam

#ifndef SEAM_NO_REDIRECTION
// Makes cell.h load a word where it would otherwise test memory by an instruction of its own.
#define VAPIC_SEAM
#define __atomic_load_n(p, order) ::seam::load<order>(p)
#define __atomic_store_n(p, value, order) ::seam::store<order>(p, value)
#define __atomic_exchange_n(p, value, order) ::seam::exchange<order>(p, value)
#define __atomic_fetch_or(p, value, order) ::seam::fetch_or<order>(p, value)
#define __atomic_fetch_and(p, value, order) ::seam::fetch_and<order>(p, value)
#define __atomic_compare_exchange_n(p, expected, desired, weak, order, failure) \
	::seam::compare_exchange<order>(p, expected, desired)
#endif
