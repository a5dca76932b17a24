// SPDX-License-Identifier: GPL-2.0-only
#include "print.hpp"

#include "recorded.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

using namespace vapicstat;
using testing::HasSubstr;
using testing::Not;

namespace {

const char *const kInhibited =
	"pid=4711 vm active=0 inhibits=HYPERV,PIT_REINJ\n"
	"pid=4711 vcpu=0 active=0 inhibits=HYPERV,PIT_REINJ ipi_not_running=7\n";

Snapshot inhibited(const std::string &command = "kvm -name win10 -cpu host,hv-synic=on")
{
	return Recorded().amd("avic x2avic", "Y").vapic(kInhibited).process(4711, command).look();
}

Snapshot counted(std::uint64_t exits, double seconds)
{
	Snapshot snapshot = Recorded()
				    .intel("posted_intr vid", "Y", "N")
				    .process(4711, "kvm -name a")
				    .stats(4711, 9, 0, {{"exits", exits}})
				    .look();

	snapshot.seconds = seconds;
	return snapshot;
}

} // namespace

TEST(Text, SaysHostAndModeInItsFirstLine)
{
	EXPECT_EQ(describe(inhibited().host),
		  "AMD family 19h, Linux 6.12.117+deb13-amd64, vapic 0.1.0, x2AVIC");
	EXPECT_EQ(describe(Recorded().intel("posted_intr vid", "N", "N").look().host),
		  "Intel family 6h, Linux 6.12.117+deb13-amd64, stock KVM, off");
	EXPECT_THAT(describe(Recorded().look().host), HasSubstr("KVM is not loaded"));
	EXPECT_EQ(mode(Recorded().amd("avic", "1").look().host), "AVIC");
	EXPECT_EQ(mode(Recorded().intel("posted_intr vid ipi_virt", "Y", "Y").look().host),
		  "APICv+IPIv");
	EXPECT_EQ(mode(Recorded().intel("posted_intr vid", "Y", "N").look().host), "APICv");
}

TEST(Text, HasARowForEachVmAndIfAskedVcpu)
{
	const Names rows = table(inhibited(), nullptr, false);

	ASSERT_EQ(rows.size(), 2u);
	EXPECT_THAT(rows[1], HasSubstr("win10"));
	EXPECT_THAT(rows[1], HasSubstr(" no "));
	EXPECT_THAT(rows[1], HasSubstr("HYPERV,PIT_REINJ"));
	EXPECT_EQ(table(inhibited(), nullptr, true).size(), 3u);
}

TEST(Text, ShowsRatesIfThereWasAnEarlierLook)
{
	const Snapshot before = counted(1000, 10), now = counted(1500, 12);

	EXPECT_THAT(table(now, &before, false)[0], HasSubstr("EXITS/s"));
	EXPECT_THAT(table(now, &before, false)[1], testing::EndsWith(" 250"));
	EXPECT_THAT(table(now, nullptr, false)[1], testing::EndsWith(" 1500"));
	// A VM that began anew under the same number
	EXPECT_THAT(table(before, &now, false)[1], Not(HasSubstr("250")));
}

TEST(Text, TellsWhatIsConcludedFromWhatIsKnown)
{
	const Snapshot stock =
		Recorded().amd("avic x2avic", "Y").process(4711, "kvm -name a").look();

	EXPECT_EQ(inhibits(stock.host, stock.vms.at(0)), "PIT_REINJ?");
	EXPECT_EQ(active(stock.vms.at(0)), "?");
}

TEST(Text, ANameCannotMoveTheCursor)
{
	const Snapshot snapshot =
		Recorded().amd("avic", "Y").process(4711, "kvm -name \033[2J\n").look();

	for (const std::string &row : table(snapshot, nullptr, true))
		EXPECT_THAT(row, Not(testing::AnyOf(HasSubstr("\033"), HasSubstr("\n"))));
	EXPECT_THAT(explanation(snapshot.host, snapshot.vms.at(0)), Not(HasSubstr("\033")));
}

TEST(Text, NoVmIsALine)
{
	EXPECT_THAT(text(Recorded().amd("avic", "Y").look(), nullptr, false), HasSubstr("no VM\n"));
}

TEST(Explanation, NamesTheChangeForThisCommandLine)
{
	const Snapshot snapshot = inhibited();
	const std::string text = explanation(snapshot.host, snapshot.vms.at(0));

	EXPECT_THAT(text, HasSubstr("win10 (pid 4711): not accelerated\n"));
	EXPECT_THAT(text, HasSubstr("  HYPERV (now)\n"));
	EXPECT_THAT(text, HasSubstr("qemu:    -cpu host,hv-synic=on,hv-avic=on\n"));
	EXPECT_THAT(text, Not(HasSubstr("    libvirt:")));
}

TEST(Explanation, NamesElementsToWhoHasLibvirt)
{
	const Snapshot snapshot = inhibited("kvm -name win10 -cpu host,hv-synic=on"
					    " -x /var/lib/libvirt/qemu/domain-1-win10/a");
	const std::string text = explanation(snapshot.host, snapshot.vms.at(0));

	EXPECT_THAT(text, HasSubstr("<avic state='on'/>"));
	EXPECT_THAT(text, Not(HasSubstr("    qemu:")));
}

TEST(Explanation, OfAProgramThatIsNoQemuSaysSo)
{
	const Snapshot snapshot = inhibited("firecracker");
	const std::string text = explanation(snapshot.host, snapshot.vms.at(0));

	EXPECT_THAT(text, HasSubstr("  HYPERV (now)\n"));
	EXPECT_THAT(text, HasSubstr("It is no QEMU"));
}

