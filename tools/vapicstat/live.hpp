// SPDX-License-Identifier: GPL-2.0-only
//
// The view that a terminal shows until its user has seen enough.
#ifndef VAPICSTAT_LIVE_HPP
#define VAPICSTAT_LIVE_HPP

#include "system.hpp"

namespace vapicstat {

// False if the terminal cannot.
bool live(const System &system, double interval, bool with_vcpus);

} // namespace vapicstat

#endif
