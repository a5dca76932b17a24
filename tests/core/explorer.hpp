// SPDX-License-Identifier: GPL-2.0-only
//
// Runs a few scripts, each on a CPU of its own, in every order that x86 allows.
//
// The memory model is x86-TSO: a plain store waits in its CPU's store buffer and reaches
// memory, in order, at any later time; a load sees the CPU's own buffer first; a locked
// operation or a fence executes only when the buffer is empty. So at each point the explorer
// chooses from two kinds of step: a CPU's next operation, and the oldest store of a buffer.
//
// A script is ordinary code, including core's functions. It must depend only on the answers
// of its operations, because the explorer continues a script from some point by running it
// again from its start with the answers so far, up to the next operation, once for each
// sequence of answers. So a state consists of the memory, the store buffers and the position
// of each script, which is a sequence of answers. The explorer does not explore a known state
// again.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "seam.hpp"

namespace explorer {

using Location = unsigned;
constexpr Location kLocations = 20;
using Memory = std::array<std::uint64_t, kLocations>;

// Something that hardware does in one step, directly in memory, without store buffers.
using Hardware = std::uint64_t (*)(Memory &, std::uint64_t argument);

struct Operation {
	enum class Kind : std::uint8_t {
		kLoad,
		kStore,
		kExchange,
		kFetchOr,
		kFetchAnd,
		kCompareExchange,
		kFence,
		kHardware,
		kAwait, // waits until the location is not zero, takes its value and leaves zero
	};

	Kind kind;
	Location location;
	std::uint64_t value;
	Hardware hardware;
	const char *name; // for the trace, of kHardware only
	std::uint64_t expected = 0; // of kCompareExchange only
};

// A store that is not visible to other CPUs yet.
struct Buffered {
	Location location;
	std::uint64_t value;
};

// The CPU of a script: the operations that it can execute.
class Cpu {
public:
	std::uint64_t load(Location at) { return ask({Kind::kLoad, at, 0, {}, {}}); }
	void store(Location at, std::uint64_t v) { ask({Kind::kStore, at, v, {}, {}}); }
	std::uint64_t exchange(Location at, std::uint64_t v)
	{
		return ask({Kind::kExchange, at, v, {}, {}});
	}
	std::uint64_t fetch_or(Location at, std::uint64_t v)
	{
		return ask({Kind::kFetchOr, at, v, {}, {}});
	}
	std::uint64_t fetch_and(Location at, std::uint64_t v)
	{
		return ask({Kind::kFetchAnd, at, v, {}, {}});
	}
	// Returns the previous value; replaces it if it is `expected`.
	std::uint64_t compare_exchange(Location at, std::uint64_t expected, std::uint64_t v)
	{
		return ask({Kind::kCompareExchange, at, v, {}, {}, expected});
	}
	void fence() { ask({Kind::kFence, 0, 0, {}, {}}); }
	std::uint64_t hardware(const char *name, Hardware step, std::uint64_t argument = 0)
	{
		return ask({Kind::kHardware, 0, argument, step, name});
	}
	std::uint64_t await(Location at) { return ask({Kind::kAwait, at, 0, {}, {}}); }

	std::uint64_t ask(const Operation &operation);

private:
	friend class Explorer;
	using Kind = Operation::Kind;

	Cpu(std::vector<std::uint64_t> &answers, std::vector<Buffered> &stored)
		: answers_(answers), stored_(stored)
	{
	}

	std::vector<std::uint64_t> &answers_;
	std::vector<Buffered> &stored_;
	std::size_t next_ = 0;
};

using Script = std::function<void(Cpu &)>;

// Why a search has given up, so that it has found nothing.
inline constexpr const char *kTooManyStates = "too many states";

struct Result {
	std::size_t states = 0;
	std::size_t ends = 0; // states in which no step is possible any more
	// Why the check refused the first refused end, and the steps that led to it.
	std::string refused;
	std::string trace;
};

class Explorer final : seam::Observer {
public:
	// Registers a word of real memory that the scripts share through core. Any other memory
	// that core accesses must not change while scripts run.
	void map(const void *address, unsigned size, Location location, const char *name);
	void name(Location location, const char *name) { names_[location] = name; }

	// Returns what is wrong with an end, or an empty string. Its arguments are the memory
	// and which scripts have finished; the other scripts wait.
	using Check = std::function<std::string(const Memory &, const std::vector<bool> &finished)>;

	// Explores until the first refused end. Refuses with kTooManyStates if there are more than
	// `most_states`.
	Result run(const std::vector<Script> &scripts, const Memory &initial, const Check &check,
		   std::size_t most_states = 4'000'000);

private:
	struct Way;
	struct Point;
	class Course;
	struct Thread;
	struct State;
	// A step of the order being explored. kStore means that a store became visible.
	struct Taken {
		unsigned cpu;
		Operation operation;
		std::uint64_t answer;
	};

	std::uint64_t access(const seam::Access &access) override;
	std::string describe(const Taken &step) const;

	std::map<const void *, std::pair<unsigned, Location>> mapped_;
	std::array<const char *, kLocations> names_{};
	Cpu *current_ = nullptr;
};

} // namespace explorer
