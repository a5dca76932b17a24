// SPDX-License-Identifier: GPL-2.0-only
//
// Which vCPU has which table entry, from creation to retirement, and which vCPUs the logical
// table names. The states during a call are tested in tables_history_test.cpp.
#include <vapic/avic.h>
#include <vapic/avic_hot.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "machine.hpp"

namespace {

std::vector<unsigned char> bytes(const void *memory, std::size_t size)
{
	const auto *first = static_cast<const unsigned char *>(memory);

	return {first, first + size};
}

// Everything hardware reads, for "nothing changed".
std::vector<unsigned char> tables(const Machine &machine)
{
	std::vector<unsigned char> all = bytes(machine.physical(), 4096);
	const std::vector<unsigned char> logical = bytes(machine.logical(), 4096);

	all.insert(all.end(), logical.begin(), logical.end());
	return all;
}

TEST(Creation, GivesTheEntryOfTheIdAndNoOther)
{
	for (u32 id = 0; id <= 254; ++id) {
		Machine machine;
		Vcpu &vcpu = machine.add(id);

		ASSERT_TRUE(vcpu.made());
		for (u32 i = 0; i < 512; ++i)
			ASSERT_EQ(machine.physical(i), i == id ? parked(vcpu) : 0) << i;
		EXPECT_EQ(std::count(machine.logical(), machine.logical() + 1024, 0u), 1024);
	}
}

TEST(Creation, RefusesIdsBeyondTheTable)
{
	for (u32 id : {255u, 256u, 511u, 512u, 4095u, 0x7fffffffu, 0xffffffffu}) {
		Machine machine;
		const std::vector<unsigned char> vm = bytes(machine.core(), vapic_avic_vm_size(machine.ids()));
		const std::vector<unsigned char> before = tables(machine);
		Vcpu &vcpu = machine.add(id);

		EXPECT_FALSE(vcpu.made()) << id;
		EXPECT_TRUE(vcpu.object().all_zero());
		EXPECT_EQ(tables(machine), before);
		EXPECT_EQ(bytes(machine.core(), vapic_avic_vm_size(machine.ids())), vm);
	}
}

// Creates a vCPU that KVM refuses, and calls what creation calls: the VM must not change.
TEST(Creation, VcpuThatDoesNotStayIsNotInTheTables)
{
	for (bool other_came_first : {false, true}) {
		Machine machine;
		Vcpu *owner = other_came_first ? &machine.add_active(9) : nullptr;
		const std::vector<unsigned char> before = tables(machine);
		const std::vector<unsigned char> vm = bytes(machine.core(), vapic_avic_vm_size(machine.ids()));
		Vcpu &vcpu = machine.add(9, false);

		ASSERT_TRUE(vcpu.made());
		vapic_avic_vcpu_activate(vcpu.core());
		vapic_avic_vcpu_load(vcpu.core(), 3);
		vcpu.set_ldr(0x02);
		vapic_avic_vcpu_sync_logical(vcpu.core(), false);
		vapic_avic_vcpu_block(vcpu.core());
		vapic_avic_vcpu_unblock(vcpu.core(), 3);
		vapic_avic_vcpu_put(vcpu.core());
		EXPECT_FALSE(vapic_avic_vcpu_retire(vcpu.core())) << "nobody needs to wait";
		EXPECT_EQ(tables(machine), before);
		EXPECT_EQ(bytes(machine.core(), vapic_avic_vm_size(machine.ids())), vm);
		if (owner) {
			EXPECT_TRUE(vapic_avic_vcpu_retire(owner->core()));
		}
	}
}

// Of two vCPUs with one ID, the one that stays has the entry, in either order of creation.
TEST(Creation, TheVcpuThatStaysHasTheEntry)
{
	for (bool first_stays : {false, true}) {
		Machine machine;
		Vcpu &first = machine.add(9, first_stays);
		Vcpu &second = machine.add(9, !first_stays);
		Vcpu &stays = first_stays ? first : second;
		Vcpu &goes = first_stays ? second : first;

		vapic_avic_vcpu_retire(goes.core());
		vapic_avic_vcpu_activate(stays.core());
		vapic_avic_vcpu_load(stays.core(), 4);
		EXPECT_EQ(machine.physical(9), running(stays, 4));
	}
}

// A vCPU that set asleep in its own byte before it had an entry is asleep in the table's byte, too.
TEST(Creation, StateBeforeTheEntryIsKept)
{
	Machine machine;
	Vcpu &vcpu = machine.add(9, false);

	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_block(vcpu.core());
	EXPECT_TRUE(vapic_avic_vcpu_must_wake(vcpu.core()));
	EXPECT_EQ(machine.attention()[9], 0);
	*reinterpret_cast<char *>(vcpu.host()) = 0;
	vapic_avic_vcpu_load(vcpu.core(), 4);
	EXPECT_TRUE(vapic_avic_vcpu_must_wake(vcpu.core()));
	EXPECT_EQ(machine.attention()[9], 1);
	EXPECT_EQ(machine.physical(9), parked(vcpu));
}

TEST(Creation, SecondVcpuOfAnIdThatStaysIsReportedAndTheOwnerIsNotDisturbed)
{
	Machine machine;
	Vcpu &owner = machine.add_active(9);

	owner.set_ldr(0x02);
	vapic_avic_vcpu_sync_logical(owner.core(), false);
	vapic_avic_vcpu_load(owner.core(), 4);

	const std::vector<unsigned char> before = tables(machine);
	const std::vector<unsigned char> vm = bytes(machine.core(), vapic_avic_vm_size(machine.ids()));
	fake_host::ExpectBroken broken;
	Vcpu &second = machine.add_active(9);

	EXPECT_THAT(broken.take(), testing::ElementsAre(vapic::Broken::kEntryForeign));
	vapic_avic_vcpu_load(second.core(), 3);
	EXPECT_THAT(broken.take(), testing::ElementsAre(vapic::Broken::kEntryForeign));
	vapic_avic_vcpu_retire(second.core());
	EXPECT_EQ(tables(machine), before);
	EXPECT_EQ(bytes(machine.core(), vapic_avic_vm_size(machine.ids())), vm);

	// An IPI still finds the owner.
	vapic_avic_vcpu_block(owner.core());
	EXPECT_EQ(incomplete_ipi(owner.core(), 0x0900000000000041ull, 0x100000000ull, false),
		  VAPIC_AVIC_IPI_DONE);
	EXPECT_THAT(fake_host::take_targets(),
		    testing::ElementsAre(
			    fake_host::Target{owner.host(), 0x41, VAPIC_AVIC_TARGET_ASLEEP}));
}

// Tables of all sizes: the last ID has its entry, and the next one is refused.
TEST(Creation, TheTableEndsWhereTheMachineSays)
{
	for (u32 ids : {1u, 2u, 63u, 64u, 255u, 256u, 511u, 512u, 513u, 4095u, 4096u}) {
		Machine machine(false, ids);
		Vcpu &last = machine.add_active(ids - 1);

		ASSERT_TRUE(last.made());
		vapic_avic_vcpu_load(last.core(), 4);
		EXPECT_EQ(machine.physical(ids - 1), running(last, 4));
		EXPECT_EQ(machine.attention()[ids - 1], 0);
		EXPECT_FALSE(machine.add(ids).made());
		EXPECT_TRUE(vapic_avic_vcpu_retire(last.core()));
		EXPECT_EQ(machine.physical(ids - 1), 0u);
	}
}

// An entry of the logical table has 8 bits for an ID.
TEST(LogicalId, OfAVcpuWithAnIdAboveXapicModesIsInNoTable)
{
	Machine machine(false, 512);

	for (u32 id : {255u, 256u, 257u, 511u}) {
		Vcpu &vcpu = machine.add_active(id);

		vcpu.set_ldr(0x02);
		vapic_avic_vcpu_sync_logical(vcpu.core(), false);
		EXPECT_EQ(std::count(machine.logical(), machine.logical() + 1024, 0u), 1024) << id;
	}

	Vcpu &vcpu = machine.add_active(254);

	vcpu.set_ldr(0x02);
	vapic_avic_vcpu_sync_logical(vcpu.core(), false);
	EXPECT_EQ(machine.logical(1), logical_entry(vcpu));
}

TEST(Creation, MisalignedRegisterPageIsReported)
{
	Machine machine;
	Block object(vapic_avic_vcpu_size(), VAPIC_AVIC_ALIGN);
	Block regs(4096, 4096);
	fake_host::ExpectBroken broken;

	EXPECT_TRUE(vapic_avic_vcpu_init(static_cast<vapic_avic_vcpu *>(object.get()),
					 machine.core(), nullptr, 3, regs.get(), 0x12345010));
	EXPECT_THAT(broken.take(), testing::ElementsAre(vapic::Broken::kMisalignedTable));
	vapic_avic_vcpu_load(static_cast<vapic_avic_vcpu *>(object.get()), 5);
	EXPECT_EQ(machine.physical(3), 0x8000000012345fffull);
}

TEST(Retirement, ClearsBothEntriesOnce)
{
	Machine machine;
	Vcpu &stays = machine.add_active(1);
	Vcpu &goes = machine.add_active(2);

	stays.set_ldr(0x01);
	goes.set_ldr(0x02);
	vapic_avic_vcpu_sync_logical(stays.core(), false);
	vapic_avic_vcpu_sync_logical(goes.core(), false);
	vapic_avic_vcpu_retire(goes.core());
	EXPECT_EQ(machine.physical(1), parked(stays));
	EXPECT_EQ(machine.physical(2), 0u);
	EXPECT_EQ(machine.logical(0), logical_entry(stays));
	EXPECT_EQ(machine.logical(1), 0u);
}

TEST(Retirement, SecondTimeDoesNotDisturbTheIdsNextOwner)
{
	Machine machine;
	Vcpu &first = machine.add_active(2);

	first.set_ldr(0x02);
	vapic_avic_vcpu_sync_logical(first.core(), false);
	vapic_avic_vcpu_retire(first.core());

	Vcpu &next = machine.add_active(2);

	ASSERT_TRUE(next.made());
	next.set_ldr(0x02);
	vapic_avic_vcpu_sync_logical(next.core(), false);
	vapic_avic_vcpu_load(next.core(), 6);

	const std::vector<unsigned char> before = tables(machine);

	vapic_avic_vcpu_retire(first.core());
	EXPECT_EQ(tables(machine), before);
	EXPECT_EQ(machine.physical(2), running(next, 6));
}

TEST(Retirement, RunningVcpuLeavesNothingBehind)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(2);

