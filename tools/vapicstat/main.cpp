// SPDX-License-Identifier: GPL-2.0-only
//
// vapicstat: whether interrupts of guests are accelerated, and why not.
#include "gather.hpp"
#include "live.hpp"
#include "print.hpp"

#include "../../takeover/version.h"

#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

using namespace vapicstat;

const char *const kUsage =
	"usage: vapicstat [--once | --watch] [--json] [-p FILE] [-i SECONDS] [-n COUNT] [-v]\n"
	"       vapicstat explain [VM]\n"
	"       vapicstat explain --all\n"
	"\n"
	"Shows the host's VMs: whether their interrupts are accelerated, what inhibits that,\n"
	"and what exits. explain says what is in the way, and which option changes that.\n"
	"VM is a name or a PID.\n"
	"\n"
	"  -1, --once              print one table and end, as without a terminal\n"
	"  -w, --watch             print again and again\n"
	"  -j, --json              a line of JSON in place of the table\n"
	"  -p, --prometheus FILE   write a textfile for Prometheus; -: to standard output\n"
	"  -i, --interval SECONDS  rates over so long; 0: counts since the VM began (default: 1)\n"
	"  -n, --count COUNT       watch so many times\n"
	"  -v, --vcpus             a row for each vCPU, too\n"
	"  -a, --all               explain: all causes that there are\n"
	"  -h, --help              print this\n"
	"\n"
	"An ordinary user sees their own VMs; root sees all, and KVM's counts. See vapicstat(1).\n";

struct Options {
	bool explain = false;
	bool all = false;
	std::string vm; // empty: all
	bool once = false;
	bool watch = false;
	bool names = false;	 // for the shell
	unsigned long count = 0; // of looks; 0: no end
	std::string prometheus;
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

unsigned long count_of(const char *text)
{
	char *end = nullptr;
	const unsigned long count = std::strtoul(text, &end, 10);

	if (end == text || *end || !count)
		refuse(std::string("no count: ") + text);
	return count;
}

Options parse(int argc, char **argv)
{
	const option longs[] = {{"all", no_argument, nullptr, 'a'},
				{"once", no_argument, nullptr, '1'},
				{"watch", no_argument, nullptr, 'w'},
				{"prometheus", required_argument, nullptr, 'p'},
				{"count", required_argument, nullptr, 'n'},
				{"names", no_argument, nullptr, 'N'},
				{"version", no_argument, nullptr, 'V'},
				{"json", no_argument, nullptr, 'j'},
				{"interval", required_argument, nullptr, 'i'},
				{"vcpus", no_argument, nullptr, 'v'},
				{"help", no_argument, nullptr, 'h'},
				{"root", required_argument, nullptr, 'r'},
				{nullptr, 0, nullptr, 0}};
	Options options;
	int c;

	while ((c = getopt_long(argc, argv, "a1wjp:i:n:vh", longs, nullptr)) != -1) {
		switch (c) {
		case 'a':
			options.all = true;
			break;
		case '1':
			options.once = true;
			break;
		case 'w':
			options.watch = true;
			break;
		case 'p':
			options.prometheus = optarg;
			break;
		case 'n':
			options.count = count_of(optarg);
			break;
		case 'N':
			options.names = true;
			break;
		case 'V':
			std::puts("vapicstat " VAPIC_VERSION);
			std::exit(0);
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
	if (options.once && options.watch)
		refuse("either --once or --watch");
	if (options.watch && options.interval == 0)
		refuse("--watch wants an interval");
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

bool write_all(int fd, const std::string &text)
{
	for (std::size_t done = 0; done < text.size();) {
		const ssize_t wrote = write(fd, text.data() + done, text.size() - done);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return false;
		done += static_cast<std::size_t>(wrote);
	}
	return true;
}

// A reader finds all of the old or all of the new. Others may own the folder: a name that they
// could guess might be a link of theirs to any file of root's.
void replace(const std::string &path, const std::string &text)
{
	std::string made = path + ".XXXXXX";
	const int fd = mkostemp(made.data(), O_CLOEXEC);
	bool good = fd >= 0 && write_all(fd, text) && fchmod(fd, 0644) == 0 && fsync(fd) == 0;

	if (fd >= 0 && close(fd) != 0)
		good = false;
	if (good && std::rename(made.c_str(), path.c_str()) == 0)
		return;
	if (fd >= 0)
		unlink(made.c_str());
	std::fprintf(stderr, "vapicstat: cannot write %s\n", path.c_str());
	std::exit(1);
}

void show(const Options &options, const Snapshot &now, const Snapshot *earlier)
{
	if (options.prometheus == "-")
		put(prometheus(now));
	else if (!options.prometheus.empty())
		replace(options.prometheus, prometheus(now));
	else if (options.json)
		put(json(now, earlier));
	else
		put(text(now, earlier, options.vcpus));
}

void watch(const System &system, const Options &options)
{
	// Prometheus makes its rates itself.
	const bool rates = options.interval > 0 && options.prometheus.empty();
	Snapshot earlier = gather(system);

	if (!rates)
		show(options, earlier, nullptr);
	if (!rates && !options.watch)
		return;
	for (unsigned long looks = rates ? 0 : 1; !options.count || looks < options.count;
	     looks++) {
		std::this_thread::sleep_for(std::chrono::duration<double>(options.interval));
		Snapshot now = gather(system);

		show(options, now, rates ? &earlier : nullptr);
		if (!options.watch)
			return;
		earlier = std::move(now);
	}
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
		    // As tables and completion show it
		    options.vm == printable(vm.name) || options.vm == std::to_string(vm.pid))
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

	if (options.names) {
		for (const Vm &vm : gather(system).vms)
			put(printable(vm.name) + "\n");
		return 0;
	}
	if (options.explain)
		return explain(system, options);
	const bool plain = options.once || options.watch || options.json ||
			   !options.prometheus.empty();
	if (!plain && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && options.interval > 0 &&
	    live(system, options.interval, options.vcpus))
		return 0;
	watch(system, options);
	return 0;
}
