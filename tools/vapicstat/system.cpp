// SPDX-License-Identifier: GPL-2.0-only
#include "system.hpp"

#include <cpuid.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace vapicstat {

namespace {

class Descriptor {
public:
	explicit Descriptor(long fd) : fd_(static_cast<int>(fd)) {}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;
	~Descriptor()
	{
		if (fd_ >= 0)
			close(fd_);
	}
	[[nodiscard]] int get() const { return fd_; }

private:
	int fd_;
};

// Files of debugfs know no pread(); descriptors that others share must not be read without, wherever
// those have got to.
enum class Way { kOwn, kShared };

// No more than @limit bytes.
std::optional<std::string> read_all(int fd, Way way, std::size_t limit)
{
	std::string text;
	char part[16384];

	while (text.size() < limit) {
		const std::size_t wanted = std::min(sizeof(part), limit - text.size());
		const ssize_t got =
			way == Way::kOwn ? ::read(fd, part, wanted) :
					   pread(fd, part, wanted, static_cast<off_t>(text.size()));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return std::nullopt;
		if (got == 0)
			break;
		text.append(part, static_cast<std::size_t>(got));
	}
	return text;
}

bool by_number(const std::string &a, const std::string &b)
{
	const long x = std::strtol(a.c_str(), nullptr, 10);
	const long y = std::strtol(b.c_str(), nullptr, 10);

	return x != y ? x < y : a < b;
}

} // namespace

System::System(std::string root) : root_(std::move(root)) {}

std::optional<std::string> System::read(const std::string &path, std::size_t limit) const
{
	const Descriptor file(open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC));

	return file.get() < 0 ? std::nullopt : read_all(file.get(), Way::kOwn, limit);
}

std::optional<std::string> System::line(const std::string &path) const
{
	std::optional<std::string> text = read(path);

	if (text)
		text->erase(std::min(text->find('\n'), text->size()));
	return text;
}

std::vector<std::string> System::list(const std::string &path) const
{
	std::error_code error;
	std::vector<std::string> names;

	for (std::filesystem::directory_iterator entry(root_ + path, error), end;
	     !error && entry != end; entry.increment(error))
		names.push_back(entry->path().filename());
	std::sort(names.begin(), names.end(), by_number);
	return names;
}

std::optional<std::string> System::link(const std::string &path) const
{
	std::error_code error;
	const std::filesystem::path target = std::filesystem::read_symlink(root_ + path, error);

	return error ? std::nullopt : std::optional<std::string>(target);
}

bool System::exists(const std::string &path) const
{
	return access((root_ + path).c_str(), F_OK) == 0;
}

bool System::denied(const std::string &path) const
{
	return access((root_ + path).c_str(), R_OK) != 0 && errno == EACCES;
}

std::uint32_t System::cpuid_edx(std::uint32_t leaf) const
{
	unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

	if (recorded())
		return static_cast<std::uint32_t>(std::strtoul(
			line("/cpuid/" + std::to_string(leaf)).value_or("0").c_str(), nullptr, 16));
	return __get_cpuid(leaf, &eax, &ebx, &ecx, &edx) ? edx : 0;
}

// KVM gives such a descriptor to the process of the VM alone, so that process's is borrowed. The
// process may open another file under the number at any time: only what was borrowed is looked at.
std::optional<std::string> System::stats(int pid, int fd, const std::string &target) const
{
	std::error_code error;

	if (recorded())
		return read("/stats/" + std::to_string(pid) + "/" + std::to_string(fd));
	const Descriptor process(syscall(SYS_pidfd_open, pid, 0));

	if (process.get() < 0)
		return std::nullopt;
	const Descriptor file(syscall(SYS_pidfd_getfd, process.get(), fd, 0));

	if (file.get() < 0)
		return std::nullopt;
	const std::filesystem::path borrowed =
		std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file.get()), error);

	if (error || borrowed.native() != target)
		return std::nullopt;
	return read_all(file.get(), Way::kShared, kForeign);
}

} // namespace vapicstat
