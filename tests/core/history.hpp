// SPDX-License-Identifier: GPL-2.0-only
//
// Memory with a history: while an object of class History exists, it records in order each
// write that core makes to the machine's tables and attention bytes. A replay shows every
// state that hardware or a sender could have seen between two writes.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "machine.hpp"
#include "seam.hpp"

// The memory of a VM that hardware and senders can see.
struct Visible {
	u64 physical[512];
	u32 logical[1024];
	std::uint8_t attention[255];
};

class History final : seam::Observer {
public:
	explicit History(const Machine &machine) : machine_(machine)
	{
		copy(before_.physical, machine.physical());
		copy(before_.logical, machine.logical());
		copy(before_.attention, machine.attention());
		seam::observer = this;
	}

	~History() { seam::observer = nullptr; }
	History(const History &) = delete;
	History &operator=(const History &) = delete;

	// Calls `judge` for every state since construction, including the first and the present.
	void replay(const std::function<void(const Visible &)> &judge) const
	{
		Visible now = before_;

		judge(now);
		for (const Write &w : writes_) {
			apply(w, now);
			judge(now);
		}
	}

	[[nodiscard]] std::size_t writes() const { return writes_.size(); }

	// Whether the write number `i` was a locked operation.
	[[nodiscard]] bool locked(std::size_t i) const { return writes_.at(i).locked; }

private:
	struct Write {
		const void *address;
		unsigned size;
		u64 value; // little endian, the content of memory after the write
		bool locked;
	};

	template <typename T, std::size_t N>
	static void copy(T (&to)[N], const T *from)
	{
		std::memcpy(to, from, sizeof(to));
	}

	template <typename T, std::size_t N>
	static void patch(const Write &w, const T *live, T (&copy)[N])
	{
		const auto at = reinterpret_cast<std::uintptr_t>(w.address) -
				reinterpret_cast<std::uintptr_t>(live);

		if (at < sizeof(copy))
			std::memcpy(reinterpret_cast<char *>(copy) + at, &w.value, w.size);
	}

	void apply(const Write &w, Visible &to) const
	{
		patch(w, machine_.physical(), to.physical);
		patch(w, machine_.logical(), to.logical);
		patch(w, machine_.attention(), to.attention);
	}

	bool visible(const void *address) const
	{
		const auto within = [address](const void *first, std::size_t size) {
			return reinterpret_cast<std::uintptr_t>(address) -
				       reinterpret_cast<std::uintptr_t>(first) <
			       size;
		};

		return within(machine_.physical(), 4096) || within(machine_.logical(), 4096) ||
		       within(machine_.attention(), sizeof(Visible::attention));
	}

	std::uint64_t access(const seam::Access &a) override
	{
		const std::uint64_t before = seam::perform(a);

		if (a.writes() && visible(a.address)) {
			Write w{a.address, a.size, 0, a.locked()};

			std::memcpy(&w.value, a.address, a.size);
			writes_.push_back(w);
		}
		return before;
	}

	const Machine &machine_;
	Visible before_;
	std::vector<Write> writes_;
};
