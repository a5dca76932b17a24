// SPDX-License-Identifier: GPL-2.0-only
#include "stats.hpp"

#include <linux/kvm.h>

#include <cstring>

namespace vapicstat {

namespace {

// False if it is not all there.
template <typename T>
bool take(const std::string &file, std::uint64_t at, T &value)
{
	if (at > file.size() || file.size() - at < sizeof(T))
		return false;
	std::memcpy(&value, file.data() + at, sizeof(T));
	return true;
}

} // namespace

Counts decode_stats(const std::string &file)
{
	kvm_stats_header header{};
	Counts counts;

	if (!take(file, 0, header))
		return {};
	for (std::uint64_t i = 0; i < header.num_desc; i++) {
		const std::uint64_t at =
			header.desc_offset + i * (sizeof(kvm_stats_desc) + header.name_size);
		const std::uint64_t name_at = at + sizeof(kvm_stats_desc);
		kvm_stats_desc desc{};
		std::uint64_t value = 0;

		if (!take(file, at, desc) || name_at + header.name_size > file.size())
			return {};
		if (desc.size != 1)
			continue;
		if (!take(file, std::uint64_t{header.data_offset} + desc.offset, value))
			return {};
		const char *name = file.data() + name_at;
		counts.emplace_back(std::string(name, strnlen(name, header.name_size)), value);
	}
	return counts;
}

} // namespace vapicstat
