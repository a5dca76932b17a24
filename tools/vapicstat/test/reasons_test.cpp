// SPDX-License-Identifier: GPL-2.0-only
//
// Each entry of the table: where it holds, where it does not, and what it says changes it. What
// it says is then done to the command line, and the entry no longer holds.
#include "reasons.hpp"

#include "qemu.hpp"
#include "recorded.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

using namespace vapicstat;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

Host amd(bool vapic, bool x2avic = true)
{
	Host host;

	host.kernel = "6.12.117+deb13-amd64";
	host.cpu = {.vendor = Vendor::kAmd, .family = 25, .avic = true, .x2avic = x2avic};
	host.vapic.loaded = vapic;
	host.accelerated = true;
	if (vapic)
		host.ipiv = true;
	return host;
}

Host intel(bool ipiv)
{
	Host host;

	host.kernel = "6.12.117+deb13-amd64";
	host.cpu = {.vendor = Vendor::kIntel, .family = 6, .apicv = true, .ipi_virt = true};
	host.accelerated = true;
	host.ipiv = ipiv;
	return host;
}

Vm vm_of(const std::string &options)
{
	std::string command = "kvm " + options + ' ';
	Vm vm;

	std::replace(command.begin(), command.end(), ' ', '\0');
	vm.qemu = parse_qemu(words_of(command));
	return vm;
}

Vm reported(const std::string &inhibit)
{
	Vm vm = vm_of("");

	vm.active = false;
	vm.inhibits = {inhibit};
	return vm;
}

State state_of(const std::string &name, const Host &host, const Vm &vm)
{
	for (const auto &findings : {explain(host), explain(host, vm)})
		for (const Finding &finding : findings)
			if (finding.name == name)
				return finding.state;
	return State::kNo;
}

std::string change_of(const std::string &name, const Vm &vm)
{
	return qemu_change(*reason_named(name), vm.qemu ? &*vm.qemu : nullptr);
}

// What these tests have looked at, for the last one.
std::set<std::string> looked_at;

// It holds with the options, and no longer with what it says to change.
void ends_by_its_own_change(const std::string &name, const Host &host, const std::string &options,
			    State state)
{
	const Vm vm = vm_of(options);
	const std::string change = change_of(name, vm);

	looked_at.insert(name);
	EXPECT_EQ(state_of(name, host, vm), state) << options;
	// QEMU takes the last -cpu, and joins -machine and -global.
	EXPECT_EQ(state_of(name, host, vm_of(options + " " + change)), State::kNo) << change;
}

void differs(const std::string &name, const Host &with, const Host &without, const Vm &vm)
{
	looked_at.insert(name);
	EXPECT_EQ(state_of(name, with, vm), State::kExpected);
	EXPECT_EQ(state_of(name, without, vm), State::kNo);
}

// Kernels' names: APICV_INHIBIT_REASON_NAME of 6.1, 6.12 and 7.3; then vapic's own.
const char *const kInhibits[] = {"DISABLED",
				 "HYPERV",
				 "ABSENT",
				 "BLOCKIRQ",
				 "PHYSICAL_ID_ALIASED",
				 "APIC_ID_MODIFIED",
				 "APIC_BASE_MODIFIED",
				 "NESTED",
				 "IRQWIN",
				 "PIT_REINJ",
				 "SEV",
				 "LOGICAL_ID_ALIASED",
				 "PHYSICAL_ID_TOO_BIG",
				 "SWITCHED"};

} // namespace

// ---- inhibits ----

TEST(Inhibit, OfEachKernelIsInTheTableAndFoundIfReported)
{
	for (const char *name : kInhibits) {
		ASSERT_TRUE(reason_named(name)) << name;
		EXPECT_EQ(reason_named(name)->kind, Kind::kInhibit);
		EXPECT_EQ(state_of(name, amd(true), reported(name)), State::kReported) << name;
		EXPECT_EQ(state_of(name, amd(true), vm_of("")), State::kNo) << name;
		looked_at.insert(name);
	}
}

TEST(Inhibit, ThatNobodyKnowsIsNamedAllTheSame)
{
	const auto found = explain(amd(true), reported("FROM_THE_FUTURE"));

	ASSERT_FALSE(found.empty());
	EXPECT_EQ(found[0].name, "FROM_THE_FUTURE");
	EXPECT_EQ(found[0].reason, nullptr);
}

