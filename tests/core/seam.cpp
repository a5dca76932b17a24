// SPDX-License-Identifier: GPL-2.0-only
//
// See seam.hpp. Every access uses the strongest order; tests of weaker orders have an observer.
#define SEAM_NO_REDIRECTION
#include "seam.hpp"

#include <cstdlib>

namespace seam {

Observer *observer;

namespace {

template <typename T>
std::uint64_t perform_as(const Access &a)
{
	T *p = static_cast<T *>(a.address);
	const T value = static_cast<T>(a.value);
	T expected = static_cast<T>(a.expected);

	switch (a.kind) {
	case Kind::kLoad:
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);
	case Kind::kStore:
	case Kind::kExchange:
		return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);
	case Kind::kFetchOr:
		return __atomic_fetch_or(p, value, __ATOMIC_SEQ_CST);
	case Kind::kFetchAnd:
		return __atomic_fetch_and(p, value, __ATOMIC_SEQ_CST);
	case Kind::kCompareExchange:
		__atomic_compare_exchange_n(p, &expected, value, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
		return expected;
	}
	std::abort();
}

} // namespace

std::uint64_t perform(const Access &access)
{
	switch (access.size) {
	case 1:
		return perform_as<std::uint8_t>(access);
	case 4:
		return perform_as<std::uint32_t>(access);
	case 8:
		return perform_as<std::uint64_t>(access);
	default:
		std::abort();
	}
}

} // namespace seam
