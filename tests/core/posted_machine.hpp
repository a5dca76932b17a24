// SPDX-License-Identifier: GPL-2.0-only
//
// A vCPU with posted interrupts, in memory that the test owns and reads as raw numbers.
#pragma once

#include <vapic/vmx.h>

#include "machine.hpp"
#include "own_task.hpp"

class PostedVcpu {
public:
	static constexpr u64 kDescriptorPa = 0x0000000123456780ull;
	static constexpr vapic_pi_vectors kVectors = {.notification = 0xf2, .wakeup = 0xf1};
	static constexpr u64 kOn = 1;
	static constexpr u64 kSn = 2;

	explicit PostedVcpu(u64 pa = kDescriptorPa)
	{
		vapic_pi_vcpu_init(core(), glue(), descriptor(), pa, regs_.get(), kVectors);
	}

	vapic_pi_vcpu *core() { return static_cast<vapic_pi_vcpu *>(object_.get()); }
	// The pointer by which core refers to this vCPU.
	vapic_vcpu *glue() { return reinterpret_cast<vapic_vcpu *>(this); }
	static PostedVcpu *of(vapic_vcpu *glue) { return reinterpret_cast<PostedVcpu *>(glue); }
	vapic_pi_descriptor *descriptor()
	{
		return static_cast<vapic_pi_descriptor *>(descriptor_.get());
	}
	u64 &pir(unsigned i) { return static_cast<u64 *>(descriptor_.get())[i]; }
	u64 &control() { return static_cast<u64 *>(descriptor_.get())[4]; }
	u32 &irr(unsigned i) { return static_cast<u32 *>(regs_.get())[(0x200 + 0x10 * i) / 4]; }

private:
	Block object_{vapic_pi_vcpu_size(), VAPIC_PI_ALIGN};
	Block descriptor_{64, 64};
	Block regs_{4096, 4096};
};
