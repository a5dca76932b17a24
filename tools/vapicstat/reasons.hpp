// SPDX-License-Identifier: GPL-2.0-only
//
// Why a VM is not accelerated, why interrupts exit though nothing inhibits, and what changes it.
// The table in reasons.cpp has all that is known; explain() looks up what holds for a VM.
#ifndef VAPICSTAT_REASONS_HPP
#define VAPICSTAT_REASONS_HPP

#include "model.hpp"

#include <span>
#include <string>
#include <vector>

namespace vapicstat {

enum class Kind {
	kHost,	  // nothing is accelerated on this host
	kInhibit, // one of KVM's, by its name there
	kExit,	  // an interrupt exits though nothing inhibits
};

// What is known of it, for one VM.
enum class State {
	kNo,
	kMaybe,	   // it depends on what the guest does
	kExpected, // from the command line and the host
	kReported, // KVM says so, by vapic
};

// The argument of QEMU's that is to change, or none.
enum class Place { kNone, kCpu, kMachine, kGlobal, kOther };

struct Reason {
	const char *name;
	Kind kind;
	const char *what;    // one sentence
	Place place;	     // and what to set there
	const char *option;  // nullptr: none
	const char *libvirt; // what to write into the domain's XML
	const char *host;    // parameters of modules, the kernel's command line, hardware
	const char *guest;   // what the guest's owner can do
	State (*state)(const Host &host, const Vm &vm);
};

std::span<const Reason> reasons();
const Reason *reason_named(const std::string &name);

struct Finding {
	std::string name; // that of the reason, or of an inhibit that is in no table
	const Reason *reason = nullptr;
	State state = State::kNo;
	std::vector<unsigned> vcpus; // if it holds for these alone
};

// What holds for the host, whatever runs on it.
std::vector<Finding> explain(const Host &host);
// What holds for a VM, without what holds for the host.
std::vector<Finding> explain(const Host &host, const Vm &vm);

// Inhibits that stock KVM has, or will have, for a VM, concluded from its command line.
Names expected_inhibits(const Host &host, const Vm &vm);

// The option that changes it, as this VM's command line would have it. Empty if there is none.
std::string qemu_change(const Reason &reason, const Qemu *qemu);

} // namespace vapicstat

#endif
