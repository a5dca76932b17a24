// SPDX-License-Identifier: GPL-2.0-only
//
// What core wants of the IOMMU after each residency call, for a vCPU that interrupts of assigned
// devices name; and the tags by which the IOMMU's log names a vCPU.
#include <vapic/avic.h>

#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "machine.hpp"

static bool operator==(const vapic_posting &a, const vapic_posting &b)
{
	return a.posts == b.posts && a.rings == b.rings && a.host.raw == b.host.raw;
}

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr vapic_posting kRemaps{};
constexpr vapic_posting kLogs{.posts = true, .rings = false, .host = {}};

constexpr vapic_posting rings(u32 host)
{
	return {.posts = true, .rings = true, .host = {host}};
}

class Device : public testing::TestWithParam<bool> {
protected:
	Device()
	{
		fake_host::handle_posting([this](vapic_vcpu *glue, vapic_posting how) {
			EXPECT_EQ(glue, vcpu.host());
			told.push_back(how);
			vapic_avic_posting_set(vcpu.core(), how);
		});
	}

	~Device() override { fake_host::handle_posting({}); }

	// As the glue does it.
	vapic_posting assign(u32 here)
	{
		const vapic_posting how = vapic_avic_posting_add(vcpu.core(), here);

		vapic_avic_posting_set(vcpu.core(), how);
		return how;
	}

	std::vector<vapic_posting> take() { return std::exchange(told, {}); }

	Machine machine{GetParam()};
	Vcpu &vcpu = machine.add_active(7);
	std::vector<vapic_posting> told;
};

INSTANTIATE_TEST_SUITE_P(ShownAndHidden, Device, testing::Bool());

TEST_P(Device, NothingIsToldWithoutOne)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_block(vcpu.core());
	vapic_avic_vcpu_unblock(vcpu.core(), 4);
	vapic_avic_vcpu_deactivate(vcpu.core());
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_put(vcpu.core());
	EXPECT_THAT(told, IsEmpty());
	EXPECT_FALSE(vapic_avic_vcpu_posts(vcpu.core()));
}

TEST_P(Device, LoadTellsTheCpuOnlyIfItIsAnother)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	EXPECT_EQ(assign(9), rings(3));
	vapic_avic_vcpu_put(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	EXPECT_THAT(take(), IsEmpty());
	vapic_avic_vcpu_put(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 4);
	EXPECT_THAT(take(), ElementsAre(rings(4)));
}

// Root has switched posting off for the VM: the vCPU follows when it is next loaded.
TEST_P(Device, IsRemappedWhileTheVmSaysSo)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	EXPECT_EQ(assign(9), rings(3));
	vapic_avic_vm_set_remaps(machine.core(), true);
	EXPECT_THAT(take(), IsEmpty());
	vapic_avic_vcpu_unblock(vcpu.core(), 3);
	EXPECT_THAT(take(), ElementsAre(kRemaps));
	vapic_avic_vcpu_block(vcpu.core());
	vapic_avic_vcpu_unblock(vcpu.core(), 4);
	EXPECT_THAT(take(), IsEmpty());
	// Nor is another interrupt posted that comes meanwhile.
	vapic_avic_posting_end(vcpu.core());
	EXPECT_EQ(assign(9), kRemaps);
	vapic_avic_vm_set_remaps(machine.core(), false);
	vapic_avic_vcpu_block(vcpu.core());
	EXPECT_THAT(take(), ElementsAre(kLogs));
	vapic_avic_vcpu_unblock(vcpu.core(), 4);
	EXPECT_THAT(take(), ElementsAre(rings(4)));
}

// The log would wake a vCPU that does not sleep.
TEST_P(Device, PreemptedVcpuIsNotLogged)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_put(vcpu.core());
	EXPECT_EQ(assign(9), rings(3));
	EXPECT_THAT(take(), IsEmpty());
}

TEST_P(Device, BlockedVcpuIsLoggedUntilItUnblocks)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	assign(9);
	vapic_avic_vcpu_block(vcpu.core());
	EXPECT_THAT(take(), ElementsAre(kLogs));
	vapic_avic_vcpu_put(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 4);
	EXPECT_THAT(take(), IsEmpty());
	vapic_avic_vcpu_unblock(vcpu.core(), 4);
	EXPECT_THAT(take(), ElementsAre(rings(4)));
}

