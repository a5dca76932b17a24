// SPDX-License-Identifier: GPL-2.0-only
#include "reasons.hpp"

#include "qemu.hpp"

#include <algorithm>

namespace vapicstat {

namespace {

// ---- what the table asks for ----

bool is_amd(const Host &host)
{
	return host.cpu.vendor == Vendor::kAmd;
}

bool is_intel(const Host &host)
{
	return host.cpu.vendor == Vendor::kIntel;
}

bool accelerates(const Host &host)
{
	return host.accelerated.value_or(false);
}

bool has_hardware(const Host &host)
{
	// KVM knows better: force_avic uses what is hidden.
	return accelerates(host) || (is_amd(host) ? host.cpu.avic : host.cpu.apicv);
}

State expected_if(bool so)
{
	return so ? State::kExpected : State::kNo;
}

State maybe_if(bool so)
{
	return so ? State::kMaybe : State::kNo;
}

State only_reported(const Host &, const Vm &)
{
	return State::kNo;
}

bool uses_x2apic(const Qemu &qemu)
{
	return qemu.feature("x2apic").value_or(true);
}

// The guest sees KVM's own CPUID leaves.
bool shows_kvm(const Qemu &qemu)
{
	return qemu.feature("kvm").value_or(true);
}

// Families 17h and 18h. Stock knows it where it has enable_ipiv.
bool has_erratum_1235(const Host &host)
{
	return accelerates(host) && is_amd(host) &&
	       (host.cpu.family == 0x17 || host.cpu.family == 0x18) &&
	       (host.vapic.loaded ? !host.ipiv.value_or(false) : host.ipiv == false);
}

bool x2apic_without_x2avic(const Host &host, const Qemu &qemu)
{
	return accelerates(host) && is_amd(host) && !host.cpu.x2avic && uses_x2apic(qemu);
}

bool virtualizes_ipis(const Host &host, const Qemu &qemu)
{
	if (!accelerates(host))
		return false;
	if (is_amd(host))
		return !has_erratum_1235(host) && !x2apic_without_x2avic(host, qemu);
	return host.ipiv.value_or(false);
}

// AMD's do. Intel's do not send those to logical destinations, which Linux in x2APIC mode uses by
// default: there one hypercall is less than the exits in its place.
bool virtualizes_logical_ipis(const Host &host, const Qemu &qemu)
{
	return is_amd(host) && virtualizes_ipis(host, qemu);
}

// Of a kernel's command line, of which the last word of a kind counts.
bool boots_with(const Host &host, const std::string &word)
{
	const std::string line = " " + host.command_line + " ";

	return line.find(" " + word + " ") != std::string::npos;
}

// ---- the table ----

const char *const kGuestMust =
	"the guest's system does this; change it there, and restart the guest";

constexpr Reason kReasons[] = {
	{"no-hardware", Kind::kHost,
	 "This processor has neither AVIC nor APICv with posted interrupts, or the firmware hides "
	 "it.",
	 Place::kNone, nullptr, nullptr, "the firmware's setup, if it hides it", nullptr,
	 [](const Host &host, const Vm &) { return expected_if(!has_hardware(host)); }},
	{"avic-off", Kind::kHost,
	 "kvm_amd does not use AVIC: its parameter avic is N, the default of 6.1 and 6.12.",
	 Place::kNone, nullptr, nullptr,
	 "load vapic with avic=1; or stock: options kvm_amd avic=1 in /etc/modprobe.d", nullptr,
	 [](const Host &host, const Vm &) {
		 return expected_if(is_amd(host) && host.cpu.avic && host.accelerated == false);
	 }},
	{"apicv-off", Kind::kHost, "kvm_intel does not use APICv: its parameter enable_apicv is N.",
	 Place::kNone, nullptr, nullptr,
	 "load vapic with enable_apicv=1; or stock: options kvm_intel enable_apicv=1 in "
	 "/etc/modprobe.d",
	 nullptr,
	 [](const Host &host, const Vm &) {
		 return expected_if(is_intel(host) && host.cpu.apicv && host.accelerated == false);
	 }},

	{"DISABLED", Kind::kInhibit,
	 "The VM has a vCPU whose APIC ID is beyond the hardware's table: 254 without x2AVIC, 511 "
	 "with "
	 "it, 4095 with its extension.",
	 Place::kOther,
	 "-smp with fewer vCPUs, or with counts of cores and threads that are powers of 2",
	 "<vcpu> and <topology>: fewer vCPUs, or counts that are powers of 2", nullptr, nullptr,
	 only_reported},
	{"PHYSICAL_ID_TOO_BIG", Kind::kInhibit,
	 "The VM has a vCPU whose APIC ID is beyond the hardware's table (newer kernels' name for "
	 "it).",
	 Place::kOther,
	 "-smp with fewer vCPUs, or with counts of cores and threads that are powers of 2",
	 "<vcpu> and <topology>: fewer vCPUs, or counts that are powers of 2", nullptr, nullptr,
	 only_reported},
	{"HYPERV", Kind::kInhibit,
	 "A guest that uses Hyper-V's SynIC is told to use its AutoEOI, which hardware does not "
	 "do.",
	 Place::kCpu, "hv-avic=on",
	 "<avic state='on'/> in <hyperv>, if this libvirt knows it; else <qemu:commandline>",
	 nullptr, "it must start anew",
	 [](const Host &host, const Vm &vm) {
		 return maybe_if(accelerates(host) && vm.qemu && !vm.qemu->has("hv-avic") &&
				 !vm.qemu->has("hv-apicv") && vm.qemu->has("hv-synic") &&
				 // Sets hv-avic, too, where KVM has it.
				 !vm.qemu->has("hv-passthrough"));
	 }},
	{"ABSENT", Kind::kInhibit, "QEMU emulates the local APIC itself, not KVM.", Place::kMachine,
	 "kernel-irqchip=on", "<ioapic driver='kvm'/> in <features>", nullptr, nullptr,
	 [](const Host &, const Vm &vm) {
		 return expected_if(vm.qemu && vm.qemu->kvm && vm.qemu->irqchip == "off");
	 }},
	{"BLOCKIRQ", Kind::kInhibit, "A debugger steps the guest and holds its interrupts back.",
	 Place::kOther, "let the debugger at -s or -gdb continue, or leave the option out",
	 "leave -s or -gdb out of <qemu:commandline>", nullptr, nullptr, only_reported},
	{"PHYSICAL_ID_ALIASED", Kind::kInhibit, "Two vCPUs have one APIC ID.", Place::kNone,
	 nullptr, nullptr, nullptr, kGuestMust, only_reported},
	{"LOGICAL_ID_ALIASED", Kind::kInhibit,
	 "Two vCPUs have one logical APIC ID, one has several, or they use flat and cluster mode "
	 "at once.",
	 Place::kNone, nullptr, nullptr, nullptr, kGuestMust, only_reported},
	{"APIC_ID_MODIFIED", Kind::kInhibit, "The guest changed the ID of its xAPIC.", Place::kNone,
	 nullptr, nullptr, nullptr, kGuestMust, only_reported},
	{"APIC_BASE_MODIFIED", Kind::kInhibit,
	 "The guest moved its APIC away from FEE00000h; this stays until it starts anew.",
	 Place::kNone, nullptr, nullptr, nullptr, kGuestMust, only_reported},
	{"NESTED", Kind::kInhibit,
	 "The vCPU runs a guest of its own, and is not accelerated as long as that runs; others "
	 "are.",
	 Place::kCpu, "svm=off", "<feature policy='disable' name='svm'/> in <cpu>", nullptr,
	 "needs no change if it is to run guests", only_reported},
	{"IRQWIN", Kind::kInhibit,
	 "An interrupt of the old PIC waits until the guest can take it; it lasts for moments.",
	 Place::kNone, nullptr, nullptr, nullptr,
	 "none is needed; a guest that uses the IOAPIC and not the PIC has none of these",
	 only_reported},
	{"PIT_REINJ", Kind::kInhibit,
	 "The PIT makes up for ticks that the guest missed: under stock KVM that inhibits always, "
	 "under "
	 "vapic while the guest is behind.",
	 Place::kGlobal, "kvm-pit.lost_tick_policy=discard",
	 "<timer name='pit' tickpolicy='discard'/> in <clock>", "vapic, with which none is needed",
	 nullptr,
	 [](const Host &host, const Vm &vm) {
		 return expected_if(accelerates(host) && is_amd(host) && !host.vapic.loaded &&
				    vm.qemu && vm.qemu->irqchip == "on" && vm.qemu->pit &&
				    !vm.qemu->pit_discards);
	 }},
	{"SWITCHED", Kind::kInhibit, "Root has switched acceleration of this VM off.", Place::kNone,
	 nullptr, nullptr, "1 in the VM's file acceleration in /sys/kernel/vapic/vms", nullptr,
	 only_reported},
	{"SEV", Kind::kInhibit, "The guest is encrypted: KVM cannot use AVIC for it.", Place::kNone,
	 nullptr, nullptr, nullptr, nullptr,
	 [](const Host &host, const Vm &vm) {
		 return expected_if(accelerates(host) && is_amd(host) && vm.qemu &&
				    vm.qemu->encrypted);
	 }},

	{"erratum-1235", Kind::kExit,
	 "On processors of family 17h and 18h each IPI to another vCPU exits (erratum 1235).",
	 Place::kNone, nullptr, nullptr, "none that is safe: with enable_ipiv=1 IPIs can be lost",
	 nullptr, [](const Host &host, const Vm &) { return expected_if(has_erratum_1235(host)); }},
	{"x2apic-without-x2avic", Kind::kExit,
	 "The processor has no x2AVIC: each IPI of a guest in x2APIC mode exits; interrupts come "
	 "by "
	 "doorbell.",
	 Place::kCpu, "x2apic=off", "<feature policy='disable' name='x2apic'/> in <cpu>", nullptr,
	 "Linux: nox2apic on its command line",
	 [](const Host &host, const Vm &vm) {
		 return expected_if(vm.qemu && x2apic_without_x2avic(host, *vm.qemu));
	 }},
	{"no-ipi-virtualization", Kind::kExit,
	 "The processor does not virtualize IPIs: each IPI to another vCPU exits, its delivery "
	 "does not.",
	 Place::kNone, nullptr, nullptr, "a processor with ipi_virt (/proc/cpuinfo)", nullptr,
	 [](const Host &host, const Vm &) {
		 return expected_if(accelerates(host) && is_intel(host) && !host.cpu.ipi_virt);
	 }},
	{"ipi-virtualization-off", Kind::kExit,
	 "The processor virtualizes IPIs, but KVM was told not to: each IPI to another vCPU exits.",
	 Place::kNone, nullptr, nullptr, "enable_ipiv=1 of vapic or kvm_intel", nullptr,
	 [](const Host &host, const Vm &) {
		 return expected_if(accelerates(host) && is_intel(host) && host.cpu.ipi_virt &&
				    host.ipiv == false);
	 }},
	{"logical-ipi", Kind::kExit,
	 "IPI virtualization is for IPIs to one physical destination: those to logical "
	 "destinations, and "
	 "broadcasts, exit.",
	 Place::kNone, nullptr, nullptr, nullptr,
	 "Linux in x2APIC mode: x2apic_phys on its command line; with it, and only then, "
	 "kvm-pv-ipi=off and hv-ipi=off, too",
	 [](const Host &host, const Vm &vm) {
		 return maybe_if(is_intel(host) && vm.qemu && virtualizes_ipis(host, *vm.qemu));
	 }},
	{"kvm-pv-ipi", Kind::kExit,
	 "A Linux guest sends IPIs to more than one vCPU by a hypercall, where AMD's hardware "
	 "would send them.",
	 Place::kCpu, "kvm-pv-ipi=off", "<pv-ipi state='off'/> in <kvm> of <features>", nullptr,
	 nullptr,
	 [](const Host &host, const Vm &vm) {
		 return maybe_if(vm.qemu && virtualizes_logical_ipis(host, *vm.qemu) &&
				 shows_kvm(*vm.qemu) &&
				 vm.qemu->feature("kvm-pv-ipi").value_or(vm.qemu->has_all()));
	 }},
	{"hv-ipi", Kind::kExit,
	 "A guest that uses Hyper-V's interface sends IPIs by hypercalls, where AMD's hardware "
	 "would send them.",
	 Place::kCpu, "hv-ipi=off", "<ipi state='off'/> in <hyperv>", nullptr, nullptr,
	 [](const Host &host, const Vm &vm) {
		 return maybe_if(vm.qemu && virtualizes_logical_ipis(host, *vm.qemu) &&
				 vm.qemu->has("hv-ipi"));
	 }},
	{"hv-vapic", Kind::kExit,
	 "A guest that uses Hyper-V's interface reaches its APIC by MSRs of Hyper-V, each of which "
	 "exits: "
	 "EOI, and in xAPIC mode TPR and ICR.",
	 Place::kCpu, "hv-vapic=off", "<vapic state='off'/> in <hyperv>", nullptr, nullptr,
	 [](const Host &host, const Vm &vm) {
		 return maybe_if(accelerates(host) && vm.qemu && vm.qemu->has("hv-vapic"));
	 }},
	{"irqchip-split", Kind::kExit,
	 "QEMU has the IOAPIC: each end of a level-triggered interrupt exits to QEMU, not only to "
	 "KVM.",
	 Place::kMachine, "kernel-irqchip=on", "<ioapic driver='kvm'/> in <features>", nullptr,
	 "none; needs split if it has more than 255 vCPUs or an IOMMU that remaps interrupts",
	 [](const Host &host, const Vm &vm) {
		 return maybe_if(accelerates(host) && vm.qemu && vm.qemu->irqchip == "split");
	 }},
	{"device-not-posted", Kind::kExit,
	 "The IOMMU was told not to post interrupts: those of assigned devices go through the "
	 "host.",
	 Place::kNone, nullptr, nullptr,
	 "the kernel's command line without amd_iommu_intr=legacy, intremap=off and "
	 "intremap=nopost; "
	 "enable_device_posted_irqs=1 of kvm_intel",
	 nullptr,
	 [](const Host &host, const Vm &vm) {
		 return expected_if(accelerates(host) && vm.qemu && vm.qemu->vfio &&
				    (boots_with(host, "amd_iommu_intr=legacy") ||
				     boots_with(host, "intremap=off") ||
				     boots_with(host, "intremap=nopost") ||
				     host.posts_devices == false));
	 }},
	{"no-idle-hlt", Kind::kExit,
	 "A HLT exits even if an interrupt is pending: the processor has no idle-HLT intercept.",
	 Place::kNone, nullptr, nullptr, "none with this processor", nullptr,
	 [](const Host &host, const Vm &vm) {
		 return expected_if(accelerates(host) && is_amd(host) && !host.cpu.idle_hlt &&
				    !(vm.qemu && vm.qemu->cpu_pm));
	 }},
	{"idle-hlt-unused", Kind::kExit,
	 "A HLT exits even if an interrupt is pending: stock KVM of 6.1 and 6.12 does not know the "
	 "processor's idle-HLT intercept.",
	 Place::kNone, nullptr, nullptr, "vapic, or a newer kernel", nullptr,
	 [](const Host &host, const Vm &vm) {
		 const bool old = host.kernel.rfind("6.1.", 0) == 0 ||
				  host.kernel.rfind("6.12.", 0) == 0;

		 return expected_if(accelerates(host) && is_amd(host) && host.cpu.idle_hlt &&
				    !host.vapic.loaded && old && !(vm.qemu && vm.qemu->cpu_pm));
	 }},
	{"halt", Kind::kExit,
	 "An idle vCPU exits by HLT, and the host wakes it for its next interrupt.", Place::kOther,
	 "-overcommit cpu-pm=on, if each vCPU has a CPU of its own",
	 "<qemu:commandline> with -overcommit cpu-pm=on, if each vCPU has a CPU of its own",
	 "halt_poll_ns of kvm: how long the host polls before it lets the vCPU sleep",
	 "Linux: cpuidle_haltpoll polls before HLT",
	 [](const Host &host, const Vm &vm) {
		 return expected_if(accelerates(host) && vm.qemu && !vm.qemu->cpu_pm);
	 }},
	{"timer", Kind::kExit,
	 "Arming the local APIC's timer exits, and its expiry interrupts a vCPU that runs.",
	 Place::kNone, nullptr, nullptr,
	 "pi_inject_timer=1 of kvm, with -overcommit cpu-pm=on: the expiry no longer exits",
	 nullptr,
	 [](const Host &host, const Vm &vm) {
		 return expected_if(accelerates(host) && vm.qemu &&
				    !(vm.qemu->cpu_pm && host.inject_timer));
	 }},
};

bool contains(const Names &names, const std::string &name)
{
	return std::find(names.begin(), names.end(), name) != names.end();
}

// Of what KVM says of the VM, and of vCPUs that have more than the VM.
void add_reported(std::vector<Finding> &found, const Vm &vm)
{
	const Names of_vm = vm.inhibits.value_or(Names{});

	for (const std::string &name : of_vm)
		found.push_back({name, reason_named(name), State::kReported, {}});
	for (const Vcpu &vcpu : vm.vcpus) {
		for (const std::string &name : vcpu.inhibits) {
			if (contains(of_vm, name))
				continue;
			const auto same =
				std::find_if(found.begin(), found.end(),
					     [&](const Finding &f) { return f.name == name; });
			if (same == found.end())
				found.push_back(
					{name, reason_named(name), State::kReported, {vcpu.id}});
			else
				same->vcpus.push_back(vcpu.id);
		}
	}
}

} // namespace

std::span<const Reason> reasons()
{
	return kReasons;
}

const Reason *reason_named(const std::string &name)
{
	for (const Reason &reason : kReasons)
		if (name == reason.name)
			return &reason;
	return nullptr;
}

std::vector<Finding> explain(const Host &host)
{
	std::vector<Finding> found;

	for (const Reason &reason : kReasons)
		if (reason.kind == Kind::kHost && reason.state(host, {}) != State::kNo)
			found.push_back({reason.name, &reason, State::kExpected, {}});
	return found;
}

std::vector<Finding> explain(const Host &host, const Vm &vm)
{
	std::vector<Finding> found;

	add_reported(found, vm);
	for (const Reason &reason : kReasons) {
		const State state = reason.kind == Kind::kHost ? State::kNo :
								 reason.state(host, vm);
		const bool said = std::any_of(found.begin(), found.end(), [&](const Finding &f) {
			return f.name == reason.name;
		});

		// What KVM says of inhibits beats what is expected now, but not what may come.
		if (state == State::kNo || said ||
		    (reason.kind == Kind::kInhibit && state == State::kExpected && vm.inhibits))
			continue;
		found.push_back({reason.name, &reason, state, {}});
	}
	return found;
}

Names expected_inhibits(const Host &host, const Vm &vm)
{
	Names names;

	for (const Reason &reason : kReasons)
		if (reason.kind == Kind::kInhibit && reason.state(host, vm) == State::kExpected)
			names.push_back(reason.name);
	return names;
}

std::string qemu_change(const Reason &reason, const Qemu *qemu)
{
	const std::string option = reason.option ? reason.option : "";

	switch (reason.place) {
	case Place::kNone:
		return "";
	case Place::kCpu:
		// Without -cpu, QEMU has a model that depends on its version.
		return "-cpu " + (qemu && !qemu->cpu.empty() ? with_option(qemu->cpu, option) :
							       "MODEL," + option);
	case Place::kMachine:
		// All entries of this place are of the irqchip, which -accel may set, too.
		if (qemu && !qemu->accel.empty())
			return "-accel " + with_option(qemu->accel, option);
		return "-machine " + (qemu && !qemu->machine.empty() ?
					      with_option(qemu->machine, option) :
					      option);
	case Place::kGlobal:
		return "-global " + option;
	case Place::kOther:
		return option;
	}
	return "";
}

} // namespace vapicstat
