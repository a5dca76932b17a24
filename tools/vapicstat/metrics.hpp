// SPDX-License-Identifier: GPL-2.0-only
//
// What is shown of all that is counted: a few figures that mean the same on both vendors, with and
// without vapic.
#ifndef VAPICSTAT_METRICS_HPP
#define VAPICSTAT_METRICS_HPP

#include "model.hpp"

#include <optional>
#include <span>

namespace vapicstat {

struct Metric {
	const char *name;
	const char *heading;
	const char *help;
	bool of_vapic;			 // by its counts of vCPUs, else of KVM's statistics
	std::span<const char *const> of; // the sum of these
};

std::span<const Metric> metrics();

// Nothing if none of its counts is known.
std::optional<std::uint64_t> value(const Metric &metric, const Vcpu &vcpu);
std::optional<std::uint64_t> value(const Metric &metric, const Vm &vm);

// The same VM or vCPU in an earlier snapshot.
const Vm *same(const Snapshot &earlier, const Vm &vm);
const Vcpu *same(const Vm &earlier, const Vcpu &vcpu);

// By second. Nothing if it was not there, or not known, before. @earlier may be a nullptr.
template <typename T>
std::optional<double> rate(const Metric &metric, const T &now, const T *earlier, double seconds)
{
	const auto after = value(metric, now);
	const auto before = earlier ? value(metric, *earlier) : std::nullopt;

	if (!after || !before || seconds <= 0)
		return std::nullopt;
	// A new VM under an old number
	if (*after < *before)
		return std::nullopt;
	return static_cast<double>(*after - *before) / seconds;
}

} // namespace vapicstat

#endif