TEST_P(Device, InactiveVcpuIsRemapped)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	assign(9);
	EXPECT_TRUE(vapic_avic_vcpu_posts(vcpu.core()));
	vapic_avic_vcpu_deactivate(vcpu.core());
	EXPECT_FALSE(vapic_avic_vcpu_posts(vcpu.core()));
	vapic_avic_vcpu_put(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 4);
	vapic_avic_vcpu_block(vcpu.core());
	vapic_avic_vcpu_unblock(vcpu.core(), 4);
	EXPECT_THAT(take(), ElementsAre(kRemaps));
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 4);
	EXPECT_THAT(take(), ElementsAre(rings(4)));
}

TEST_P(Device, ComesToASleeperAndToAnInactiveVcpu)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	vapic_avic_vcpu_block(vcpu.core());
	EXPECT_EQ(assign(9), kLogs);
	vapic_avic_posting_end(vcpu.core());
	vapic_avic_vcpu_unblock(vcpu.core(), 3);
	vapic_avic_vcpu_deactivate(vcpu.core());
	EXPECT_EQ(assign(9), kRemaps);
	EXPECT_THAT(take(), IsEmpty());
	vapic_avic_vcpu_activate(vcpu.core());
	vapic_avic_vcpu_load(vcpu.core(), 3);
	EXPECT_THAT(take(), ElementsAre(rings(3)));
}

// No CPU is known, so any will do: the vCPU does not sleep.
TEST_P(Device, ComesToAVcpuThatNeverRan)
{
	EXPECT_EQ(assign(9), rings(9));
	vapic_avic_vcpu_load(vcpu.core(), 4);
	EXPECT_THAT(take(), ElementsAre(rings(4)));
}

// The IOMMU's entry has more bits for the APIC ID than that of the VM's table.
TEST_P(Device, RingsACpuThatNoTableEntryCanName)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	assign(9);
	for (u32 far : {0xfffu, 0x1003u, 0xfffffffeu}) {
		vapic_avic_vcpu_load(vcpu.core(), far);
		EXPECT_THAT(take(), ElementsAre(rings(far)));
	}
}

TEST_P(Device, SecondInterruptIsTreatedAsTheFirst)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	assign(9);
	vapic_avic_vcpu_block(vcpu.core());
	EXPECT_EQ(assign(9), kLogs);
	EXPECT_THAT(take(), ElementsAre(kLogs));
}

// The vCPU's task has waited for the lock while the last interrupt was taken away.
TEST_P(Device, GoesWhileTheVcpuTells)
{
	vapic_avic_vcpu_load(vcpu.core(), 3);
	assign(9);
	fake_host::handle_posting([this](vapic_vcpu *, vapic_posting how) {
		vapic_avic_posting_end(vcpu.core());
		vapic_avic_posting_set(vcpu.core(), how);
	});
	vapic_avic_vcpu_block(vcpu.core());
	EXPECT_EQ(*vcpu.posting(), 0u);
	vapic_avic_vcpu_unblock(vcpu.core(), 3);
}

TEST(Tag, NamesVmAndVcpu)
{
	for (u32 ids : {255u, 512u, 4096u}) {
		Machine machine(false, ids);

		for (u32 id : {0u, 1u, 253u, ids - 1}) {
			const Vcpu &vcpu = machine.add(id);

			for (u32 vm : {1u, 2u, 0x5a5a5u, u32{VAPIC_AVIC_GA_TAG_VMS}}) {
				const u32 tag = vapic_avic_ga_tag(vm, vcpu.core());

				EXPECT_NE(tag, 0u);
				EXPECT_EQ(vapic_avic_ga_tag_vm(tag), vm);
				EXPECT_EQ(vapic_avic_ga_tag_vcpu(tag), id);
			}
			EXPECT_EQ(vapic_avic_vm_find(machine.core(), id), vcpu.host());
		}
	}
}

TEST(Tag, OfNobodyFindsNobody)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(7);

	EXPECT_EQ(vapic_avic_vm_find(machine.core(), 8), nullptr);
	EXPECT_EQ(vapic_avic_vm_find(machine.core(), 255), nullptr);
	EXPECT_EQ(vapic_avic_vm_find(machine.core(), 4095), nullptr);
	vapic_avic_vcpu_retire(vcpu.core());
	EXPECT_EQ(vapic_avic_vm_find(machine.core(), 7), nullptr);
	// A vCPU that KVM may still refuse is in no table.
	machine.add(9, false);
	EXPECT_EQ(vapic_avic_vm_find(machine.core(), 9), nullptr);
}

} // namespace
