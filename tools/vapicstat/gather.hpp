// SPDX-License-Identifier: GPL-2.0-only
//
// Looks at a machine: vapic's files in /sys/kernel/vapic, parameters of KVM's modules, processes,
// KVM's statistics. What the user may not see is left out, and noted.
#ifndef VAPICSTAT_GATHER_HPP
#define VAPICSTAT_GATHER_HPP

#include "model.hpp"
#include "system.hpp"

namespace vapicstat {

Snapshot gather(const System &system);

// The clock of Snapshot's seconds.
double seconds_now();

} // namespace vapicstat

#endif