TEST(Inhibit, OfSomeVcpusNamesThem)
{
	Vm vm = vm_of("");

	vm.active = true;
	vm.inhibits = Names{};
	vm.vcpus.resize(3);
	vm.vcpus[0].id = 0;
	vm.vcpus[1].id = 1;
	vm.vcpus[1].inhibits = {"NESTED"};
	vm.vcpus[2].id = 2;
	vm.vcpus[2].inhibits = {"NESTED"};
	const auto found = explain(amd(true), vm);

	ASSERT_FALSE(found.empty());
	EXPECT_EQ(found[0].name, "NESTED");
	EXPECT_THAT(found[0].vcpus, ElementsAre(1u, 2u));
}

TEST(Inhibit, HypervEndsWithHvAvic)
{
	ends_by_its_own_change("HYPERV", amd(true), "-cpu host,hv-synic=on,hv-vapic=on",
			       State::kMaybe);
	EXPECT_EQ(state_of("HYPERV", intel(true), vm_of("-cpu host,hv_synic")), State::kMaybe);
	EXPECT_EQ(state_of("HYPERV", amd(true), vm_of("-cpu host,hv-synic,hv-apicv")), State::kNo);
	for (const char *cpu : {"-cpu host,hv-passthrough", "-cpu host,hv-synic,hv_passthrough=on"})
		EXPECT_EQ(state_of("HYPERV", amd(true), vm_of(cpu)), State::kNo) << cpu;
	EXPECT_EQ(change_of("HYPERV", vm_of("-cpu host,hv_synic")),
		  "-cpu host,hv_synic,hv-avic=on");
}

TEST(Inhibit, HypervMayStillComeThoughKvmSaysThatNothingInhibits)
{
	Vm vm = vm_of("-cpu host,hv-synic");

	vm.inhibits = Names{};
	EXPECT_EQ(state_of("HYPERV", amd(true), vm), State::kMaybe);
}

TEST(Inhibit, AbsentEndsWithTheIrqchip)
{
	ends_by_its_own_change("ABSENT", amd(true), "-machine q35,kernel-irqchip=off",
			       State::kExpected);
	EXPECT_EQ(change_of("ABSENT", vm_of("-machine q35,kernel-irqchip=off")),
		  "-machine q35,kernel-irqchip=on");
}

TEST(Inhibit, TheIrqchipIsChangedWhereItWasSet)
{
	ends_by_its_own_change("ABSENT", amd(true), "-machine q35 -accel kvm,kernel-irqchip=off",
			       State::kExpected);
	ends_by_its_own_change("irqchip-split", amd(true), "-accel kvm,kernel_irqchip=split,x=y",
			       State::kMaybe);
	EXPECT_EQ(change_of("irqchip-split", vm_of("-M q35 -accel kvm,kernel_irqchip=split,x=y")),
		  "-accel kvm,x=y,kernel-irqchip=on");
	EXPECT_EQ(change_of("ABSENT", vm_of("-machine q35,kernel-irqchip=off -accel kvm")),
		  "-machine q35,kernel-irqchip=on");
}

TEST(Inhibit, PitReinjIsOfStockAvicAlone)
{
	ends_by_its_own_change("PIT_REINJ", amd(false), "-machine q35", State::kExpected);
	EXPECT_EQ(state_of("PIT_REINJ", amd(true), vm_of("")), State::kNo);
	EXPECT_EQ(state_of("PIT_REINJ", intel(true), vm_of("")), State::kNo);
	EXPECT_EQ(state_of("PIT_REINJ", amd(false), vm_of("-machine pc,pit=off")), State::kNo);
	EXPECT_EQ(state_of("PIT_REINJ", amd(false), vm_of("-machine q35,kernel-irqchip=split")),
		  State::kNo);
	EXPECT_THAT(expected_inhibits(amd(false), vm_of("")), ElementsAre("PIT_REINJ"));
	EXPECT_THAT(expected_inhibits(amd(true), vm_of("")), IsEmpty());
}

TEST(Inhibit, WhatKvmSaysBeatsWhatIsExpected)
{
	Vm vm = vm_of("");

	vm.inhibits = Names{};
	EXPECT_EQ(state_of("PIT_REINJ", amd(false), vm), State::kNo);
}

TEST(Inhibit, SevIsOfEncryptedGuests)
{
	EXPECT_EQ(state_of("SEV", amd(false), vm_of("-object sev-snp-guest,id=s")),
		  State::kExpected);
	EXPECT_EQ(state_of("SEV", amd(false), vm_of("-object tdx-guest,id=s")), State::kNo);
}

