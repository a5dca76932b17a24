// SPDX-License-Identifier: GPL-2.0-only
//
// The machine that is looked at: files, instructions and descriptors. With another root than / it
// is a recorded one, where `cpuid` and `stats` of that folder stand for what is not a file.
#ifndef VAPICSTAT_SYSTEM_HPP
#define VAPICSTAT_SYSTEM_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vapicstat {

// As much is read of what another process may have made as long as it likes.
constexpr std::size_t kForeign = 1u << 20;

class System {
public:
	explicit System(std::string root = "");

	// The first @limit bytes of it.
	[[nodiscard]] std::optional<std::string> read(const std::string &path,
						      std::size_t limit = SIZE_MAX) const;
	// The first line, without its end.
	[[nodiscard]] std::optional<std::string> line(const std::string &path) const;
	// Sorted; numbers by value.
	[[nodiscard]] std::vector<std::string> list(const std::string &path) const;
	[[nodiscard]] std::optional<std::string> link(const std::string &path) const;
	[[nodiscard]] bool exists(const std::string &path) const;
	// It is there, but not for this user.
	[[nodiscard]] bool denied(const std::string &path) const;
	// EDX of a leaf of CPUID; 0 if the processor has no such leaf.
	[[nodiscard]] std::uint32_t cpuid_edx(std::uint32_t leaf) const;
	// A statistics file that a process has open as @fd, if that still is @target.
	[[nodiscard]] std::optional<std::string> stats(int pid, int fd,
						       const std::string &target) const;

private:
	[[nodiscard]] bool recorded() const { return !root_.empty(); }

	std::string root_;
};

} // namespace vapicstat

#endif
