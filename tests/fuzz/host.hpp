// SPDX-License-Identifier: GPL-2.0-only
//
// The host of core under a fuzzer: keeps what core asked for until the target takes it.
#pragma once

#include <functional>
#include <vector>

#include <vapic/hw/broken.hpp>
#include <vapic/host.h>

namespace host {

struct Target {
	vapic_vcpu *glue;
	u32 icr_low;
	vapic_avic_ipi_target how;
};

// The destinations that core has reported since the last call, in order.
std::vector<Target> take_targets();

// Called when core wants the IOMMU to treat a vCPU's interrupts another way; without one the
// target fails.
extern std::function<void(vapic_vcpu *, vapic_posting)> posting;

// While an object of this class exists, broken invariants do not end the target.
class ExpectBroken {
public:
	ExpectBroken();
	~ExpectBroken();
	ExpectBroken(const ExpectBroken &) = delete;
	ExpectBroken &operator=(const ExpectBroken &) = delete;

	// Those since construction or the last call, in order. Call it before the end.
	[[nodiscard]] static std::vector<vapic::Broken> take();
};

} // namespace host
