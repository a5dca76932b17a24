// SPDX-License-Identifier: GPL-2.0-only
//
// Calls every entry point in random sequences and compares the result of each call with a model
// that is written from avic.h alone, with plain values, no atomics and no bit fields.
#include <vapic/avic.h>
#include <vapic/avic_hot.h>

#include <map>
#include <optional>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "machine.hpp"

namespace {

struct ModelVcpu {
	Vcpu *vcpu;
	bool active = false;
	bool asleep = false;
	std::optional<u32> host;  // the CPU on which IsRunning is set
	u32 last = kNowhere;      // the CPU on which it was last, if an entry can name it
	bool far = false;	  // it is on a CPU that no entry can name
	u32 ldr = 0;
	bool flat = true;
	bool x2apic = false;
	bool has_index = false; // it claimed `index` when last synchronised
	u32 index = 0;
	u32 logical_seen = 0; // changes of the table at its last exit of a logical IPI
	vapic_avic_counts counts = {};
};

class Model {
public:
	explicit Model(unsigned seed, bool hide_running) : random(seed), machine(hide_running) {}

	void step();
	void check();

private:
	u32 pick(u32 below) { return static_cast<u32>(random() % below); }

	ModelVcpu *any()
	{
		if (alive.empty())
			return nullptr;
		return &std::next(alive.begin(), pick(static_cast<u32>(alive.size())))->second;
	}

	void create();
	void retire(ModelVcpu &v);
	void load(ModelVcpu &v, u32 host);
	void rename(ModelVcpu &v);
	void synchronise(ModelVcpu &v);
	void withdraw(ModelVcpu &v);
	void send(ModelVcpu &v);
	void access(ModelVcpu &v);
	void words(ModelVcpu &v);

