// SPDX-License-Identifier: GPL-2.0-only
//
// KVM's statistics in their binary form, which the kernel documents in virt/kvm/api.rst.
#ifndef VAPICSTAT_STATS_HPP
#define VAPICSTAT_STATS_HPP

#include "model.hpp"

#include <string>

namespace vapicstat {

// All that are one number. Nothing of a file that contradicts itself.
Counts decode_stats(const std::string &file);

} // namespace vapicstat

#endif
