// SPDX-License-Identifier: GPL-2.0-only
//
// Snapshots as text, JSON and a textfile of Prometheus. Rates are those since an earlier snapshot.
#ifndef VAPICSTAT_PRINT_HPP
#define VAPICSTAT_PRINT_HPP

#include "model.hpp"
#include "reasons.hpp"

#include <string>
#include <vector>

namespace vapicstat {

// Names and command lines are other people's: nothing in them reaches the terminal as a command.
std::string printable(const std::string &value);
// In which mode the host accelerates: "x2AVIC", "AVIC", "APICv+IPIv", "APICv" or "off".
std::string mode(const Host &host);
std::string describe(const Host &host);
// "yes", "no", "?"; of a VM whose vCPUs differ, how many are.
std::string active(const Vm &vm);
// What inhibits, with a ? if only concluded; "-" if nothing, "?" if nobody knows.
std::string inhibits(const Host &host, const Vm &vm);
std::string inhibits(const Vm &vm, const Vcpu &vcpu);

// A table, a row to each VM and, if asked, vCPU. @earlier may be a nullptr: counts, not rates.
Names table(const Snapshot &now, const Snapshot *earlier, bool with_vcpus);
std::string text(const Snapshot &now, const Snapshot *earlier, bool with_vcpus);
// One line.
std::string json(const Snapshot &now, const Snapshot *earlier);
std::string prometheus(const Snapshot &now);

// What explain() finds, for people.
std::string explanation(const Host &host);
std::string explanation(const Host &host, const Vm &vm);
// The whole table of reasons.
std::string all_reasons();

} // namespace vapicstat

#endif
