// SPDX-License-Identifier: GPL-2.0-only
//
// A machine made of files, in a folder that ends with it.
#ifndef VAPICSTAT_TEST_RECORDED_HPP
#define VAPICSTAT_TEST_RECORDED_HPP

#include "gather.hpp"

#include <string>

namespace vapicstat {

class Recorded {
public:
	Recorded();
	Recorded(const Recorded &) = delete;
	Recorded &operator=(const Recorded &) = delete;
	~Recorded();

	Recorded &file(const std::string &path, const std::string &text);
	Recorded &link(const std::string &path, const std::string &target);
	// Hosts as Debian's kernels of 6.12 have them.
	Recorded &amd(const std::string &flags, const std::string &avic, unsigned family = 25);
	Recorded &intel(const std::string &vmx_flags, const std::string &apicv,
			const std::string &ipiv);
	Recorded &vapic(const std::string &vcpus);
	// A process, by its command line with spaces between the words.
	Recorded &process(int pid, const std::string &command);
	// A vCPU's statistics, which the process has open.
	Recorded &stats(int pid, int fd, unsigned vcpu, const Counts &counts);

	[[nodiscard]] Snapshot look() const { return gather(System(root_)); }
	[[nodiscard]] const std::string &root() const { return root_; }

private:
	std::string root_;
};

// A statistics file as KVM makes it.
std::string encode_stats(const Counts &counts);

} // namespace vapicstat

#endif
