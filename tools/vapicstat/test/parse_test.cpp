// SPDX-License-Identifier: GPL-2.0-only
#include "qemu.hpp"

#include "recorded.hpp"
#include "stats.hpp"

#include <gmock/gmock.h>

using namespace vapicstat;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

namespace {

Qemu parsed(std::string command)
{
	for (char &c : command)
		c = c == ' ' ? '\0' : c;
	return parse_qemu(words_of(command + '\0')).value();
}

} // namespace

TEST(Qemu, IsKnownByTheNameOfItsProgram)
{
	EXPECT_TRUE(parse_qemu({"/usr/bin/qemu-system-x86_64"}));
	EXPECT_TRUE(parse_qemu({"/usr/libexec/qemu-kvm"})->kvm);
	EXPECT_FALSE(parse_qemu({"/usr/sbin/libvirtd"}));
	EXPECT_FALSE(parse_qemu({}));
}

TEST(Qemu, UsesKvmIfAnyOptionSaysSo)
{
	EXPECT_FALSE(parsed("qemu-system-x86_64 -m 1G").kvm);
	EXPECT_TRUE(parsed("qemu-system-x86_64 -enable-kvm").kvm);
	EXPECT_TRUE(parsed("qemu-system-x86_64 -accel kvm,kernel-irqchip=split").kvm);
	EXPECT_TRUE(parsed("qemu-system-x86_64 --machine q35,accel=kvm:tcg").kvm);
	EXPECT_FALSE(parsed("qemu-system-x86_64 -accel tcg").kvm);
}

TEST(Qemu, HasItsNameInBothForms)
{
	EXPECT_EQ(parsed("kvm -name guest=win10,debug-threads=on").name, "win10");
	EXPECT_EQ(parsed("kvm -name build").name, "build");
	EXPECT_EQ(parsed("kvm -name guest=a,,b,process=x").name, "a,b");
}

TEST(Qemu, TheLastOfAFeaturesWordsCountsUnlessASignIsThere)
{
	EXPECT_EQ(parsed("kvm -cpu host").feature("x2apic"), std::nullopt);
	EXPECT_EQ(parsed("kvm -cpu host,x2apic").feature("x2apic"), true);
	EXPECT_EQ(parsed("kvm -cpu host,x2apic=on,x2apic=off").feature("x2apic"), false);
	EXPECT_EQ(parsed("kvm -cpu host,-x2apic,x2apic=on").feature("x2apic"), false);
	EXPECT_EQ(parsed("kvm -cpu host,hv_synic").feature("hv-synic"), true);
}

TEST(Qemu, TheModelIsNoFeature)
{
	EXPECT_EQ(parsed("kvm -cpu max").feature("max"), std::nullopt);
	EXPECT_TRUE(parsed("kvm -cpu max,x2apic=off").has_all());
	EXPECT_FALSE(parsed("kvm -cpu EPYC-Milan").has_all());
	EXPECT_FALSE(parsed("kvm -m 1G").has_all());
}

TEST(Qemu, TheIrqchipIsOfTheMachineOrTheAccelerator)
{
	EXPECT_EQ(parsed("kvm -machine q35").irqchip, "on");
	EXPECT_EQ(parsed("kvm -machine q35,kernel_irqchip=split").irqchip, "split");
	EXPECT_EQ(parsed("kvm -M q35 -accel kvm,kernel-irqchip=off").irqchip, "off");
}

TEST(Qemu, ThePitDiscardsInBothFormsOfGlobal)
{
	EXPECT_FALSE(parsed("kvm -global kvm-pit.lost_tick_policy=delay").pit_discards);
	EXPECT_TRUE(parsed("kvm -global kvm-pit.lost_tick_policy=discard").pit_discards);
	EXPECT_TRUE(parsed("kvm -global driver=kvm-pit,property=lost_tick_policy,value=discard")
			    .pit_discards);
	EXPECT_FALSE(parsed("kvm -machine pc,pit=off").pit);
	EXPECT_TRUE(parsed("kvm -machine pc,pit=auto").pit);
}