// ---- the host ----

TEST(HostReason, NoHardware)
{
	Host bare = amd(false);

	bare.cpu.avic = false;
	bare.accelerated = false;
	differs("no-hardware", bare, amd(false), {});
	// force_avic
	bare.accelerated = true;
	EXPECT_EQ(state_of("no-hardware", bare, {}), State::kNo);
	EXPECT_EQ(state_of("avic-off", amd(false), {}), State::kNo);
}

TEST(HostReason, AvicOffAndApicvOff)
{
	Host off = amd(false);

	off.accelerated = false;
	differs("avic-off", off, amd(false), {});
	EXPECT_EQ(state_of("no-hardware", off, {}), State::kNo);
	off = intel(false);
	off.accelerated = false;
	differs("apicv-off", off, intel(false), {});
	EXPECT_EQ(state_of("avic-off", off, {}), State::kNo);
}

TEST(HostReason, OfAVendorIsNotTheOthers)
{
	for (const Finding &finding : explain(intel(true)))
		ADD_FAILURE() << finding.name;
	for (const Finding &finding : explain(amd(true)))
		ADD_FAILURE() << finding.name;
}

// ---- exits ----

TEST(Exit, KvmPvIpiIsOnWhereTheModelHasAllThatKvmHas)
{
	ends_by_its_own_change("kvm-pv-ipi", amd(true), "-cpu host,migratable=on", State::kMaybe);
	ends_by_its_own_change("kvm-pv-ipi", amd(true), "-cpu EPYC,+kvm-pv-ipi", State::kMaybe);
	EXPECT_EQ(state_of("kvm-pv-ipi", amd(true), vm_of("-cpu EPYC")), State::kNo);
	EXPECT_EQ(state_of("kvm-pv-ipi", amd(true), vm_of("-cpu host,kvm=off")), State::kNo);
}

TEST(Exit, HypercallsThatSendIpisAreBetterWhereEachIpiExits)
{
	Host old = amd(true);

	old.cpu.family = 0x17;
	old.ipiv = false;
	// Intel's IPI virtualization leaves the logical ones, which Linux has by default.
	for (const Host &host : {intel(false), intel(true), amd(true, false), old}) {
		EXPECT_EQ(state_of("kvm-pv-ipi", host, vm_of("-cpu host")), State::kNo);
		EXPECT_EQ(state_of("hv-ipi", host, vm_of("-cpu host,hv-ipi")), State::kNo);
	}
	EXPECT_EQ(state_of("kvm-pv-ipi", amd(true, false), vm_of("-cpu host,x2apic=off")),
		  State::kMaybe);
}

TEST(Exit, HvIpiAndHvVapicEndIfLeftOut)
{
	ends_by_its_own_change("hv-ipi", amd(true), "-cpu host,hv-ipi=on", State::kMaybe);
	ends_by_its_own_change("hv-vapic", intel(false), "-cpu host,hv_vapic", State::kMaybe);
}

TEST(Exit, X2apicWithoutX2avicEndsInXapicMode)
{
	ends_by_its_own_change("x2apic-without-x2avic", amd(true, false), "-cpu host,+x2apic",
			       State::kExpected);
	EXPECT_EQ(change_of("x2apic-without-x2avic", vm_of("-cpu host,+x2apic,svm=off")),
		  "-cpu host,svm=off,x2apic=off");
	EXPECT_EQ(state_of("x2apic-without-x2avic", amd(true), vm_of("-cpu host")), State::kNo);
}

TEST(Exit, IpisWithoutVirtualizationOnIntel)
{
	Host lacks = intel(false);

	lacks.cpu.ipi_virt = false;
	differs("no-ipi-virtualization", lacks, intel(false), vm_of(""));
	differs("ipi-virtualization-off", intel(false), intel(true), vm_of(""));
	EXPECT_EQ(state_of("ipi-virtualization-off", lacks, vm_of("")), State::kNo);
}

TEST(Exit, LogicalIpisAreThoseThatIpiVirtualizationLeaves)
{
	looked_at.insert("logical-ipi");
	EXPECT_EQ(state_of("logical-ipi", intel(true), vm_of("")), State::kMaybe);
	EXPECT_EQ(state_of("logical-ipi", intel(false), vm_of("")), State::kNo);
	EXPECT_EQ(state_of("logical-ipi", amd(true), vm_of("")), State::kNo);
	EXPECT_THAT(reason_named("logical-ipi")->guest, HasSubstr("x2apic_phys"));
	EXPECT_THAT(reason_named("logical-ipi")->guest, HasSubstr("only then, kvm-pv-ipi=off"));
}

