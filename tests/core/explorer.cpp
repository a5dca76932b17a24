// SPDX-License-Identifier: GPL-2.0-only
//
// See explorer.hpp. The search is depth first, with the set of states that it has already seen.
#define SEAM_NO_REDIRECTION
#include "explorer.hpp"

#include <cstdlib>
#include <deque>
#include <sstream>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace explorer {
namespace {

// Thrown through a script to stop it at its next operation.
struct Pending {
	Operation operation;
};

} // namespace

// Where an answer leads: the stores up to the next operation, and the point of that operation.
struct Explorer::Way {
	std::vector<Buffered> stored;
	unsigned to;
};

// A position that a script may reach: right before an operation.
struct Explorer::Point {
	std::vector<std::uint64_t> answers;
	Operation next;
	std::unordered_map<std::uint64_t, Way> ways = {};
};

// All points of a script that were reached.
class Explorer::Course {
public:
	// All ends of a script are the same point, because the answers no longer matter there.
	static constexpr unsigned kEnd = ~0u;

	Course(Explorer &explorer, const Script &script)
		: explorer_(explorer), script_(script), start_(run({}))
	{
	}

	const Way &start() const { return start_; }
	const Operation &next(unsigned point) const { return points_[point].next; }

	const Way &after(unsigned point, std::uint64_t answer)
	{
		auto &ways = points_[point].ways;
		const auto known = ways.find(answer);

		if (known != ways.end())
			return known->second;

		std::vector<std::uint64_t> answers = points_[point].answers;

		answers.push_back(answer);
		return ways.emplace(answer, run(std::move(answers))).first->second;
	}

private:
	// Runs the script up to the next operation that can affect other CPUs or be affected by
	// them. A store into the CPU's own buffer is not such an operation, so all orders of it
	// are equivalent.
	Way run(std::vector<std::uint64_t> answers)
	{
		Way way = {{}, kEnd};
		Cpu cpu(answers, way.stored);

		explorer_.current_ = &cpu;
		try {
			script_(cpu);
		} catch (const Pending &pending) {
			way.to = static_cast<unsigned>(points_.size());
			points_.push_back({std::move(answers), pending.operation});
		}
		explorer_.current_ = nullptr;
		return way;
	}

	Explorer &explorer_;
	const Script &script_;
	std::deque<Point> points_; // a deque, because elements must not move when more are added
	Way start_;
};

struct Explorer::Thread {
	unsigned point;
	std::vector<Buffered> buffer;

	void take(const Way &way)
	{
		point = way.to;
		buffer.insert(buffer.end(), way.stored.begin(), way.stored.end());
	}
	bool finished() const { return point == Course::kEnd; }
};

struct Explorer::State {
	Memory memory;
	std::vector<Thread> threads;

	// Everything that determines what can happen from this state on.
	std::string key() const
	{
		std::string key(reinterpret_cast<const char *>(memory.data()), sizeof(memory));
		const auto put = [&key](std::uint64_t v) {
			key.append(reinterpret_cast<const char *>(&v), sizeof(v));
		};

		for (const Thread &t : threads) {
			put(std::uint64_t{t.point} << 32 | t.buffer.size());
			for (const Buffered &b : t.buffer) {
				put(b.location);
				put(b.value);
			}
		}
		return key;
	}
};

std::uint64_t Cpu::ask(const Operation &operation)
{
	if (next_ < answers_.size())
		return answers_[next_++];
	if (operation.kind != Operation::Kind::kStore)
		throw Pending{operation};
	stored_.push_back({operation.location, operation.value});
	answers_.push_back(0);
	++next_;
	return 0;
}

void Explorer::map(const void *address, unsigned size, Location location, const char *called)
{
	mapped_[address] = {size, location};
	name(location, called);
}

std::uint64_t Explorer::access(const seam::Access &access)
{
	const auto found = mapped_.find(access.address);

	if (found == mapped_.end() || !current_)
		return seam::perform(access);
	if (access.size != found->second.first)
		std::abort();

	const Location at = found->second.second;

	switch (access.kind) {
	case seam::Kind::kLoad:
		return current_->load(at);
	case seam::Kind::kStore:
		if (access.locked())
			return current_->exchange(at, access.value);
		current_->store(at, access.value);
		return 0;
	case seam::Kind::kExchange:
		return current_->exchange(at, access.value);
	case seam::Kind::kFetchOr:
		return current_->fetch_or(at, access.value);
	case seam::Kind::kFetchAnd:
		return current_->fetch_and(at, access.value);
	case seam::Kind::kCompareExchange:
		return current_->compare_exchange(at, access.expected, access.value);
	}
	std::abort();
}