	vapic_avic_vcpu_load(vcpu.core(), 6);
	vapic_avic_vcpu_retire(vcpu.core());
	EXPECT_EQ(machine.physical(2), 0u);
}

TEST(Retirement, NextOwnerOfTheIdBeginsInactive)
{
	Machine machine;
	Vcpu &first = machine.add_active(2);

	vapic_avic_vcpu_block(first.core());
	vapic_avic_vcpu_retire(first.core());

	Vcpu &next = machine.add(2);

	EXPECT_FALSE(vapic_avic_vcpu_must_wake(next.core()));
	EXPECT_EQ(machine.attention()[2], 2);
}

TEST(Retirement, EntryChangedBySomebodyElseIsReported)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(2);
	fake_host::ExpectBroken broken;

	machine.physical()[2] = 0x8000000000777000ull;
	vapic_avic_vcpu_retire(vcpu.core());
	EXPECT_THAT(broken.take(), testing::ElementsAre(vapic::Broken::kEntryForeign));
	EXPECT_EQ(machine.physical(2), 0u);
}

// --- Logical table ---

class Logical : public testing::Test {
protected:
	// Returns all entries that are not empty, as (index, entry).
	std::vector<std::pair<u32, u32>> entries() const
	{
		std::vector<std::pair<u32, u32>> found;

		for (u32 i = 0; i < 1024; ++i)
			if (machine.logical(i))
				found.emplace_back(i, machine.logical(i));
		return found;
	}