TEST(Explanation, OfAllHasEachReason)
{
	for (const Reason &reason : reasons())
		EXPECT_THAT(all_reasons(), HasSubstr(std::string("  ") + reason.name + "\n"));
}

TEST(Json, HasAllThatIsKnownAndNullForWhatIsNot)
{
	const auto parsed = nlohmann::json::parse(json(inhibited(), nullptr));

	EXPECT_EQ(parsed["format"], 1);
	EXPECT_EQ(parsed["host"]["mode"], "x2AVIC");
	EXPECT_EQ(parsed["host"]["vapic"]["version"], "0.1.0");
	const auto &vm = parsed["vms"][0];
	EXPECT_EQ(vm["name"], "win10");
	EXPECT_EQ(vm["active"], false);
	EXPECT_EQ(vm["inhibits"], nlohmann::json::array({"HYPERV", "PIT_REINJ"}));
	EXPECT_EQ(vm["vcpus"][0]["vapic"]["ipi_not_running"], 7);
	EXPECT_FALSE(vm.contains("rates"));
	const Snapshot stock = Recorded().amd("avic", "Y").process(4711, "kvm").look();
	EXPECT_TRUE(nlohmann::json::parse(json(stock, nullptr))["vms"][0]["active"].is_null());
	EXPECT_TRUE(nlohmann::json::parse(json(stock, nullptr))["host"]["vapic"].is_null());
}

TEST(Json, HasRatesIfThereWasAnEarlierLook)
{
	const Snapshot before = counted(1000, 10), now = counted(1500, 12);
	const auto vm = nlohmann::json::parse(json(now, &before))["vms"][0];

	EXPECT_EQ(vm["rates"]["exits"], 250);
	EXPECT_TRUE(vm["rates"]["ipi_exits"].is_null());
	EXPECT_EQ(vm["vcpus"][0]["rates"]["exits"], 250);
}

TEST(Json, IsOneLineAndUtf8WhateverTheName)
{
	const Snapshot snapshot =
		Recorded().amd("avic", "Y").process(4711, "kvm -name \xff\n").look();
	const std::string line = json(snapshot, nullptr);

	EXPECT_EQ(line.find('\n'), line.size() - 1);
	EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded());
}

TEST(Json, HasNoByteThatATerminalObeys)
{
	// ESC, DEL, a C1 control in UTF-8 and as a byte, and a letter
	const Snapshot snapshot = Recorded()
					  .amd("avic", "Y")
					  .process(4711, "kvm -name a\033\177\xc2\x9b\x9b\xc3\xbc")
					  .look();
	const std::string line = json(snapshot, nullptr);

	for (const char c : line.substr(0, line.size() - 1))
		EXPECT_TRUE(c >= ' ' && c <= '~') << static_cast<int>(c);
	EXPECT_EQ(nlohmann::json::parse(line)["vms"][0]["name"],
		  "a\033\177\xc2\x9b\xef\xbf\xbd\xc3\xbc");
}

TEST(Prometheus, HasTheSamplesOfAMetricUnderItsNameOnce)
{
	const Snapshot snapshot = Recorded()
					  .amd("avic", "Y")
					  .vapic(kInhibited)
					  .process(4711, "kvm -name a")
					  .process(70, "kvm -name b")
					  .file("/sys/kernel/debug/kvm/4711-1/exits", "5\n")
					  .file("/sys/kernel/debug/kvm/70-1/exits", "6\n")
					  .look();
	const std::string text = prometheus(snapshot);

	EXPECT_THAT(text, HasSubstr("# TYPE vapic_vm_exits_total counter\n"
				    "vapic_vm_exits_total{vm=\"b\",pid=\"70\"} 6\n"
				    "vapic_vm_exits_total{vm=\"a\",pid=\"4711\"} 5\n"));
	EXPECT_THAT(text, HasSubstr("vapic_vcpu_active{vm=\"a\",pid=\"4711\",vcpu=\"0\"} 0\n"));
	EXPECT_THAT(text,
		    HasSubstr("{vm=\"a\",pid=\"4711\",inhibit=\"HYPERV\",expected=\"0\"} 1\n"));
	// What is not known is not there.
	EXPECT_THAT(text, Not(HasSubstr("vapic_vm_active{vm=\"b\"")));
	EXPECT_THAT(text, Not(HasSubstr("vapic_vm_halts_total")));
}

TEST(Prometheus, ANameCannotEndItsLabel)
{
	const Snapshot snapshot =
		Recorded().amd("avic", "N").process(4711, "kvm -name a\"}\\\nb").look();

	EXPECT_THAT(prometheus(snapshot), HasSubstr("{vm=\"a\\\"}\\\\?b\",pid=\"4711\"} 0\n"));
}

TEST(Prometheus, HasPrintableTextAlone)
{
	const Snapshot snapshot =
		Recorded().amd("avic", "N").process(4711, "kvm -name a\033\177\xc2\x9b\xff").look();

	for (const char c : prometheus(snapshot))
		EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << static_cast<int>(c);
	EXPECT_THAT(prometheus(snapshot), HasSubstr("{vm=\"a?????\",pid=\"4711\"} 0\n"));
}

TEST(Text, LeavesOutColumnsOfWhichNothingIsKnown)
{
	EXPECT_THAT(table(inhibited(), nullptr, false)[0], HasSubstr("IPIEXITS"));
	EXPECT_THAT(table(inhibited(), nullptr, false)[0], Not(HasSubstr("HALTS")));
	EXPECT_THAT(table(counted(1, 1), nullptr, false)[0], Not(HasSubstr("IPIEXITS")));
}
