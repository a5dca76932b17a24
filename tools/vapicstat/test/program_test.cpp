// SPDX-License-Identifier: GPL-2.0-only
//
// The program itself, as people call it, on recorded machines.
#include "recorded.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace vapicstat;
using testing::HasSubstr;

namespace {

struct Ended {
	int status = -1;
	std::string said; // both streams
};

Ended run(const Recorded &machine, const std::string &arguments)
{
	const std::string command =
		std::string(VAPICSTAT) + " --root " + machine.root() + " " + arguments + " 2>&1";
	FILE *pipe = popen(command.c_str(), "r");
	Ended result;

	for (int c; pipe && (c = std::fgetc(pipe)) != EOF;)
		result.said += static_cast<char>(c);
	if (pipe)
		result.status = WEXITSTATUS(pclose(pipe));
	return result;
}

class Program : public testing::Test {
protected:
	Program()
	{
		machine.amd("avic x2avic", "Y")
			.vapic("pid=4711 vm active=0 inhibits=HYPERV\n"
			       "pid=4711 vcpu=0 active=0 inhibits=HYPERV ipi_not_running=7\n")
			.process(4711, "kvm -name win10 -cpu host,hv-synic=on");
	}

	Recorded machine;
};

} // namespace

TEST_F(Program, WithoutATerminalPrintsOneTable)
{
	const Ended result = run(machine, "-i 0.01");

	EXPECT_EQ(result.status, 0);
	EXPECT_THAT(result.said, HasSubstr("EXITS/s"));
	EXPECT_THAT(result.said, HasSubstr("win10"));
}

TEST_F(Program, CountsInPlaceOfRatesIfAskedForNoInterval)
{
	EXPECT_THAT(run(machine, "--once -i 0 -v").said, HasSubstr(" 7\n"));
}

TEST_F(Program, WatchesAsOftenAsAsked)
{
	const Ended result = run(machine, "--watch --json -i 0.01 -n 3");

	EXPECT_EQ(result.status, 0);
	EXPECT_EQ(std::count(result.said.begin(), result.said.end(), '\n'), 3);
}

TEST_F(Program, ExplainsAVmByNameAndByPid)
{
	EXPECT_THAT(run(machine, "explain win10").said, HasSubstr("hv-avic=on"));
	EXPECT_THAT(run(machine, "explain 4711").said, HasSubstr("hv-avic=on"));
	EXPECT_THAT(run(machine, "explain --all").said, HasSubstr("kvm-pv-ipi=off"));
}

TEST_F(Program, FailsIfThereIsNoSuchVm)
{
	const Ended result = run(machine, "explain win11");

	EXPECT_EQ(result.status, 2);
	EXPECT_THAT(result.said, testing::StartsWith("vapicstat: no VM win11"));
}

TEST_F(Program, WritesAFileForPrometheusAtOnce)
{
	const std::string path = machine.root() + "/vapic.prom";
	std::ostringstream text;

	EXPECT_EQ(run(machine, "-p " + path).status, 0);
	text << std::ifstream(path).rdbuf();
	EXPECT_THAT(text.str(), HasSubstr("vapic_vm_active{vm=\"win10\",pid=\"4711\"} 0\n"));
	EXPECT_EQ(run(machine, "-p /no/such/folder/x").status, 1);
}

TEST_F(Program, FollowsNoLinkThatWaitsBesideTheFile)
{
	const std::string path = machine.root() + "/vapic.prom";
	std::ostringstream text;

	machine.file("/victim", "kept\n").link("/vapic.prom.new", machine.root() + "/victim");
	EXPECT_EQ(run(machine, "-p " + path).status, 0);
	text << std::ifstream(machine.root() + "/victim").rdbuf();
	EXPECT_EQ(text.str(), "kept\n");
	EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(path)));
	// The exporter runs as another user.
	EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0644));
}

TEST_F(Program, LeavesNothingBesideAFileThatItCannotReplace)
{
	machine.file("/folder/vapic.prom/full", "");
	EXPECT_EQ(run(machine, "-p " + machine.root() + "/folder/vapic.prom").status, 1);
	EXPECT_EQ(std::distance(std::filesystem::directory_iterator(machine.root() + "/folder"),
				std::filesystem::directory_iterator()),
		  1);
}

TEST_F(Program, RefusesWhatItDoesNotKnow)
{
	for (const char *wrong :
	     {"--no-such-option", "-i x", "-i -1", "-n 0", "--once --watch", "--watch -i 0", "frob",
	      "explain a b", "--all", "explain --all win10"})
		EXPECT_EQ(run(machine, wrong).status, 2) << wrong;
}

TEST_F(Program, NamesVmsToTheShell)
{
	EXPECT_EQ(run(machine, "--names").said, "win10\n");
}

TEST_F(Program, ExplainsAVmByTheNameThatTheShellWasGiven)
{
	machine.process(4711, "kvm -name b\xc3\xbc -cpu host,hv-synic=on");
	EXPECT_EQ(run(machine, "--names").said, "b?\?\n");
	EXPECT_THAT(run(machine, "explain 'b?\?'").said, HasSubstr("hv-avic=on"));
	EXPECT_THAT(run(machine, "explain b\xc3\xbc").said, HasSubstr("hv-avic=on"));
	EXPECT_EQ(run(machine, "explain 'b?'").status, 2);
}

TEST_F(Program, SaysItsVersionAndItsUse)
{
	EXPECT_THAT(run(machine, "--version").said, HasSubstr("vapicstat 0."));
	EXPECT_THAT(run(machine, "--help").said, HasSubstr("usage: vapicstat"));
}
