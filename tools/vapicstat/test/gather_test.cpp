// SPDX-License-Identifier: GPL-2.0-only
#include "gather.hpp"

#include "metrics.hpp"
#include "recorded.hpp"

#include <gmock/gmock.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

using namespace vapicstat;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

namespace {

const char *const kAmdVcpus =
	"pid=4711 vm active=1 inhibits=-\n"
	"pid=4711 vcpu=0 active=1 inhibits=- ipi_type=1 ipi_not_running=20 ipi_target=0 "
	"ipi_vector=0 "
	"woken=4 kicked=0 access_trap=5 access_fault=6 posted=0 remapped=0 logged=0\n"
	"pid=4711 vcpu=1 active=0 inhibits=NESTED,IRQWIN ipi_type=2 ipi_not_running=30 "
	"ipi_target=0 "
	"ipi_vector=0 woken=0 kicked=0 access_trap=0 access_fault=0 posted=0 remapped=0 logged=0 "
	"never=id-beyond-table brand_new=9\n";

std::uint64_t of(const char *name, const Vm &vm)
{
	for (const Metric &metric : metrics())
		if (metric.name == std::string(name))
			return value(metric, vm).value();
	ADD_FAILURE() << name;
	return 0;
}

} // namespace

// As those of debugfs are
TEST(System, ReadsFilesThatCannotBeSought)
{
	const Recorded machine;
	const std::string pipe = machine.root() + "/pipe";

	ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
	std::thread writer([&pipe] { std::ofstream(pipe) << "123\n"; });
	EXPECT_EQ(System(machine.root()).line("/pipe"), "123");
	writer.join();
}

TEST(System, ReadsNoMoreThanItsLimit)
{
	Recorded machine;

	machine.file("/long", std::string(100000, 'a'));
	EXPECT_EQ(System(machine.root()).read("/long", 20000).value().size(), 20000u);
	EXPECT_EQ(System(machine.root()).read("/long").value().size(), 100000u);
}

