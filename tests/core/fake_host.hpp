// SPDX-License-Identifier: GPL-2.0-only
//
// The host of core in tests: records the calls that core makes to its host. A broken
// invariant fails the running test, unless the test expects it.
#pragma once

#include <functional>
#include <vector>

#include <vapic/hw/broken.hpp>
#include <vapic/host.h>

namespace fake_host {

struct Target {
	vapic_vcpu *glue;
	u32 icr_low;
	vapic_avic_ipi_target how;

	friend bool operator==(const Target &, const Target &) = default;
};

// Returns every destination that core has reported since the last call, in order.
std::vector<Target> take_targets();

// Makes the host call `handler` for each destination instead of recording it; an empty
// handler ends that. Call it only while no other thread is in core.
using Handler = std::function<void(const Target &)>;
void handle_targets(Handler handler);

// While an object of this class exists, broken invariants are recorded and do not fail the test.
class ExpectBroken {
public:
	ExpectBroken();
	~ExpectBroken();
	ExpectBroken(const ExpectBroken &) = delete;
	ExpectBroken &operator=(const ExpectBroken &) = delete;

	// Returns the invariants broken since construction or the last call, in order.
	[[nodiscard]] std::vector<vapic::Broken> take();
};

} // namespace fake_host