std::string Explorer::describe(const Taken &step) const
{
	static constexpr const char *kKinds[] = {"load", "visible:", "exchange", "or", "and",
						 "compare-exchange", "fence", "", "await"};
	const Operation &operation = step.operation;
	std::ostringstream text;

	text << std::string(24 * step.cpu, ' ') << kKinds[static_cast<unsigned>(operation.kind)] << ' ';
	if (operation.kind == Operation::Kind::kHardware)
		text << operation.name;
	else if (operation.kind != Operation::Kind::kFence)
		text << (names_[operation.location] ? names_[operation.location] : "?");
	text << std::hex;
	if (operation.value)
		text << " 0x" << operation.value;
	if (step.answer)
		text << " -> 0x" << step.answer;
	return text.str();
}

Result Explorer::run(const std::vector<Script> &scripts, const Memory &initial, const Check &check,
		     std::size_t most_states)
{
	using Kind = Operation::Kind;

	Result result;
	std::unordered_set<std::string> met;
	std::vector<Taken> trail;
	std::deque<Course> courses;

	seam::observer = this;

	// Carries out `op`, the next operation of thread `t`; false if it has to wait.
	const auto execute = [](State &state, const Thread &t, const Operation &op,
				std::uint64_t &answer) {
		std::uint64_t &word = state.memory[op.location];

		switch (op.kind) {
		case Kind::kLoad:
			answer = word;
			for (const Buffered &b : t.buffer)
				if (b.location == op.location)
					answer = b.value;
			return true;
		case Kind::kStore:
			break; // done by ask()
		case Kind::kExchange:
		case Kind::kFetchOr:
		case Kind::kFetchAnd:
		case Kind::kCompareExchange:
		case Kind::kFence:
			if (!t.buffer.empty())
				return false;
			answer = word;
			if (op.kind == Kind::kExchange)
				word = op.value;
			else if (op.kind == Kind::kFetchOr)
				word |= op.value;
			else if (op.kind == Kind::kFetchAnd)
				word &= op.value;
			else if (op.kind == Kind::kCompareExchange && word == op.expected)
				word = op.value;
			return true;
		case Kind::kHardware:
			answer = op.hardware(state.memory, op.value);
			return true;
		case Kind::kAwait:
			if (!word)
				return false;
			answer = std::exchange(word, 0);
			return true;
		}
		std::abort();
	};

	const std::function<void(const State &)> visit = [&](const State &state) {
		bool moved = false;

		if (!met.insert(state.key()).second)
			return;
		if (met.size() > most_states) {
			result.refused = kTooManyStates;
			return;
		}
		for (unsigned i = 0; i < scripts.size() && result.refused.empty(); ++i) {
			if (!state.threads[i].buffer.empty()) {
				State next = state;
				std::vector<Buffered> &buffer = next.threads[i].buffer;
				const Buffered oldest = buffer.front();

				moved = true;
				buffer.erase(buffer.begin());
				next.memory[oldest.location] = oldest.value;
				trail.push_back(
					{i, {Kind::kStore, oldest.location, oldest.value, {}, {}}, {}});
				visit(next);
				trail.pop_back();
			}
			if (state.threads[i].finished() || !result.refused.empty())
				continue;

			State next = state;
			Thread &t = next.threads[i];
			const Operation &op = courses[i].next(t.point);
			std::uint64_t answer = 0;

			if (!execute(next, t, op, answer))
				continue;
			moved = true;
			trail.push_back({i, op, answer});
			t.take(courses[i].after(t.point, answer));
			visit(next);
			trail.pop_back();
		}
		if (moved || !result.refused.empty())
			return;

		std::vector<bool> finished;

		for (const Thread &t : state.threads)
			finished.push_back(t.finished());
		++result.ends;
		result.refused = check(state.memory, finished);
		if (result.refused.empty())
			return;
		for (const Taken &step : trail)
			result.trace += describe(step) + '\n';
	};

	State start{initial, std::vector<Thread>(scripts.size())};

	for (unsigned i = 0; i < scripts.size(); ++i)
		start.threads[i].take(courses.emplace_back(*this, scripts[i]).start());
	visit(start);
	seam::observer = nullptr;
	result.states = met.size();
	return result;
}

} // namespace explorer
