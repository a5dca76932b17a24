// SPDX-License-Identifier: GPL-2.0-only
//
// What all targets use: an input as a list of choices, and an assertion that ends the process, as
// libFuzzer wants it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <vapic/types.h>

namespace fuzz {

[[noreturn]] inline void fail(const char *what, const char *file, int line)
{
	std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	std::abort();
}

[[noreturn]] inline void never(const char *what, const char *file, int line)
{
	std::fprintf(stderr, "%s:%d: never %s\n", file, line, what);
	std::abort();
}

// The choices are zero once the bytes have run out, so an input may be cut anywhere.
class Input {
public:
	Input(const std::uint8_t *bytes, std::size_t size) : next_(bytes), end_(bytes + size) {}

	[[nodiscard]] bool more() const { return next_ != end_; }
	u8 byte() { return more() ? *next_++ : u8{0}; }
	bool flag() { return byte() & 1; }
	u32 half() { return byte() | u32{byte()} << 8; }
	u32 word() { return half() | half() << 16; }
	u64 quad() { return word() | u64{word()} << 32; }
	// `count` is at most 65536.
	u32 below(u32 count) { return (count <= 256 ? byte() : half()) % count; }

private:
	const std::uint8_t *next_;
	const std::uint8_t *end_;
};

} // namespace fuzz

#define HOLDS(condition)                                                                           \
	((condition) ? static_cast<void>(0) : fuzz::fail(#condition, __FILE__, __LINE__))

#define NEVER(what) fuzz::never(what, __FILE__, __LINE__)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size);
