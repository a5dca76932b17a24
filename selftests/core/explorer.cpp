// SPDX-License-Identifier: GPL-2.0-only
//
// See explorer.hpp. Depth first, with the set of states already met.
#define SEAM_NO_REDIRECTION
#include "explorer.hpp"

#include <cstdlib>
#include <sstream>
#include <unordered_set>

namespace explorer {
namespace {

// Thrown through a script to stop it at its next operation.
struct Pending {
	Operation operation;
};

} // namespace

struct Explorer::Thread {
	std::vector<std::uint64_t> answers;
	std::vector<Buffered> buffer;
	bool finished = false;
	Operation next{}; // unless finished
};

struct Explorer::State {
	Memory memory;
	std::vector<Thread> threads;

	// All that decides what can happen from here on.
	std::string key() const
	{
		std::string key(reinterpret_cast<const char *>(memory.data()), sizeof(memory));
		const auto put = [&key](std::uint64_t v) {
			key.append(reinterpret_cast<const char *>(&v), sizeof(v));
		};

		for (const Thread &t : threads) {
			put(std::uint64_t{t.finished} << 63 | std::uint64_t{t.answers.size()} << 32 | t.buffer.size());
			for (std::uint64_t answer : t.answers)
				put(answer);
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
	buffer_.push_back({operation.location, operation.value});
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

// Run the script up to its next operation that others could notice or be noticed by. A
// store into the CPU's own buffer is not one: it changes nothing for anybody else, and
// nothing that they do changes it, so all orders of it are the same.
void Explorer::advance(const Script &script, Thread &thread)
{
	Cpu cpu(thread.answers, thread.buffer);

	current_ = &cpu;
	try {
		script(cpu);
		thread.finished = true;
		thread.answers.clear(); // they decide nothing any more
	} catch (const Pending &pending) {
		thread.next = pending.operation;
	}
	current_ = nullptr;
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

	seam::observer = this;

	// Carries out the next operation of thread `t`; false if it has to wait.
	const auto execute = [](State &state, Thread &t, std::uint64_t &answer) {
		const Operation &op = t.next;
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
			result.refused = "too many states";
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
			if (state.threads[i].finished || !result.refused.empty())
				continue;

			State next = state;
			std::uint64_t answer = 0;

			if (!execute(next, next.threads[i], answer))
				continue;
			moved = true;
			trail.push_back({i, next.threads[i].next, answer});
			next.threads[i].answers.push_back(answer);
			advance(scripts[i], next.threads[i]);
			visit(next);
			trail.pop_back();
		}
		if (moved || !result.refused.empty())
			return;

		std::vector<bool> finished;

		for (const Thread &t : state.threads)
			finished.push_back(t.finished);
		++result.ends;
		result.refused = check(state.memory, finished);
		if (result.refused.empty())
			return;
		for (const Taken &step : trail)
			result.trace += describe(step) + '\n';
	};

	State start{initial, std::vector<Thread>(scripts.size())};

	for (unsigned i = 0; i < scripts.size(); ++i)
		advance(scripts[i], start.threads[i]);
	visit(start);
	seam::observer = nullptr;
	result.states = met.size();
	return result;
}

} // namespace explorer
