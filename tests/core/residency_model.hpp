// SPDX-License-Identifier: GPL-2.0-only
//
// The model of residency for the explorer: what KVM, the glue and AVIC hardware do with the
// words of one target vCPU, step by step. It calls core where the module calls it.
#pragma once

#include <string>
#include <vector>

#include <vapic/avic.h>

#include "explorer.hpp"
#include "machine.hpp"
#include "own_task.hpp"
#include "residency_mutants.hpp"

namespace model {

// Core's functions, each of which can be replaced to show that a mistake is noticed.
struct Residency {
	void (*load)(vapic_avic_vcpu *, u32) = vapic_avic_vcpu_load;
	void (*put)(vapic_avic_vcpu *) = vapic_avic_vcpu_put;
	void (*block)(vapic_avic_vcpu *) = vapic_avic_vcpu_block;
	void (*unblock)(vapic_avic_vcpu *, u32) = vapic_avic_vcpu_unblock;
	void (*activate)(vapic_avic_vcpu *) = vapic_avic_vcpu_activate;
	void (*deactivate)(vapic_avic_vcpu *) = vapic_avic_vcpu_deactivate;
	bool (*must_wake)(const vapic_avic_vcpu *) = model::must_wake;
	void (*set_irr)(void *, u8) = model::set_irr;
	vapic_posting (*posting_add)(vapic_avic_vcpu *, u32) = vapic_avic_posting_add;
};

// What the target's task does, in this order; afterwards it enters the guest for good.
enum class Act : char {
	kVisit = 'v',		// enter the guest, leave it at any time
	kHalt = 'h',		// block, sleep unless an interrupt is pending, unblock
	kHaltPreempted = 'H',	// the same, preempted while blocked, back on another CPU
	kPreempt = 'p',		// put, and load on the other CPU
	kToggle = 't',		// turn acceleration off, or on again
};

enum class Sender : char {
	kHardware = 'i',  // an IPI
	kSoftware = 's',  // KVM's delivery
	kDevice = 'd',	  // an assigned device, by the IOMMU
	// These send nothing: KVM connects the device's interrupt with the vCPU, or takes it away,
	// or both because the interrupt is to have another vector.
	kAssign = 'a',
	kTakeAway = 'x',
	kReassign = 'r',
	// The same with another interrupt, of that device or another one.
	kSecondDevice = 'D',
	kAssignSecond = 'A',
};

struct Scenario {
	std::string acts = {};    // letters of Act
	std::string senders = {}; // letters of Sender; each sends a vector of its own
	bool begins_active = true;
	bool hide_running = false;
	// How many interrupts of devices are connected with the vCPU from the start.
	unsigned begins_assigned = 0;
	// No entry can hold the APIC ID of the second CPU.
	bool far_second = false;

	// KVM has a full barrier between writing vcpu->mode and VMRUN.
	bool enter_barrier = true;
	// True: KVM has a full barrier before it looks for interrupts to decide whether to sleep,
	// and a wake-up is lost if the vCPU has not yet said that it waits. False: only the
	// contract of avic.h holds, and a wake-up is never lost.
	bool kvm_sleep = false;
	// False, as with erratum 1235: IPI hardware may read IsRunning before its write of IRR is
	// visible.
	bool ipi_barrier = true;
	// The glue wakes and kicks when core says so.
	bool glue_wakes = true;
	bool glue_kicks = true;
	// The IOMMU writes IRR before it reads whether to ring, and when its tables are flushed it has
	// written all that it will write by the old entry.
	bool iommu_barrier = true;
	bool flush_waits = true;
	// The glue wakes the vCPU that an entry in the IOMMU's log names; after it has connected an
	// interrupt, and after it has only taken one away, requests that the vCPU's task has a look;
	// and holds the lock when it changes an entry. It treats all interrupts as core says, and
	// says that none is left only if that is so.
	bool log_wakes = true;
	bool requests_look = true;
	bool requests_last_look = true;
	bool posting_locked = true;
	bool treats_all = true;
	bool ends_with_last = true;
	// activate is followed by load.
	bool load_after_activate = true;

	Residency residency = {};
};

// Explores all interleavings. Refuses an end in which a vector was not taken although its
// sender is done.
explorer::Result explore(const Scenario &scenario);

// Describes the scenario for messages.
std::string describe(const Scenario &scenario);

} // namespace model