// Of this process itself, with a plain file in place of statistics, which take /dev/kvm
TEST(System, ReadsABorrowedDescriptorOnlyIfItIsWhatWasSeen)
{
	Recorded machine;
	const System here;

	machine.file("/a", "counts");
	const int fd = open((machine.root() + "/a").c_str(), O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(here.stats(getpid(), fd, machine.root() + "/a"), "counts");
	EXPECT_EQ(here.stats(getpid(), fd, "anon_inode:kvm-vcpu-stats:0"), std::nullopt);
	close(fd);
	EXPECT_EQ(here.stats(getpid(), fd, machine.root() + "/a"), std::nullopt);
}

TEST(Host, AmdWithVapic)
{
	const Host host = Recorded().amd("avic x2avic", "Y").vapic("").look().host;

	EXPECT_EQ(host.kernel, "6.12.117+deb13-amd64");
	EXPECT_EQ(host.cpu.vendor, Vendor::kAmd);
	EXPECT_EQ(host.cpu.family, 25u);
	EXPECT_TRUE(host.cpu.avic && host.cpu.x2avic);
	EXPECT_FALSE(host.cpu.apicv || host.cpu.idle_hlt);
	EXPECT_TRUE(host.vapic.loaded && host.vapic.took_over);
	EXPECT_EQ(host.vapic.version, "0.1.0");
	EXPECT_EQ(host.accelerated, true);
	EXPECT_EQ(host.ipiv, true);
}

TEST(Host, IdleHltIsAskedOfTheProcessor)
{
	EXPECT_TRUE(Recorded()
			    .amd("avic", "N")
			    .file("/cpuid/2147483658", "40000000\n")
			    .look()
			    .host.cpu.idle_hlt);
}

TEST(Host, IntelOnStock)
{
	const Host host = Recorded().intel("posted_intr vid ipi_virt", "Y", "N").look().host;

	EXPECT_TRUE(host.cpu.apicv && host.cpu.ipi_virt);
	EXPECT_FALSE(host.vapic.loaded);
	EXPECT_EQ(host.accelerated, true);
	EXPECT_EQ(host.ipiv, false);
	EXPECT_EQ(host.posts_devices, std::nullopt);
}

TEST(Host, ThatHasNothingIsNoFault)
{
	const Snapshot snapshot = Recorded().look();

	EXPECT_EQ(snapshot.host.cpu.vendor, Vendor::kNone);
	EXPECT_EQ(snapshot.host.accelerated, std::nullopt);
	EXPECT_THAT(snapshot.vms, IsEmpty());
	EXPECT_THAT(snapshot.notes, IsEmpty());
}

TEST(Vms, AreThoseThatVapicShows)
{
	const auto vms = Recorded()
				 .amd("avic x2avic", "Y")
				 .vapic(kAmdVcpus)
				 .process(4711, "qemu-system-x86_64 -name guest=win10 -enable-kvm")
				 .look()
				 .vms;

	ASSERT_EQ(vms.size(), 1u);
	EXPECT_EQ(vms[0].pid, 4711);
	EXPECT_EQ(vms[0].name, "win10");
	EXPECT_EQ(vms[0].active, true);
	EXPECT_THAT(vms[0].inhibits.value(), IsEmpty());
	ASSERT_EQ(vms[0].vcpus.size(), 2u);
	EXPECT_EQ(vms[0].vcpus[0].active, true);
	EXPECT_EQ(vms[0].vcpus[1].active, false);
	EXPECT_THAT(vms[0].vcpus[1].inhibits, ElementsAre("NESTED", "IRQWIN"));
	EXPECT_EQ(vms[0].vcpus[1].never, "id-beyond-table");
	// A field of a newer vapic
	EXPECT_THAT(vms[0].vcpus[1].vapic.back(), Pair("brand_new", 9u));
	EXPECT_EQ(of("ipi_exits", vms[0]), 53u);
	EXPECT_EQ(of("access_exits", vms[0]), 11u);
	EXPECT_EQ(of("woken", vms[0]), 4u);
}

TEST(Vms, OfOneProcessAreToldApart)
{
	const auto vms =
		Recorded()
			.amd("avic", "Y")
			.vapic("pid=5 vm active=1 inhibits=-\npid=5 vcpu=0 active=1 inhibits=-\n"
			       "pid=5 vm active=0 inhibits=HYPERV\n"
			       "pid=5 vcpu=0 active=0 inhibits=HYPERV\n")
			.process(5, "vmm")
			.file("/sys/kernel/debug/kvm/5-9/exits", "7\n")
			.file("/sys/kernel/debug/kvm/5-8/exits", "8\n")
			.look()
			.vms;

	ASSERT_EQ(vms.size(), 2u);
	EXPECT_EQ(vms[0].name, "vmm");
	EXPECT_EQ(vms[0].index, 0u);
	EXPECT_EQ(vms[1].index, 1u);
	EXPECT_THAT(vms[1].inhibits.value(), ElementsAre("HYPERV"));
	// Nobody knows whose statistics are whose.
	EXPECT_THAT(vms[0].kvm, IsEmpty());
}

TEST(Vms, WhoseProcessIsNotToBeSeenAreShownAllTheSame)
{
	const auto vms =
		Recorded()
			.amd("avic", "Y")
			.vapic("pid=0 vm active=1 inhibits=-\npid=0 vcpu=0 active=1 inhibits=-\n")
			.look()
			.vms;

	ASSERT_EQ(vms.size(), 1u);
	EXPECT_EQ(vms[0].name, "");
}

TEST(Vms, OnStockAreFoundByTheirCommandLine)
{
	const auto snapshot = Recorded()
				      .amd("avic x2avic", "Y")
				      .process(70, "/usr/bin/qemu-system-x86_64 -name a -accel kvm")
				      .process(80, "/usr/bin/qemu-system-x86_64 -name b -accel tcg")
				      .process(90, "/usr/bin/sshd -name c -enable-kvm")
				      .look();

	ASSERT_EQ(snapshot.vms.size(), 1u);
	EXPECT_EQ(snapshot.vms[0].name, "a");
	EXPECT_EQ(snapshot.vms[0].active, std::nullopt);
	EXPECT_EQ(snapshot.vms[0].inhibits, std::nullopt);
}

TEST(Vms, AreReadUpToALengthOfTheirCommandLine)
{
	const auto vms =
		Recorded()
			.amd("avic", "Y")
			.process(70, "kvm -name a -x " + std::string(kForeign, 'x') + " -name b")
			.look()
			.vms;

	ASSERT_EQ(vms.size(), 1u);
	EXPECT_EQ(vms[0].name, "a");
}

TEST(Vms, WhereNothingIsAcceleratedAreNot)
{
	const auto vms =
		Recorded().amd("avic", "N").process(70, "qemu-system-x86_64 -accel kvm").look().vms;

	ASSERT_EQ(vms.size(), 1u);
	EXPECT_EQ(vms[0].active, false);
}

TEST(Vms, HaveTheirStatisticsOfDebugfs)
{
	const auto vms = Recorded()
				 .intel("posted_intr vid", "Y", "N")
				 .file("/sys/kernel/debug/kvm/4711-13/exits", "123\n")
				 .file("/sys/kernel/debug/kvm/4711-13/halt_exits", "45\n")
				 .file("/sys/kernel/debug/kvm/4711-13/halt_wait_hist", "1 2 3\n")
				 .file("/sys/kernel/debug/kvm/exits", "999\n")
				 .process(4711, "firecracker")
				 .look()
				 .vms;

	ASSERT_EQ(vms.size(), 1u);
	EXPECT_EQ(vms[0].name, "firecracker");
	EXPECT_EQ(of("exits", vms[0]), 123u);
	EXPECT_EQ(of("halts", vms[0]), 45u);
}

TEST(Vms, HaveTheStatisticsThatQemuHasOpen)
{
	const auto vms = Recorded()
				 .intel("posted_intr vid", "Y", "N")
				 .process(4711, "kvm -name guest=a")
				 .stats(4711, 20, 1, {{"exits", 30}})
				 .stats(4711, 9, 0, {{"exits", 12}})
				 .link("/proc/4711/fd/3", "socket:[1]")
				 .look()
				 .vms;

	ASSERT_EQ(vms.size(), 1u);
	ASSERT_EQ(vms[0].vcpus.size(), 2u);
	EXPECT_EQ(vms[0].vcpus[0].id, 0u);
	EXPECT_THAT(vms[0].vcpus[0].kvm, ElementsAre(Pair("exits", 12u)));
	EXPECT_EQ(of("exits", vms[0]), 42u);
}

TEST(Notes, SayWhatIsConcluded)
{
	EXPECT_THAT(Recorded()
			    .amd("avic", "Y")
			    .file("/sys/kernel/debug/kvm/exits", "0\n")
			    .process(70, "kvm")
			    .look()
			    .notes,
		    ElementsAre(testing::HasSubstr("concluded from its command line")));
}
