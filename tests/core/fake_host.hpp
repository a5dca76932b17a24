// SPDX-License-Identifier: GPL-2.0-only
//
// The host of core in tests: keeps what core calls out for. A broken invariant fails the
// test that is running, unless the test expects it.
#pragma once

#include <functional>
#include <vector>

#include <vapic/hw/broken.hpp>
#include <vapic/host.h>

namespace fake_host {

struct Target {
	vapic_vcpu *glue;
	u32 icr_low;
	vapic_ipi_target how;

	friend bool operator==(const Target &, const Target &) = default;
};

// Every destination that core has named since the last call, in order.
std::vector<Target> take_targets();

// From here on `handler` is called for each destination instead of keeping it; an empty
// one ends that. Set while no other thread is in core.
using Handler = std::function<void(const Target &)>;
void handle_targets(Handler handler);

// While one of these lives, broken invariants are counted and do not fail the test.
class ExpectBroken {
public:
	ExpectBroken();
	~ExpectBroken();
	ExpectBroken(const ExpectBroken &) = delete;
	ExpectBroken &operator=(const ExpectBroken &) = delete;

	// What was broken since construction or the last call, in order.
	[[nodiscard]] std::vector<vapic::Broken> take();
};

} // namespace fake_host
