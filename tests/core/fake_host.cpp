// SPDX-License-Identifier: GPL-2.0-only
//
// See fake_host.hpp. Only tests with one thread record targets here.
#include "fake_host.hpp"

#include <utility>

#include <gtest/gtest.h>

namespace fake_host {
namespace {

std::vector<Target> targets;
Handler handler;
std::vector<vapic::Broken> broken_seen;
bool broken_expected;

} // namespace

std::vector<Target> take_targets()
{
	return std::exchange(targets, {});
}

void handle_targets(Handler to)
{
	handler = std::move(to);
}

ExpectBroken::ExpectBroken()
{
	broken_expected = true;
}

ExpectBroken::~ExpectBroken()
{
	broken_expected = false;
	EXPECT_TRUE(broken_seen.empty()) << "broken invariants that the test did not look at";
	broken_seen.clear();
}

std::vector<vapic::Broken> ExpectBroken::take()
{
	return std::exchange(broken_seen, {});
}

} // namespace fake_host

void vapic_host_avic_ipi_target(vapic_vcpu *glue, u32 icr_low, enum vapic_avic_ipi_target target)
{
	const fake_host::Target named{glue, icr_low, target};

	if (fake_host::handler)
		fake_host::handler(named);
	else
		fake_host::targets.push_back(named);
}

bool vapic_host_vcpu_stays(vapic_vcpu *glue)
{
	return !glue || !*reinterpret_cast<const char *>(glue);
}

void vapic_host_broken(u32 what)
{
	if (fake_host::broken_expected)
		fake_host::broken_seen.push_back(vapic::Broken{what});
	else
		ADD_FAILURE() << "broken invariant " << what;
}