TEST(Qemu, ReadsObjectsAndDevicesInBothForms)
{
	EXPECT_TRUE(parsed("kvm -object sev-guest,id=sev0").encrypted);
	EXPECT_TRUE(parsed(R"(kvm -object {"qom-type":"sev-snp-guest","id":"s"})").encrypted);
	EXPECT_FALSE(parsed("kvm -object memory-backend-ram,id=m").encrypted);
	EXPECT_TRUE(parsed("kvm -device vfio-pci,host=01:00.0").vfio);
	EXPECT_TRUE(
		parsed(R"(kvm -device {"driver":"vfio-pci","host":"01:00.0","rom":null})").vfio);
	EXPECT_FALSE(parsed(R"(kvm -device {"driver":)").vfio);
}

TEST(Qemu, ReadsScalarsOfJsonHoweverDeepTheOthersAre)
{
	constexpr int kDepth = 250000;
	std::string arrays, objects;

	EXPECT_EQ(parsed(R"(kvm -name {"a":[[1]],"b":{"guest":"x"},"guest":"y"})").name, "y");
	EXPECT_EQ(parsed(R"(kvm -name {"guest":["x"]})").name, "");
	EXPECT_EQ(parsed(R"(kvm -name {"guest":7})").name, "7");
	arrays = std::string(kDepth, '[') + std::string(kDepth, ']');
	EXPECT_EQ(parsed(R"(kvm -name {"guest":"y","a":)" + arrays + "}").name, "y");
	for (int i = 0; i < kDepth / 2; i++)
		objects += R"({"a":)";
	EXPECT_EQ(parsed(R"(kvm -name {"guest":"y","a":)" + objects).name, "");
	EXPECT_EQ(parsed("kvm -name {\"a\":" + std::string(kDepth, '[')).name, "");
}

TEST(Qemu, KnowsLibvirtByItsFolder)
{
	EXPECT_TRUE(
		parsed("kvm -chardev socket,path=/var/lib/libvirt/qemu/domain-1-a/m.sock").libvirt);
	EXPECT_FALSE(parsed("kvm -m 1G").libvirt);
}

TEST(Qemu, AnOptionWithoutItsArgumentIsNoFault)
{
	EXPECT_EQ(parsed("kvm -cpu").cpu, "");
	EXPECT_EQ(parsed("kvm -").cpu, "");
}

TEST(Option, IsSetInPlaceOfAllThatItWas)
{
	EXPECT_EQ(with_option("host", "x2apic=off"), "host,x2apic=off");
	EXPECT_EQ(with_option("host,+x2apic,svm,x2apic=on", "x2apic=off"), "host,svm,x2apic=off");
	EXPECT_EQ(with_option("q35,kernel_irqchip=off,a=b,,c", "kernel-irqchip=on"),
		  "q35,a=b,,c,kernel-irqchip=on");
}

TEST(Stats, AreReadAsKvmWritesThem)
{
	EXPECT_THAT(decode_stats(encode_stats({{"exits", 7}, {"halt_exits", 3}})),
		    ElementsAre(Pair("exits", 7u), Pair("halt_exits", 3u)));
}

TEST(Stats, OfAFileThatIsCutShortAreNone)
{
	const std::string whole = encode_stats({{"exits", 7}, {"halt_exits", 3}});

	for (std::size_t size = 0; size < whole.size(); size++)
		EXPECT_THAT(decode_stats(whole.substr(0, size)), IsEmpty()) << size;
}

TEST(Stats, OfOffsetsBeyondTheFileAreNone)
{
	const std::string file = encode_stats({{"exits", 7}});

	// Words of the header, but for the flags and for where the name is, which is not used
	for (const std::size_t word : {1u, 2u, 4u, 5u}) {
		std::string wrong = file;

		wrong.replace(word * 4, 4, "\xff\xff\xff\xff");
		EXPECT_THAT(decode_stats(wrong), IsEmpty()) << word;
	}
}
