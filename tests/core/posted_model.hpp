// SPDX-License-Identifier: GPL-2.0-only
//
// Everything around posted interrupts for the explorer: what KVM, the glue and VMX hardware
// do with the words of one target vCPU, step by step, and the handlers of the wakeup vector
// on two CPUs. Core is called where the module calls it.
#pragma once

#include <string>
#include <vector>

#include <vapic/avic.h>
#include <vapic/vmx.h>

#include "explorer.hpp"
#include "own_task.hpp"
#include "posted_mutants.hpp"

namespace posted {

// Core's part, replaceable one by one to show that a mistake is noticed.
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

// What the target's task does, one after the other; then it enters the guest for good.
enum class Act : char {
	kVisit = 'v',	      // enter the guest, leave it at any time
	kHalt = 'h',	      // sleep unless an interrupt is there
	kHaltPreempted = 'H', // the same, preempted on the way, back on another CPU
	kPut = 'u',	      // put, and load again
	kMove = 'm',	      // the same, but load on the other CPU
	kPreempt = 'P',	      // put for another thread, and load again
	kPreemptMove = 'p',   // the same, but load on the other CPU
	kToggle = 't',	      // acceleration off, or on again
};

enum class Sender : char {
	kHardware = 'i', // an IPI, by IPI virtualization
	kSoftware = 's', // KVM's delivery
};

struct Scenario {
	std::string acts = {};	  // of Act
	std::string senders = {}; // of Sender; each sends a vector of its own
	bool begins_active = true;

	// KVM's full barrier between vcpu->mode and its look at ON.
	bool enter_barrier = true;
	// The glue adds a vCPU to the waiters before it arms it.
	bool add_before_arm = true;
	// The glue does what core tells it.
	bool glue_notifies = true;
	bool glue_wakes = true;
	bool glue_kicks = true;
	// Refresh says unsettle.
	bool toggle_unsettles = true;

	Core core = {};
};

// Explores all interleavings. Refused is an end in which a vector was not taken although
// its sender is done.
explorer::Result explore(const Scenario &scenario);

// For messages.
std::string describe(const Scenario &scenario);

} // namespace posted
