// SPDX-License-Identifier: GPL-2.0-only
#include "gather.hpp"

#include "qemu.hpp"
#include "stats.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <sstream>

namespace vapicstat {

namespace {

constexpr std::uint32_t kSvmFeatures = 0x8000000a;
constexpr std::uint32_t kIdleHlt = 1u << 30;
const char *const kDebug = "/sys/kernel/debug/kvm";
const char *const kVcpuStats = "anon_inode:kvm-vcpu-stats:";

std::optional<unsigned long long> number_of(const std::string &text)
{
	char *end = nullptr;
	const unsigned long long number = std::strtoull(text.c_str(), &end, 10);

	return end == text.c_str() || *end ? std::nullopt : std::optional(number);
}

Names words_by(const std::string &text, char separator)
{
	std::istringstream in(text);
	Names words;

	for (std::string word; std::getline(in, word, separator);)
		if (!word.empty())
			words.push_back(word);
	return words;
}

std::optional<bool> parameter(const System &system, const std::string &module,
			      const std::string &name)
{
	const auto value = system.line("/sys/module/" + module + "/parameters/" + name);

	if (!value)
		return std::nullopt;
	return *value == "Y" || *value == "y" || *value == "1";
}

// ---- the host ----

Cpu read_cpu(const System &system)
{
	Cpu cpu;
	Names flags, vmx;

	std::istringstream in(system.read("/proc/cpuinfo").value_or(""));
	for (std::string line; std::getline(in, line) && !line.empty();) {
		const std::size_t colon = line.find(':');
		const std::string key = line.substr(0, line.find_first_of("\t:"));
		const std::string value = colon + 2 < line.size() && colon != std::string::npos ?
						  line.substr(colon + 2) :
						  "";

		if (key == "vendor_id")
			cpu.vendor = value == "AuthenticAMD" || value == "HygonGenuine" ?
					     Vendor::kAmd :
				     value == "GenuineIntel" ? Vendor::kIntel :
							       Vendor::kNone;
		else if (key == "cpu family")
			cpu.family = static_cast<unsigned>(number_of(value).value_or(0));
		else if (key == "flags")
			flags = words_by(value, ' ');
		else if (key == "vmx flags")
			vmx = words_by(value, ' ');
	}
	const auto has = [](const Names &names, const char *name) {
		return std::find(names.begin(), names.end(), name) != names.end();
	};
	cpu.avic = has(flags, "avic");
	cpu.x2avic = has(flags, "x2avic");
	cpu.apicv = has(vmx, "posted_intr") && has(vmx, "vid");
	cpu.ipi_virt = has(vmx, "ipi_virt");
	// /proc/cpuinfo does not say this one.
	cpu.idle_hlt = cpu.vendor == Vendor::kAmd && system.cpuid_edx(kSvmFeatures) & kIdleHlt;
	return cpu;
}

Vapic read_vapic(const System &system)
{
	Vapic vapic;
	const auto version = system.line("/sys/kernel/vapic/version");

	vapic.loaded = version.has_value();
	vapic.version = version.value_or("");
	vapic.audit = system.line("/sys/kernel/vapic/audit").value_or("");
	vapic.took_over = !system.read("/sys/kernel/vapic/takeover").value_or("").empty();
	return vapic;
}

Host read_host(const System &system)
{
	Host host;

	host.kernel = system.line("/proc/sys/kernel/osrelease").value_or("");
	host.command_line = system.line("/proc/cmdline").value_or("");
	host.cpu = read_cpu(system);
	host.vapic = read_vapic(system);
	host.inject_timer = parameter(system, "kvm", "pi_inject_timer").value_or(false);
	if (host.cpu.vendor == Vendor::kAmd) {
		host.accelerated = parameter(system, "kvm_amd", "avic");
		// kvm_amd of 6.1 and 6.12 has no such parameter.
		host.ipiv =
			parameter(system, host.vapic.loaded ? "vapic" : "kvm_amd", "enable_ipiv");
	} else {
		host.accelerated = parameter(system, "kvm_intel", "enable_apicv");
		host.ipiv = parameter(system, "kvm_intel", "enable_ipiv");
		host.posts_devices = parameter(system, "kvm_intel", "enable_device_posted_irqs");
	}
	return host;
}

// ---- what vapic says ----

struct Line {
	std::map<std::string, std::string> named;
	Counts counts; // those that are numbers, in their order
};

Line fields_of(const std::string &text)
{
	Line line;

	for (const std::string &word : words_by(text, ' ')) {
		const std::size_t equals = word.find('=');
		const std::string key = word.substr(0, equals);
		const std::string value = equals == std::string::npos ? "" :
									word.substr(equals + 1);
		const auto number = number_of(value);

		line.named[key] = value;
		if (number && key != "pid" && key != "vcpu" && key != "active")
			line.counts.emplace_back(key, *number);
	}
	return line;
}

Names inhibits_of(const Line &line)
{
	const auto found = line.named.find("inhibits");

	return found == line.named.end() || found->second == "-" ? Names{} :
								   words_by(found->second, ',');
}

// As Documentation/ABI/testing/sysfs-kernel-vapic describes it; new fields are counts, if numbers.
std::vector<Vm> parse_vcpus(const std::string &text)
{
	std::vector<Vm> vms;
	std::map<int, unsigned> of_pid;

	for (const std::string &row : words_by(text, '\n')) {
		const Line line = fields_of(row);
		const auto get = [&line](const char *key) {
			const auto found = line.named.find(key);
			return found == line.named.end() ? std::string() : found->second;
		};

		if (line.named.count("vm")) {
			Vm &vm = vms.emplace_back();

			vm.pid = std::atoi(get("pid").c_str());
			vm.index = of_pid[vm.pid]++;
			vm.active = get("active") == "1";
			vm.inhibits = inhibits_of(line);
		} else if (!vms.empty() && line.named.count("vcpu")) {
			Vcpu &vcpu = vms.back().vcpus.emplace_back();

			vcpu.id = static_cast<unsigned>(number_of(get("vcpu")).value_or(0));
			vcpu.active = get("active") == "1";
			vcpu.inhibits = inhibits_of(line);
			vcpu.never = get("never");
			vcpu.vapic = line.counts;
		}
	}
	return vms;
}

// ---- processes ----

std::string of_process(int pid, const std::string &file)
{
	return "/proc/" + std::to_string(pid) + "/" + file;
}

std::optional<Qemu> qemu_of(const System &system, int pid)
{
	return parse_qemu(words_of(system.read(of_process(pid, "cmdline"), kForeign).value_or("")));
}

void name_vm(const System &system, Vm &vm)
{
	vm.qemu = qemu_of(system, vm.pid);
	if (vm.qemu && !vm.qemu->name.empty())
		vm.name = vm.qemu->name;
	else
		vm.name = system.line(of_process(vm.pid, "comm")).value_or("");
}

// Processes that have a VM, by their statistics, or by their command line, which all users see.
std::map<int, std::string> processes(const System &system)
{
	std::map<int, std::string> found; // and the folder of statistics

	for (const std::string &name : system.list(kDebug)) {
		const auto pid = number_of(name.substr(0, name.find('-')));

		if (pid && name.find('-') != std::string::npos)
			// If a process has several VMs, nobody knows which folder is whose.
			if (!found.try_emplace(static_cast<int>(*pid), name).second)
				found[static_cast<int>(*pid)] = "";
	}
	for (const std::string &name : system.list("/proc")) {
		const auto pid = number_of(name);

		if (!pid || found.count(static_cast<int>(*pid)))
			continue;
		const auto qemu = qemu_of(system, static_cast<int>(*pid));

		if (qemu && qemu->kvm)
			found[static_cast<int>(*pid)] = "";
	}
	return found;
}

Counts counts_in(const System &system, const std::string &folder)
{
	Counts counts;

	for (const std::string &name : system.list(folder)) {
		const auto number = number_of(system.line(folder + "/" + name).value_or(""));

		if (number)
			counts.emplace_back(name, *number);
	}
	return counts;
}

Vcpu &vcpu_of(Vm &vm, unsigned id)
{
	for (Vcpu &vcpu : vm.vcpus)
		if (vcpu.id == id)
			return vcpu;
	vm.vcpus.emplace_back().id = id;
	return vm.vcpus.back();
}

// QEMU has its vCPUs' statistics open, from 8.1 on.
void read_vcpu_stats(const System &system, Vm &vm)
{
	const std::string prefix = kVcpuStats;

	for (const std::string &fd : system.list(of_process(vm.pid, "fd"))) {
		const std::string target = system.link(of_process(vm.pid, "fd/" + fd)).value_or("");

		if (target.compare(0, prefix.size(), prefix) != 0)
			continue;
		const auto id = number_of(target.substr(prefix.size()));
		const auto file = system.stats(vm.pid, std::atoi(fd.c_str()), target);

		if (id && file)
			vcpu_of(vm, static_cast<unsigned>(*id)).kvm = decode_stats(*file);
	}
	std::sort(vm.vcpus.begin(), vm.vcpus.end(),
		  [](const Vcpu &a, const Vcpu &b) { return a.id < b.id; });
}

Counts sum(const std::vector<Vcpu> &vcpus)
{
	Counts total;

	for (const Vcpu &vcpu : vcpus) {
		for (const auto &[name, value] : vcpu.kvm) {
			const auto found =
				std::find_if(total.begin(), total.end(),
					     [&](const auto &c) { return c.first == name; });
			if (found == total.end())
				total.emplace_back(name, value);
			else
				found->second += value;
		}
	}
	return total;
}

bool accelerates(const Host &host)
{
	return host.accelerated.value_or(false);
}

std::vector<Vm> read_vms(const System &system, const Host &host)
{
	std::vector<Vm> vms = parse_vcpus(system.read("/sys/kernel/vapic/vcpus").value_or(""));
	const std::map<int, std::string> found = processes(system);

	for (const auto &[pid, folder] : found)
		if (std::none_of(vms.begin(), vms.end(),
				 [pid = pid](const Vm &vm) { return vm.pid == pid; }))
			vms.emplace_back().pid = pid;
	for (Vm &vm : vms) {
		const auto same = std::count_if(vms.begin(), vms.end(), [&vm](const Vm &other) {
			return other.pid == vm.pid;
		});

		if (!accelerates(host) && !vm.active)
			vm.active = false;
		if (vm.pid == 0)
			continue;
		name_vm(system, vm);
		if (same != 1)
			continue;
		read_vcpu_stats(system, vm);
		const auto folder = found.find(vm.pid);
		if (folder != found.end() && !folder->second.empty())
			vm.kvm = counts_in(system, std::string(kDebug) + "/" + folder->second);
		if (vm.kvm.empty())
			vm.kvm = sum(vm.vcpus);
	}
	std::stable_sort(vms.begin(), vms.end(),
			 [](const Vm &a, const Vm &b) { return a.pid < b.pid; });
	return vms;
}

// One line at most for what takes root, and one for what takes something else.
Names notes_of(const System &system, const Host &host, const std::vector<Vm> &vms)
{
	const bool hidden = system.denied("/sys/kernel/debug");
	Names notes;

	if (hidden)
		notes.push_back(
			host.vapic.loaded ?
				"not root: whether other users' VMs are accelerated, and KVM's "
				"counts of exits, take root" :
				"not root: KVM's counts of exits take root");
	else if (!system.exists(kDebug) && host.accelerated)
		notes.push_back(
			"no debugfs: mount -t debugfs debugfs /sys/kernel/debug for KVM's counts "
			"of exits");
	if (!host.vapic.loaded && accelerates(host) && !vms.empty())
		notes.push_back(
			"without vapic, stock KVM tells nobody what inhibits a VM: what has a ? is "
			"concluded from its command line");
	return notes;
}

} // namespace

double seconds_now()
{
	const auto now = std::chrono::steady_clock::now().time_since_epoch();

	return std::chrono::duration<double>(now).count();
}

Snapshot gather(const System &system)
{
	Snapshot snapshot;

	snapshot.seconds = seconds_now();
	snapshot.host = read_host(system);
	snapshot.vms = read_vms(system, snapshot.host);
	snapshot.notes = notes_of(system, snapshot.host, snapshot.vms);
	return snapshot;
}

} // namespace vapicstat
