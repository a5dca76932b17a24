// SPDX-License-Identifier: GPL-2.0-only
//
// What vapicstat knows of a host and its VMs at one moment. Plain values: gather.cpp fills them,
// all else only reads them.
#ifndef VAPICSTAT_MODEL_HPP
#define VAPICSTAT_MODEL_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vapicstat {

// In the order of their source.
using Counts = std::vector<std::pair<std::string, std::uint64_t>>;
using Names = std::vector<std::string>;

enum class Vendor { kNone, kAmd, kIntel };

struct Cpu {
	Vendor vendor = Vendor::kNone;
	unsigned family = 0;
	bool avic = false;
	bool x2avic = false;
	bool apicv = false; // with posted interrupts
	bool ipi_virt = false;
	bool idle_hlt = false;
};

struct Vapic {
	bool loaded = false;
	std::string version;
	std::string audit; // the first line
	bool took_over = false;
};

struct Host {
	std::string kernel;
	Cpu cpu;
	Vapic vapic;
	// Parameters of the vendor's module; nothing if there is no such parameter.
	std::optional<bool> accelerated;   // avic, enable_apicv
	std::optional<bool> ipiv;	   // enable_ipiv; of vapic's on AMD, if loaded
	std::optional<bool> posts_devices; // enable_device_posted_irqs
	bool inject_timer = false;	   // pi_inject_timer of kvm
	std::string command_line;
};

// What matters here of QEMU's command line.
struct Qemu {
	std::string name;
	std::string cpu; // as on the command line: model and features
	std::string machine;
	std::string irqchip = "on"; // on, split, off
	std::string accel;	    // the argument of -accel, if it was that which set irqchip
	bool kvm = false;
	bool pit = true;
	bool pit_discards = false;
	bool encrypted = false; // SEV
	bool cpu_pm = false;
	bool vfio = false;
	bool libvirt = false;

	// Whether a feature of the CPU is on; QEMU takes - and _ for the same.
	[[nodiscard]] std::optional<bool> feature(const std::string &wanted) const;
	[[nodiscard]] bool has(const std::string &wanted) const
	{
		return feature(wanted).value_or(false);
	}
	// Model "host" or "max", which have all that KVM offers.
	[[nodiscard]] bool has_all() const;
};

struct Vcpu {
	unsigned id = 0;
	std::optional<bool> active;
	Names inhibits;
	std::string never; // why it is never accelerated
	Counts vapic;
	Counts kvm;
};

struct Vm {
	int pid = 0;
	unsigned index = 0; // of the VMs of this process
	std::string name;   // of the guest, else of the process
	std::optional<Qemu> qemu;
	std::optional<bool> active;
	std::optional<Names> inhibits; // nothing: not known
	Counts kvm;		       // sums over the vCPUs
	std::vector<Vcpu> vcpus;
};

struct Snapshot {
	double seconds = 0; // of a clock that does not jump
	Host host;
	std::vector<Vm> vms;
	Names notes; // what could not be seen, and what it takes
};

} // namespace vapicstat

#endif
