// SPDX-License-Identifier: GPL-2.0-only
//
// The model of posted interrupts for the explorer: what KVM, the glue and VMX hardware do
// with the words of one target vCPU, step by step, and the handlers of the wakeup vector
// on two CPUs. It calls core where the module calls it.
#pragma once

#include <string>
#include <vector>

#include <vapic/avic.h>
#include <vapic/vmx.h>

#include "explorer.hpp"
#include "own_task.hpp"
#include "posted_mutants.hpp"

namespace posted {

// Core's functions, each of which can be replaced to show that a mistake is noticed.
struct Core {
	void (*load)(vapic_pi_vcpu *, u32) = vapic_pi_vcpu_load;
	void (*suppress)(vapic_pi_vcpu *) = posted::suppress;
	bool (*arm)(vapic_pi_vcpu *) = vapic_pi_vcpu_arm;
	vapic_pi_irr (*sync)(vapic_pi_vcpu *, bool) = vapic_pi_vcpu_sync;
	void (*unsettle)(vapic_pi_vcpu *) = vapic_pi_vcpu_unsettle;
	bool (*settled)(vapic_pi_vcpu *) = posted::settled;
	bool (*post)(vapic_pi_descriptor *, u8) = posted::post;
	void (*set_irr)(void *, u8) = posted::set_irr;
};

// What the target's task does, in this order; afterwards it enters the guest for good.
enum class Act : char {
	kVisit = 'v',	      // enter the guest, leave it at any time
	kHalt = 'h',	      // sleep unless an interrupt is pending
	kHaltPreempted = 'H', // the same, but preempted before, and back on another CPU
	kPut = 'u',	      // put, and load again
	kMove = 'm',	      // the same, but load on the other CPU
	kPreempt = 'P',	      // put for another thread, and load again
	kPreemptMove = 'p',   // the same, but load on the other CPU
	kToggle = 't',	      // turn acceleration off, or on again
};

enum class Sender : char {
	kHardware = 'i', // an IPI, by IPI virtualization
	kSoftware = 's', // KVM's delivery
};

struct Scenario {
	std::string acts = {};	  // letters of Act
	std::string senders = {}; // letters of Sender; each sends a vector of its own
	bool begins_active = true;

	// KVM has a full barrier between writing vcpu->mode and reading ON.
	bool enter_barrier = true;
	// The glue adds a vCPU to the waiters before it arms it.
	bool add_before_arm = true;
	// The glue notifies, wakes and kicks when core says so.
	bool glue_notifies = true;
	bool glue_wakes = true;
	bool glue_kicks = true;

	Core core = {};
};

// Explores all interleavings. Refuses an end in which a vector was not taken although its
// sender is done.
explorer::Result explore(const Scenario &scenario);

// Describes the scenario for messages.
std::string describe(const Scenario &scenario);

} // namespace posted
