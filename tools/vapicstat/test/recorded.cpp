// SPDX-License-Identifier: GPL-2.0-only
#include "recorded.hpp"

#include <linux/kvm.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace vapicstat {

namespace {

constexpr std::size_t kNameSize = 48;

template <typename T>
std::string bytes(const T &value)
{
	return {reinterpret_cast<const char *>(&value), sizeof(value)};
}

} // namespace

std::string encode_stats(const Counts &counts)
{
	kvm_stats_header header{};
	std::string descriptors, data;

	for (const auto &[name, value] : counts) {
		kvm_stats_desc descriptor{};

		descriptor.size = 1;
		descriptor.offset = static_cast<std::uint32_t>(data.size());
		descriptors +=
			bytes(descriptor) + name + std::string(kNameSize - name.size(), '\0');
		data += bytes(value);
	}
	header.name_size = kNameSize;
	header.num_desc = static_cast<std::uint32_t>(counts.size());
	header.id_offset = sizeof(header);
	header.desc_offset = static_cast<std::uint32_t>(sizeof(header) + kNameSize);
	header.data_offset = static_cast<std::uint32_t>(header.desc_offset + descriptors.size());
	return bytes(header) + std::string(kNameSize, '\0') + descriptors + data;
}

Recorded::Recorded()
{
	char folder[] = "/tmp/vapicstat-XXXXXX";

	if (!mkdtemp(folder))
		throw std::runtime_error("mkdtemp");
	root_ = folder;
	file("/proc/sys/kernel/osrelease", "6.12.117+deb13-amd64\n");
	file("/proc/cmdline", "root=/dev/vda1 quiet\n");
}

Recorded::~Recorded()
{
	std::filesystem::remove_all(root_);
}

Recorded &Recorded::file(const std::string &path, const std::string &text)
{
	std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
	std::ofstream(root_ + path, std::ios::binary) << text;
	return *this;
}

Recorded &Recorded::link(const std::string &path, const std::string &target)
{
	std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
	std::filesystem::create_symlink(target, root_ + path);
	return *this;
}

Recorded &Recorded::amd(const std::string &flags, const std::string &avic, unsigned family)
{
	file("/proc/cpuinfo",
	     "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: " + std::to_string(family) +
		     "\nflags\t\t: fpu svm " + flags + "\nbugs\t\t:\n\nprocessor\t: 1\n");
	return file("/sys/module/kvm_amd/parameters/avic", avic + "\n");
}

Recorded &Recorded::intel(const std::string &vmx_flags, const std::string &apicv,
			  const std::string &ipiv)
{
	file("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n"
			      "flags\t\t: fpu vmx\nvmx flags\t: vnmi " +
				      vmx_flags + "\n\nprocessor\t: 1\n");
	file("/sys/module/kvm_intel/parameters/enable_apicv", apicv + "\n");
	return file("/sys/module/kvm_intel/parameters/enable_ipiv", ipiv + "\n");
}

Recorded &Recorded::vapic(const std::string &vcpus)
{
	file("/sys/kernel/vapic/version", "0.1.0\n");
	file("/sys/kernel/vapic/audit", "audited for 6.12.117+deb13-amd64\n");
	file("/sys/kernel/vapic/takeover", "redirect kvm_amd:avic_vcpu_load ours\n");
	file("/sys/module/vapic/parameters/enable_ipiv", "Y\n");
	return file("/sys/kernel/vapic/vcpus", vcpus);
}

Recorded &Recorded::process(int pid, const std::string &command)
{
	std::string words = command + ' ';

	std::replace(words.begin(), words.end(), ' ', '\0');
	file("/proc/" + std::to_string(pid) + "/cmdline", words);
	return file("/proc/" + std::to_string(pid) + "/comm",
		    command.substr(0, command.find(' ')) + "\n");
}

Recorded &Recorded::stats(int pid, int fd, unsigned vcpu, const Counts &counts)
{
	const std::string path = std::to_string(pid) + "/";

	link("/proc/" + path + "fd/" + std::to_string(fd),
	     "anon_inode:kvm-vcpu-stats:" + std::to_string(vcpu));
	return file("/stats/" + path + std::to_string(fd), encode_stats(counts));
}

} // namespace vapicstat