	void set(Vcpu &vcpu, u32 ldr, u32 dfr, bool x2apic = false)
	{
		vcpu.set_ldr(ldr);
		vcpu.set_dfr(dfr);
		vapic_avic_vcpu_sync_logical(vcpu.core(), x2apic);
	}

	Machine machine;
};

TEST_F(Logical, EveryLdrAndModelHasAtMostItsOneEntry)
{
	Vcpu &vcpu = machine.add_active(200);

	for (u32 dfr : {Machine::kFlat, Machine::kCluster}) {
		for (u32 ldr = 0; ldr < 256; ++ldr) {
			set(vcpu, ldr, dfr);

			const bool flat = dfr == Machine::kFlat;
			const u32 id = flat ? ldr : ldr & 15;
			const bool has_one = id == 1 || id == 2 || id == 4 || id == 8 || id == 16 ||
					     id == 32 || id == 64 || id == 128;

			if (!has_one || (!flat && ldr >= 0xf0)) {
				ASSERT_TRUE(entries().empty()) << ldr;
				continue;
			}

			u32 index = flat ? 0 : ldr / 16 * 4;

			for (u32 bit = id; bit > 1; bit /= 2)
				++index;
			ASSERT_THAT(entries(), testing::ElementsAre(
						       testing::Pair(index, logical_entry(vcpu))))
				<< ldr;
		}
	}
}

TEST_F(Logical, ChangeOfModelMovesTheEntry)
{
	Vcpu &vcpu = machine.add_active(3);

	set(vcpu, 0x21, Machine::kCluster);
	EXPECT_THAT(entries(), testing::ElementsAre(testing::Pair(8, logical_entry(vcpu))));
	// 21h names two bits of the flat model.
	set(vcpu, 0x21, Machine::kFlat);
	EXPECT_TRUE(entries().empty());
	set(vcpu, 0x20, Machine::kFlat);
	EXPECT_THAT(entries(), testing::ElementsAre(testing::Pair(5, logical_entry(vcpu))));
	set(vcpu, 0x24, Machine::kCluster);
	EXPECT_THAT(entries(), testing::ElementsAre(testing::Pair(10, logical_entry(vcpu))));
}

