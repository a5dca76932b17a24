// SPDX-License-Identifier: GPL-2.0-only
//
// vapicstat: whether interrupts of guests are accelerated, and why not.
#include "gather.hpp"
#include "print.hpp"

#include <getopt.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

using namespace vapicstat;

const char *const kUsage =
	"usage: vapicstat [--once] [--json] [-i SECONDS] [-v]\n"
	"       vapicstat explain [VM]\n"
	"       vapicstat explain --all\n"
	"\n"
	"Shows the host's VMs: whether their interrupts are accelerated, what inhibits that,\n"
	"and what exits. explain says what is in the way, and which option changes that.\n"
	"VM is a name or a PID.\n"
	"\n"
	"  -1, --once              print one table and end (as yet, always)\n"
	"  -j, --json              a line of JSON in place of the table\n"
	"  -i, --interval SECONDS  rates over so long; 0: counts since the VM began (default: 1)\n"
	"  -v, --vcpus             a row for each vCPU, too\n"
	"  -a, --all               explain: all causes that there are\n"
	"  -h, --help              print this\n"
	"\n"
	"An ordinary user sees their own VMs; root sees all, and KVM's counts. See vapicstat(1).\n";

struct Options {
	bool explain = false;
	bool all = false;
	std::string vm; // empty: all
	bool json = false;
	bool vcpus = false;
	double interval = 1;
	std::string root; // of the tests
};

[[noreturn]] void refuse(const std::string &what)
{
	std::fprintf(stderr, "vapicstat: %s\n", what.c_str());
	std::exit(2);
}

double seconds_of(const char *text)
{
	char *end = nullptr;
	const double seconds = std::strtod(text, &end);

	// False for what is not a number, too
	if (end == text || *end || !(seconds >= 0 && seconds <= 86400))
		refuse(std::string("no number of seconds: ") + text);
	return seconds;
}

Options parse(int argc, char **argv)
{
	const option longs[] = {{"all", no_argument, nullptr, 'a'},
				{"once", no_argument, nullptr, '1'},
				{"json", no_argument, nullptr, 'j'},
				{"interval", required_argument, nullptr, 'i'},
				{"vcpus", no_argument, nullptr, 'v'},
				{"help", no_argument, nullptr, 'h'},
				{"root", required_argument, nullptr, 'r'},
				{nullptr, 0, nullptr, 0}};
	Options options;
	int c;

	while ((c = getopt_long(argc, argv, "a1ji:vh", longs, nullptr)) != -1) {
		switch (c) {
		case 'a':
			options.all = true;
			break;
		case '1':
			break;
		case 'j':
			options.json = true;
			break;
		case 'i':
			options.interval = seconds_of(optarg);
			break;
		case 'v':
			options.vcpus = true;
			break;
		case 'r':
			options.root = optarg;
			break;
		case 'h':
			std::fputs(kUsage, stdout);
			std::exit(0);
		default:
			std::exit(2);
		}
	}
	if (optind < argc && argv[optind] == std::string("explain")) {
		options.explain = true;
		if (++optind < argc)
			options.vm = argv[optind++];
	}
	if (optind < argc)
		refuse(std::string("what is ") + argv[optind] + "? Try --help");
	if (options.all && (!options.explain || !options.vm.empty()))
		refuse("--all is for explain without a VM");
	return options;
}

void put(const std::string &text)
{
	if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
	    std::fflush(stdout) != 0)
		std::exit(1);
}

int explain(const System &system, const Options &options)
{
	if (options.all) {
		put(all_reasons());
		return 0;
	}
	const Snapshot snapshot = gather(system);
	std::string text;

	for (const Vm &vm : snapshot.vms)
		if (options.vm.empty() || options.vm == vm.name ||
		    options.vm == std::to_string(vm.pid))
			text += "\n" + explanation(snapshot.host, vm);
	if (text.empty() && !options.vm.empty())
		refuse("no VM " + options.vm + (geteuid() ? " that this user may see" : ""));
	put(explanation(snapshot.host) + text);
	for (const std::string &note : snapshot.notes)
		put("note: " + note + "\n");
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	const Options options = parse(argc, argv);
	const System system(options.root);

	if (options.explain)
		return explain(system, options);
	const Snapshot earlier = gather(system);

	if (options.interval == 0) {
		put(options.json ? json(earlier, nullptr) : text(earlier, nullptr, options.vcpus));
		return 0;
	}
	std::this_thread::sleep_for(std::chrono::duration<double>(options.interval));
	const Snapshot now = gather(system);

	put(options.json ? json(now, &earlier) : text(now, &earlier, options.vcpus));
	return 0;
}