	std::mt19937 random;
	Machine machine;
	std::map<u32, ModelVcpu> alive;
	std::map<u32, u32> logical; // index to ID
	u32 logical_changes = 0;
	std::vector<Vcpu *> retired;
};

void Model::create()
{
	static constexpr u32 kIds[] = {0, 1, 2, 3, 17, 128, 254, 255, 300};
	const u32 id = kIds[pick(9)];
	// KVM refuses a second vCPU with the same ID, and sometimes a vCPU for other reasons.
	const bool stays = !alive.contains(id) && pick(8);
	Vcpu &vcpu = machine.add(id, stays);

	ASSERT_EQ(vcpu.made(), id <= 254);
	if (!vcpu.made())
		return;
	if (stays)
		alive[id].vcpu = &vcpu;
	else
		retired.push_back(&vcpu);
}

void Model::withdraw(ModelVcpu &v)
{
	if (!v.has_index)
		return;
	if (logical.contains(v.index) && logical[v.index] == v.vcpu->id())
		logical.erase(v.index);
	v.has_index = false;
	++logical_changes;
}

void Model::retire(ModelVcpu &v)
{
	vapic_avic_vcpu_retire(v.vcpu->core());
	withdraw(v);
	retired.push_back(v.vcpu);
	alive.erase(v.vcpu->id());
}

void Model::load(ModelVcpu &v, u32 host)
{
	if (!v.active || v.asleep)
		return;
	v.far = host >= kNowhere;
	v.last = std::min(host, kNowhere);
	v.host.reset();
	if (!v.far)
		v.host = host;
}

// Writes LDR and DFR, and chooses the APIC mode.
void Model::rename(ModelVcpu &v)
{
	static constexpr u32 kLdrs[] = {0, 0x01, 0x02, 0x04, 0x08, 0x10, 0x80, 0x03, 0x11, 0x12, 0xe4, 0xf1};

	v.ldr = kLdrs[pick(12)];
	v.flat = pick(2);
	v.x2apic = pick(6) == 0;
	v.vcpu->set_ldr(v.ldr);
	v.vcpu->set_dfr(v.flat ? Machine::kFlat : Machine::kCluster);
}

void Model::synchronise(ModelVcpu &v)
{
	std::optional<u32> index;

	vapic_avic_vcpu_sync_logical(v.vcpu->core(), v.x2apic);
	for (u32 i = 0; i < (v.flat ? 8u : 60u); ++i) {
		const u32 id = v.flat ? 1u << i : i / 4 << 4 | 1u << i % 4;

		if (id == v.ldr && v.active && !v.x2apic)
			index = i;
	}
	if (v.has_index && index != v.index)
		withdraw(v);
	if (!index)
		return;
	v.has_index = true;
	v.index = *index;
	if (logical.contains(*index) && logical[*index] == v.vcpu->id())
		return;
	logical[*index] = v.vcpu->id();
	++logical_changes;
}

void Model::send(ModelVcpu &v)
{
	const u32 dest = pick(4) ? pick(256) : 0xff;
	const bool to_logical = pick(2);
	const u32 shorthand = pick(3) ? 0 : pick(4);
	const u32 low = pick(256) | shorthand << 18 | u32{to_logical} << 11 | pick(2) << 12;
	const u32 failure = pick(2) ? 1 : std::array{0u, 2u, 4u, 5u}[pick(4)];
	const bool visit_all = pick(2);
	const vapic_avic_ipi_action action = incomplete_ipi(v.vcpu->core(), u64{dest} << 56 | low,
							    u64{failure} << 32 | dest, visit_all);

	if (failure < 5)
		++v.counts.ipi_exits[failure];
	if (failure != 1) {
		const vapic_avic_ipi_action send = low & 0x1000 ? VAPIC_AVIC_IPI_REWRITE : VAPIC_AVIC_IPI_EMULATE;

		ASSERT_EQ(action, failure == 5	 ? VAPIC_AVIC_IPI_UNKNOWN
				  : failure == 4 ? VAPIC_AVIC_IPI_DONE
						 : send);
		ASSERT_TRUE(fake_host::take_targets().empty());
		return;
	}
	ASSERT_EQ(action, VAPIC_AVIC_IPI_DONE);

	std::set<u32> to;

	for (auto &[id, other] : alive) {
		const bool everybody =
			shorthand == 2 || (shorthand == 3 && &other != &v) ||
			(!shorthand && (dest == 0xff || (to_logical && !v.flat && dest >= 0xf0)));

		if (everybody || (shorthand == 1 && &other == &v) ||
		    (!shorthand && !to_logical && id == dest))
			to.insert(id);
	}
	if (!shorthand && to_logical && dest != 0xff && (v.flat || dest < 0xf0)) {
		for (auto [index, id] : logical) {
			const u32 as_id = v.flat ? (index < 8 ? 1u << index : 0)
						 : index / 4 << 4 | 1u << index % 4;

			if (v.flat ? as_id & dest : as_id / 16 == dest / 16 && (as_id & dest & 15))
				to.insert(id);
		}
		// The table has changed since this sender's last such exit: every vCPU is a target.
		if (v.logical_seen != logical_changes)
			for (const auto &[id, other] : alive)
				to.insert(id);
		v.logical_seen = logical_changes;
	}

	std::vector<fake_host::Target> expected;

	for (u32 id : to) {
		const ModelVcpu &t = alive.at(id);

		if (!t.active)
			expected.push_back({t.vcpu->host(), low, VAPIC_AVIC_TARGET_INACTIVE});
		else if (t.asleep)
			expected.push_back({t.vcpu->host(), low, VAPIC_AVIC_TARGET_ASLEEP});
		else if (machine.hide_running() || t.far)
			expected.push_back({t.vcpu->host(), low, VAPIC_AVIC_TARGET_UNSEEN});
		else if (visit_all)
			expected.push_back({t.vcpu->host(), low, VAPIC_AVIC_TARGET_AWAKE});
		v.counts.ipi_inactive += !t.active;
		v.counts.ipi_woken += t.active && t.asleep;
	}
	ASSERT_THAT(fake_host::take_targets(), testing::UnorderedElementsAreArray(expected));
}

void Model::access(ModelVcpu &v)
{
	const u32 offset = pick(256) << 4;
	const bool write = pick(2);
	vapic_avic_access result;

	vapic_avic_vcpu_access(v.vcpu->core(), u64{write} << 32 | offset, pick(256), &result);
	++(result.trap ? v.counts.accesses_trap : v.counts.accesses_fault);
	ASSERT_EQ(result.offset, offset);
	ASSERT_EQ(result.write, write);
	ASSERT_TRUE(write || !result.trap);
	ASSERT_EQ(result.trap, result.action != VAPIC_AVIC_ACCESS_EMULATE);
}

void Model::words(ModelVcpu &v)
{
	const u32 int_ctl = static_cast<u32>(random());
	const auto mode = static_cast<vapic_avic_mode>(pick(3));
	const u32 set[] = {0, 0x80000000u, 0xc0000000u};
	vapic_avic_vmcb w;

	vapic_avic_vcpu_vmcb_words(v.vcpu->core(), int_ctl, mode, &w);
	ASSERT_EQ(w.backing_page, v.vcpu->regs_pa());
	ASSERT_EQ(w.int_ctl, (int_ctl & 0x3fffffff) | set[mode]);
	ASSERT_EQ(w.physical_table, Machine::kPhysicalPa + (mode == VAPIC_AVIC_OFF ? 0 : 254));
}

void Model::step()
{
	const u32 what = pick(16);

	if (what == 0 || alive.empty())
		return create();
	if (what == 1 && pick(4) == 0)
		return retire(*any());
	if (what == 2 && !retired.empty()) {
		EXPECT_FALSE(vapic_avic_vcpu_retire(
			retired[pick(static_cast<u32>(retired.size()))]->core()));
		return;
	}

	ModelVcpu &v = *any();
	vapic_avic_vcpu *core = v.vcpu->core();
	const u32 host = pick(4) ? pick(0x1000) : 0xffe + pick(4);

	switch (what) {
	case 3:
	case 4:
		vapic_avic_vcpu_load(core, host);
		return load(v, host);
	case 5:
		vapic_avic_vcpu_put(core);
		v.host.reset();
		return;
	case 6:
	case 7:
		vapic_avic_vcpu_block(core);
		v.asleep = true;
		v.host.reset();
		return;
	case 8:
	case 9:
		vapic_avic_vcpu_unblock(core, host);
		v.asleep = false;
		return load(v, host);
	case 10:
		vapic_avic_vcpu_activate(core);
		v.active = true;
		return synchronise(v);
	case 11:
		if (pick(2))
			return;
		vapic_avic_vcpu_deactivate(core);
		v.active = false;
		v.host.reset();
		return synchronise(v);
	case 12:
		rename(v);
		return synchronise(v);
	case 13:
		return access(v);
	case 14:
		return words(v);
	default:
		return send(v);
	}
}

// Compares both tables completely, the attention byte of every ID in use, and every count.
void Model::check()
{
	for (u32 id = 0; id < 512; ++id) {
		u64 entry = 0;

		if (alive.contains(id)) {
			const ModelVcpu &v = alive.at(id);

			entry = v.host ? running(*v.vcpu, *v.host) : parked(*v.vcpu, v.last);
			if (machine.hide_running())
				entry &= ~kEntryRunning;
			ASSERT_EQ(machine.attention()[id], v.asleep + 2 * !v.active + 4 * v.far) << id;
			ASSERT_EQ(vapic_avic_vcpu_must_wake(v.vcpu->core()), v.asleep) << id;
		}
		ASSERT_EQ(machine.physical(id), entry) << id;
	}
	for (u32 i = 0; i < 1024; ++i)
		ASSERT_EQ(machine.logical(i), logical.contains(i) ? 0x80000000u | logical[i] : 0) << i;
	for (auto &[id, v] : alive) {
		const vapic_avic_counts c = v.vcpu->counts();

		for (unsigned i = 0; i < 5; ++i)
			ASSERT_EQ(c.ipi_exits[i], v.counts.ipi_exits[i]) << id;
		ASSERT_EQ(c.ipi_woken, v.counts.ipi_woken) << id;
		ASSERT_EQ(c.ipi_inactive, v.counts.ipi_inactive) << id;
		ASSERT_EQ(c.accesses_trap, v.counts.accesses_trap) << id;
		ASSERT_EQ(c.accesses_fault, v.counts.accesses_fault) << id;
	}
}

class RandomSequence : public testing::TestWithParam<unsigned> {};

TEST_P(RandomSequence, AgreesWithTheModelAfterEveryCall)
{
	Model model(GetParam(), GetParam() % 2);

	for (unsigned i = 0; i < 2000; ++i) {
		model.step();
		if (HasFatalFailure())
			FAIL() << "seed " << GetParam() << " call " << i;
		model.check();
		if (HasFatalFailure())
			FAIL() << "seed " << GetParam() << " call " << i;
	}
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSequence, testing::Range(1u, 25u));

} // namespace
