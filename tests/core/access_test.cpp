// SPDX-License-Identifier: GPL-2.0-only
//
// Compares exit 402h with the manual's table "Guest vAPIC Register Access Behavior", which is
// typed in below, and checks every offset that the table does not list.
#include <vapic/avic.h>

#include <map>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace {

enum class After {
	kFault,	  // fault-like, or never an exit: emulate
	kCommit,  // trap-like: the value is in the register
	kLogical, // trap-like, and the logical ID may have changed
	kIgnore,  // trap-like, but the register is read-only
};

// Writes. A register not in the list faults; a read always does.
const std::map<u32, After> kTrapLike = {
	{0x020, After::kCommit},  // APIC ID
	{0x0b0, After::kCommit},  // EOI
	{0x0c0, After::kIgnore},  // remote read
	{0x0d0, After::kLogical}, // logical destination
	{0x0e0, After::kLogical}, // destination format
	{0x0f0, After::kCommit},  // spurious vector
	{0x280, After::kCommit},  // error status
	{0x300, After::kCommit},  // ICR low
	{0x320, After::kCommit},  // LVT timer
	{0x330, After::kCommit},  // LVT thermal
	{0x340, After::kCommit},  // LVT performance counter
	{0x350, After::kCommit},  // LVT LINT0
	{0x360, After::kCommit},  // LVT LINT1
	{0x370, After::kCommit},  // LVT error
	{0x380, After::kCommit},  // timer initial count
	{0x3e0, After::kCommit},  // timer divide configuration
};

vapic_avic_access_action expected_action(After after)
{
	switch (after) {
	case After::kCommit:
		return VAPIC_AVIC_ACCESS_COMMIT;
	case After::kLogical:
		return VAPIC_AVIC_ACCESS_LOGICAL;
	case After::kIgnore:
		return VAPIC_AVIC_ACCESS_IGNORE;
	case After::kFault:
		break;
	}
	return VAPIC_AVIC_ACCESS_EMULATE;
}

TEST(Access, FollowsTheManualForEveryRegisterReadAndWritten)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(0);
	u64 traps = 0;
	u64 faults = 0;

	for (u32 offset = 0; offset < 0x1000; offset += 0x10) {
		for (bool write : {false, true}) {
			const auto listed = kTrapLike.find(offset);
			const After after = write && listed != kTrapLike.end() ? listed->second
									       : After::kFault;
			vapic_avic_access access;

			vapic_avic_vcpu_access(vcpu.core(), u64{write} << 32 | offset, 0x7b, &access);
			EXPECT_EQ(access.offset, offset);
			EXPECT_EQ(access.write, write) << std::hex << offset;
			EXPECT_EQ(access.trap, after != After::kFault) << std::hex << offset;
			EXPECT_EQ(access.action, expected_action(after)) << std::hex << offset;
			EXPECT_EQ(access.vector, 0x7b);
			++(after == After::kFault ? faults : traps);
			EXPECT_EQ(vcpu.counts().accesses_trap, traps);
			EXPECT_EQ(vcpu.counts().accesses_fault, faults);
		}
	}
	EXPECT_EQ(traps, kTrapLike.size());
}

TEST(Access, ReservedBitsOfTheExitWordsChangeNothing)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(0);
	vapic_avic_access access;

	vapic_avic_vcpu_access(vcpu.core(), 0xfffffffe'fffff00full | 0x0d0, 0xffffffff'ffffff31ull,
			       &access);
	EXPECT_EQ(access.offset, 0x0d0u);
	EXPECT_FALSE(access.write);
	EXPECT_EQ(access.vector, 0x31);
}

TEST(Access, EndOfALevelInterruptNamesItsVector)
{
	Machine machine;
	Vcpu &vcpu = machine.add_active(0);
	vapic_avic_access access;

	for (u32 vector = 0; vector < 256; ++vector) {
		vapic_avic_vcpu_access(vcpu.core(), 0x1000000b0ull, vector, &access);
		EXPECT_EQ(access.vector, vector);
		EXPECT_EQ(access.action, VAPIC_AVIC_ACCESS_COMMIT);
	}
}

// --- MSRs of x2APIC mode ---

// Whether an access of MSR 800h + `number` exits.
bool exits(const u32 *words, u32 number, bool write)
{
	const u32 bit = number * 2 + write;

	return words[bit / 32] >> bit % 32 & 1;
}

TEST(X2apicMsrs, AllExitWithoutAcceleration)
{
	u32 words[VAPIC_AVIC_MSR_WORDS] = {};

	vapic_avic_x2apic_msrs(~u64{0}, false, words);
	for (u32 word : words)
		EXPECT_EQ(word, 0xffffffffu);
}

TEST(X2apicMsrs, WritesOfFourRegistersAreFree)
{
	for (u64 readable : {u64{0}, ~u64{0}}) {
		u32 words[VAPIC_AVIC_MSR_WORDS] = {};

		vapic_avic_x2apic_msrs(readable, true, words);
		// TPR, EOI, ICR and SELF_IPI
		for (u32 number = 0; number < 256; ++number)
			EXPECT_EQ(exits(words, number, true), number != 0x08 && number != 0x0b &&
								      number != 0x30 && number != 0x3f)
				<< number;
	}
}

// The current count changes with time, and only KVM's timer knows it.
TEST(X2apicMsrs, ReadsAreFreeOfWhatIsReadableButTheCurrentCount)
{
	for (u32 bit = 0; bit < 64; ++bit) {
		u32 words[VAPIC_AVIC_MSR_WORDS] = {};

		vapic_avic_x2apic_msrs(u64{1} << bit, true, words);
		for (u32 number = 0; number < 256; ++number)
			EXPECT_EQ(exits(words, number, false), number != bit || bit == 0x39)
				<< number;
	}
}

// Also of an APIC that is said to have no register.
TEST(X2apicMsrs, KnowWhetherAnyPass)
{
	for (u64 readable : {u64{0}, ~u64{0}}) {
		u32 words[VAPIC_AVIC_MSR_WORDS] = {};

		vapic_avic_x2apic_msrs(readable, false, words);
		EXPECT_FALSE(vapic_avic_x2apic_msrs_pass(words));
		vapic_avic_x2apic_msrs(readable, true, words);
		EXPECT_TRUE(vapic_avic_x2apic_msrs_pass(words));
	}
}

} // namespace
