// SPDX-License-Identifier: GPL-2.0-only
//
// See host.hpp.
#include "host.hpp"

#include <utility>

#include "fuzz.hpp"

namespace host {
namespace {

std::vector<Target> targets;
std::vector<vapic::Broken> broken_seen;
bool broken_expected;

} // namespace

std::function<void(vapic_vcpu *, vapic_posting)> posting;

std::vector<Target> take_targets()
{
	return std::exchange(targets, {});
}

ExpectBroken::ExpectBroken()
{
	broken_expected = true;
}

ExpectBroken::~ExpectBroken()
{
	broken_expected = false;
	HOLDS(broken_seen.empty());
}

std::vector<vapic::Broken> ExpectBroken::take()
{
	return std::exchange(broken_seen, {});
}

} // namespace host

void vapic_host_avic_ipi_target(vapic_vcpu *glue, u32 icr_low, enum vapic_avic_ipi_target target)
{
	host::targets.push_back({glue, icr_low, target});
}

void vapic_host_posting(vapic_vcpu *glue, vapic_posting how)
{
	HOLDS(host::posting);
	host::posting(glue, how);
}

// As machine.hpp of tests/core has it.
bool vapic_host_vcpu_stays(vapic_vcpu *glue)
{
	return !*reinterpret_cast<const char *>(glue);
}

void vapic_host_broken(u32 what)
{
	HOLDS(host::broken_expected);
	host::broken_seen.push_back(vapic::Broken{what});
}