TEST(Exit, Erratum1235IsOfTwoFamiliesWhereKvmKnowsIt)
{
	Host old = amd(true);

	old.cpu.family = 0x17;
	old.ipiv = false;
	differs("erratum-1235", old, amd(true), vm_of(""));
	old.ipiv = true;
	EXPECT_EQ(state_of("erratum-1235", old, vm_of("")), State::kNo);
	// Stock of 6.12 has no such parameter, and shows hardware who runs.
	old.vapic.loaded = false;
	old.ipiv.reset();
	EXPECT_EQ(state_of("erratum-1235", old, vm_of("")), State::kNo);
}

TEST(Exit, ASplitIrqchipIsWhole)
{
	ends_by_its_own_change("irqchip-split", intel(true), "-machine q35,kernel-irqchip=split",
			       State::kMaybe);
}

TEST(Exit, DevicesAreNotPostedIfTheHostWasToldSo)
{
	const Vm vm = vm_of("-device vfio-pci,host=01:00.0");
	Host told = amd(true);

	told.command_line = "quiet amd_iommu_intr=legacy";
	differs("device-not-posted", told, amd(true), vm);
	EXPECT_EQ(state_of("device-not-posted", told, vm_of("-device virtio-net-pci")), State::kNo);
	told = intel(true);
	told.posts_devices = false;
	EXPECT_EQ(state_of("device-not-posted", told, vm), State::kExpected);
	told = intel(true);
	told.command_line = "intremap=nopost";
	EXPECT_EQ(state_of("device-not-posted", told, vm), State::kExpected);
	told.command_line = "xintremap=nopostx";
	EXPECT_EQ(state_of("device-not-posted", told, vm), State::kNo);
}

TEST(Exit, HltWithAnInterruptPending)
{
	Host idle = amd(false);

	idle.cpu.idle_hlt = true;
	differs("no-idle-hlt", amd(true), idle, vm_of(""));
	EXPECT_EQ(state_of("no-idle-hlt", intel(true), vm_of("")), State::kNo);
	Host with_vapic = idle;
	with_vapic.vapic.loaded = true;
	differs("idle-hlt-unused", idle, with_vapic, vm_of(""));
	Host newer = idle;
	newer.kernel = "7.3.4+deb13-amd64";
	EXPECT_EQ(state_of("idle-hlt-unused", newer, vm_of("")), State::kNo);
}

TEST(Exit, HaltAndTimer)
{
	Host host = intel(true);

	ends_by_its_own_change("halt", host, "-m 1G", State::kExpected);
	looked_at.insert("timer");
	EXPECT_EQ(state_of("timer", host, vm_of("-overcommit cpu-pm=on")), State::kExpected);
	host.inject_timer = true;
	EXPECT_EQ(state_of("timer", host, vm_of("-overcommit cpu-pm=on")), State::kNo);
}

TEST(Exit, NothingIsSaidOfExitsWhereNothingIsAccelerated)
{
	Host off = amd(false);

	off.accelerated = false;
	EXPECT_THAT(explain(off, vm_of("-cpu host,hv-synic,hv-ipi,hv-vapic -device vfio-pci")),
		    IsEmpty());
}

// ---- the table as a whole ----

TEST(Table, HasNoNameTwiceAndOneSentenceEach)
{
	std::set<std::string> names;

	for (const Reason &reason : reasons()) {
		const std::string what = reason.what;

		EXPECT_TRUE(names.insert(reason.name).second) << reason.name;
		EXPECT_EQ(what.back(), '.') << reason.name;
		EXPECT_THAT(what.substr(0, what.size() - 1), Not(HasSubstr(". "))) << reason.name;
		EXPECT_EQ(reason.place == Place::kNone, reason.option == nullptr) << reason.name;
		// Who has libvirt is told of its elements wherever an option of QEMU's is named.
		EXPECT_EQ(reason.option != nullptr, reason.libvirt != nullptr) << reason.name;
	}
}

// Runs last, as GoogleTest runs them in order; alone it has nothing to go by.
TEST(Table, HasATestOfEachEntry)
{
	if (looked_at.size() < 2)
		GTEST_SKIP() << "the other tests did not run";
	for (const Reason &reason : reasons())
		EXPECT_THAT(looked_at, Contains(reason.name));
}
