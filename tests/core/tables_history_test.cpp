// SPDX-License-Identifier: GPL-2.0-only
//
// The logical table while logical IDs move: in no state between two writes does an entry name a
// vCPU that does not have this ID, except for the ID that the present call takes from the vCPU.
#define SEAM_NO_REDIRECTION
#include "history.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace {

constexpr unsigned kVcpus = 3;

// Values that a guest may write to LDR and DFR, and the index where the table should have the vCPU.
struct Choice {
	u32 ldr;
	u32 dfr;
	bool x2apic;
	int index; // -1: nowhere
};

constexpr Choice kChoices[] = {
	{0x00, Machine::kFlat, false, -1},    // as after reset
	{0x01, Machine::kFlat, false, 0},
	{0x02, Machine::kFlat, false, 1},
	{0x01, Machine::kCluster, false, 0},  // another model, the same entry
	{0x14, Machine::kCluster, false, 6},
	{0x03, Machine::kFlat, false, -1},    // several bits
	{0xf1, Machine::kCluster, false, -1}, // cluster 15
	{0x01, Machine::kFlat, true, -1},     // x2APIC mode
};

class Moves {
public:
	Moves()
	{
		for (unsigned i = 0; i < kVcpus; ++i)
			vcpus[i] = &machine.add_active(20 + i);
	}

	// Gives the choice to vCPU `who`, or retires the vCPU.
	void move(unsigned who, const Choice *choice)
	{
		Vcpu &vcpu = *vcpus[who];
		const int had = index[who];

		if (choice) {
			vcpu.set_ldr(choice->ldr);
			vcpu.set_dfr(choice->dfr);
		}
		index[who] = choice ? choice->index : -1;

		History history(machine);

		if (choice)
			vapic_avic_vcpu_sync_logical(vcpu.core(), choice->x2apic);
		else
			vapic_avic_vcpu_retire(vcpu.core());

		history.replay([&](const Visible &v) { judge(v, who, had); });
		states += history.writes() + 1;
		judge_end();
	}

	unsigned long states = 0;

private:
	// The documented exception: the old entry may remain from the guest's write of LDR until
	// the end of the call.
	void judge(const Visible &v, unsigned who, int had)
	{
		for (int i = 0; i < 1024; ++i) {
			const u32 entry = v.logical[i];

			if (!entry)
				continue;
			ASSERT_EQ(entry & ~0x800000ffu, 0u) << "reserved bits";
			ASSERT_TRUE(entry & 0x80000000u) << "not valid, yet not empty";

			const unsigned named = (entry & 0xff) - 20;

			ASSERT_LT(named, kVcpus);
			ASSERT_TRUE(index[named] == i || (named == who && had == i))
				<< "entry " << i << " names vCPU " << named;
			// Hardware looks up the vCPU in the physical table next.
			ASSERT_TRUE(v.physical[entry & 0xff] & kEntryValid);
		}
	}

	// After the call, each entry names the vCPU that has this index.
	void judge_end()
	{
		for (int i = 0; i < 1024; ++i) {
			const u32 entry = machine.logical(static_cast<u32>(i));

			if (!entry)
				continue;
			ASSERT_EQ(index[(entry & 0xff) - 20], i);
		}
	}

	Machine machine;
	Vcpu *vcpus[kVcpus];
	int index[kVcpus] = {-1, -1, -1};
};

// All sequences of three moves, by each vCPU and with each choice, from every common beginning.
TEST(LogicalHistory, NoStateNamesAVcpuByAnIdItHasNot)
{
	constexpr unsigned kMoves = kVcpus * std::size(kChoices);
	unsigned long states = 0;

	for (unsigned a = 0; a < kMoves; ++a) {
		for (unsigned b = 0; b < kMoves; ++b) {
			for (unsigned c = 0; c < kMoves; ++c) {
				Moves h;

				for (unsigned m : {a, b, c})
					h.move(m % kVcpus, &kChoices[m / kVcpus]);
				states += h.states;
				if (testing::Test::HasFatalFailure())
					FAIL() << "moves " << a << ' ' << b << ' ' << c;
			}
		}
	}
	EXPECT_GT(states, kMoves * kMoves * kMoves * 3ul);
}

// Two or three vCPUs share an ID and then leave it, by LDR or by retirement.
TEST(LogicalHistory, SharedIdIsLeftInAnyOrder)
{
	std::vector<unsigned> arrive = {0, 1, 2};

	do {
		std::vector<unsigned> leave = {0, 1, 2};

		do {
			for (unsigned how = 0; how < 27; ++how) {
				Moves h;
				const Choice *const ways[] = {&kChoices[0], &kChoices[2], nullptr};
				unsigned rest = how;

				for (unsigned who : arrive)
					h.move(who, &kChoices[1]);
				for (unsigned who : leave) {
					h.move(who, ways[rest % 3]);
					rest /= 3;
				}
				ASSERT_FALSE(testing::Test::HasFatalFailure());
			}
		} while (std::next_permutation(leave.begin(), leave.end()));
	} while (std::next_permutation(arrive.begin(), arrive.end()));
}

// Another vCPU takes the entry after this vCPU has read it and before this vCPU withdraws it.
TEST(LogicalHistory, WithdrawalDoesNotEraseAnEntryTakenMeanwhile)
{
	Machine machine;
	Vcpu &mover = machine.add_active(1);
	Vcpu &other = machine.add_active(2);

	for (Vcpu *v : {&mover, &other})
		v->set_ldr(0x01);
	vapic_avic_vcpu_sync_logical(mover.core(), false);

	// The other vCPU publishes its entry just before the withdrawal's first access, of any
	// kind, to the entry.
	class Intruder final : public seam::Observer {
	public:
		Intruder(const u32 *entry, vapic_avic_vcpu *intruder) : entry_(entry), intruder_(intruder) {}

		std::uint64_t access(const seam::Access &a) override
		{
			if (a.address == entry_) {
				seam::observer = nullptr;
				vapic_avic_vcpu_sync_logical(intruder_, false);
				came_ = true;
			}
			return seam::perform(a);
		}

		bool came() const { return came_; }

	private:
		const u32 *entry_;
		vapic_avic_vcpu *intruder_;
		bool came_ = false;
	} intruder(&machine.logical()[0], other.core());

	mover.set_ldr(0x02);
	seam::observer = &intruder;
	vapic_avic_vcpu_sync_logical(mover.core(), false);
	seam::observer = nullptr;
	ASSERT_TRUE(intruder.came());
	EXPECT_EQ(machine.logical(0), logical_entry(other));
	EXPECT_EQ(machine.logical(1), logical_entry(mover));
}

} // namespace