TEST_F(Logical, X2apicModeHasNoEntry)
{
	Vcpu &vcpu = machine.add_active(3);

	set(vcpu, 0x01, Machine::kFlat, true);
	EXPECT_TRUE(entries().empty());
	set(vcpu, 0x01, Machine::kFlat, false);
	EXPECT_EQ(entries().size(), 1u);
	set(vcpu, 0x01, Machine::kFlat, true);
	EXPECT_TRUE(entries().empty());
	set(vcpu, 0x01, Machine::kFlat, false);
	EXPECT_THAT(entries(), testing::ElementsAre(testing::Pair(0, logical_entry(vcpu))));
}

TEST_F(Logical, InactiveVcpuHasNoEntry)
{
	Vcpu &vcpu = machine.add_active(3);

	set(vcpu, 0x01, Machine::kFlat);
	ASSERT_EQ(entries().size(), 1u);
	vapic_avic_vcpu_deactivate(vcpu.core());
	vapic_avic_vcpu_sync_logical(vcpu.core(), false);
	EXPECT_TRUE(entries().empty());
	// KVM's emulation changes the ID, or user space restores another: there is no entry yet.
	set(vcpu, 0x04, Machine::kFlat);
	EXPECT_TRUE(entries().empty());
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_sync_logical(vcpu.core(), false);
	EXPECT_THAT(entries(), testing::ElementsAre(testing::Pair(2, logical_entry(vcpu))));
}

TEST_F(Logical, ClusterFifteenAndSeveralBitsHaveNoEntry)
{
	Vcpu &vcpu = machine.add_active(3);

	for (u32 ldr : {0xf1u, 0xf8u, 0x13u, 0x0fu, 0x10u, 0x00u}) {
		set(vcpu, 0x12, Machine::kCluster);
		ASSERT_EQ(entries().size(), 1u);
		set(vcpu, ldr, Machine::kCluster);
		EXPECT_TRUE(entries().empty()) << ldr;
	}
}

TEST_F(Logical, OwnerMayTakeAnEntryBackThatAnotherLeftEmpty)
{
	Vcpu &a = machine.add_active(1);
	Vcpu &b = machine.add_active(2);

	set(a, 0x01, Machine::kFlat);
	set(b, 0x01, Machine::kFlat);
	EXPECT_EQ(machine.logical(0), logical_entry(b));
	set(b, 0x02, Machine::kFlat);
	// Empty: logical IPIs to it exit as "invalid target" and are sent in software.
	EXPECT_EQ(machine.logical(0), 0u);
	vapic_avic_vcpu_sync_logical(a.core(), false);
	EXPECT_EQ(machine.logical(0), logical_entry(a));
	EXPECT_EQ(machine.logical(1), logical_entry(b));
}

// Three vCPUs with one logical ID get and leave it in every order, by LDR and by retirement: at
// the end of each call no entry names a vCPU that does not have the ID.
TEST_F(Logical, SharedIdNeverNamesAVcpuThatLeft)
{
	std::vector<unsigned> arrive = {0, 1, 2};

	do {
		std::vector<unsigned> leave = {0, 1, 2};

		do {
			for (unsigned retire = 0; retire < 8; ++retire) {
				Machine vm;
				Vcpu *vcpus[] = {&vm.add_active(10), &vm.add_active(11),
						 &vm.add_active(12)};

				for (unsigned i : arrive) {
					vcpus[i]->set_ldr(0x04);
					vapic_avic_vcpu_sync_logical(vcpus[i]->core(), false);
					ASSERT_EQ(vm.logical(2), logical_entry(*vcpus[i]));
				}

				u32 named = logical_entry(*vcpus[arrive[2]]);

				for (unsigned i : leave) {
					vcpus[i]->set_ldr(0);
					if (retire >> i & 1)
						vapic_avic_vcpu_retire(vcpus[i]->core());
					else
						vapic_avic_vcpu_sync_logical(vcpus[i]->core(), false);
					if (named == logical_entry(*vcpus[i]))
						named = 0;
					ASSERT_EQ(vm.logical(2), named);
				}
				ASSERT_EQ(std::count(vm.logical(), vm.logical() + 1024, 0u), 1024);
			}
		} while (std::next_permutation(leave.begin(), leave.end()));
	} while (std::next_permutation(arrive.begin(), arrive.end()));
}

} // namespace
