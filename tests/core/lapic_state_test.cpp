// SPDX-License-Identifier: GPL-2.0-only
//
// Compares the state of a whole local APIC with models that are written from the manuals, with
// plain bytes and sets of vectors.
#include <vapic/lapic_hot.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace {

constexpr u32 kIsr = 0x100, kTmr = 0x180, kIrr = 0x200;

class Page {
public:
	Page() : block_(4096, 4096) {}

	void *get() const { return block_.get(); }
	u32 word(u32 offset) const
	{
		u32 value;

		std::memcpy(&value, static_cast<char *>(get()) + offset, sizeof(value));
		return value;
	}
	void set(u32 offset, u32 value)
	{
		std::memcpy(static_cast<char *>(get()) + offset, &value, sizeof(value));
	}
	void add(u32 bank, u32 vector)
	{
		const u32 offset = bank + vector / 32 * 16;

		set(offset, word(offset) | 1u << vector % 32);
	}
	void fill(std::mt19937 &random)
	{
		for (u32 offset = 0; offset < 4096; offset += 4)
			set(offset, static_cast<u32>(random()));
	}
	std::vector<u32> words() const
	{
		std::vector<u32> all(1024);

		std::memcpy(all.data(), get(), 4096);
		return all;
	}

private:
	Block block_;
};

using Image = std::vector<u32>;

Image random_image(std::mt19937 &random)
{
	Image image(VAPIC_LAPIC_IMAGE / 4);

	std::generate(image.begin(), image.end(), [&] { return static_cast<u32>(random()); });
	return image;
}

std::set<u32> random_vectors(std::mt19937 &random)
{
	std::set<u32> vectors;

	for (u32 n = static_cast<u32>(random()) % 5; n > 0; --n)
		vectors.insert(static_cast<u32>(random()) % 256);
	return vectors;
}

u32 highest(const std::set<u32> &vectors)
{
	return vectors.empty() ? VAPIC_NO_VECTOR : *vectors.rbegin();
}

// The rule of the manual's table, bit by bit.
u32 model_ppr(u32 tpr, const std::set<u32> &in_service)
{
	const u32 service = in_service.empty() ? 0 : *in_service.rbegin() >> 4;

	if ((tpr >> 4 & 0xf) >= service)
		return tpr & 0xff;
	return service << 4;
}

vapic_lapic_form form(bool x2apic, bool icr_split, bool x2apic_ids, u32 id)
{
	return {x2apic, icr_split, x2apic_ids, id};
}

std::vector<vapic_lapic_form> all_forms(u32 id)
{
	std::vector<vapic_lapic_form> forms;

	for (unsigned bits = 0; bits < 8; ++bits)
		forms.push_back(form(bits & 1, bits & 2, bits & 4, id));
	return forms;
}

TEST(Banks, HighestAndCountAreThoseOfASetOfVectors)
{
	std::mt19937 random(1);

	for (unsigned round = 0; round < 2000; ++round) {
		const std::set<u32> irr = random_vectors(random), isr = random_vectors(random);
		Page page;

		for (u32 vector : irr)
			page.add(kIrr, vector);
		for (u32 vector : isr)
			page.add(kIsr, vector);
		for (u32 vector : random_vectors(random))
			page.add(kTmr, vector);
		ASSERT_EQ(vapic_lapic_highest(page.get(), VAPIC_LAPIC_IRR), highest(irr));
		ASSERT_EQ(vapic_lapic_highest(page.get(), VAPIC_LAPIC_ISR), highest(isr));
		ASSERT_EQ(vapic_lapic_count(page.get(), VAPIC_LAPIC_ISR), isr.size());
	}
}

u32 deliverable(const void *regs)
{
	const u32 vector = vapic_lapic_highest(regs, VAPIC_LAPIC_IRR);
	const u32 in_service = vapic_lapic_highest(regs, VAPIC_LAPIC_ISR);

	if (vector != VAPIC_NO_VECTOR &&
	    vapic_lapic_takes(regs, vector, in_service == VAPIC_NO_VECTOR ? 0 : in_service))
		return vector;
	return VAPIC_NO_VECTOR;
}

// The manual's words: a pending interrupt is held unless its class is above the processor's.
TEST(Deliverable, IsTheHighestPendingUnlessThePriorityHoldsIt)
{
	std::mt19937 random(13);
	unsigned held = 0, taken = 0;

	for (unsigned round = 0; round < 20000; ++round) {
		const std::set<u32> irr = random_vectors(random), isr = random_vectors(random);
		const u32 tpr = static_cast<u32>(random()) % 256;
		u32 expected = highest(irr);
		Page page;

		for (u32 vector : irr)
			page.add(kIrr, vector);
		for (u32 vector : isr)
			page.add(kIsr, vector);
		page.set(0x080, tpr);
		if (!irr.empty() && expected / 16 <= model_ppr(tpr, isr) / 16)
			expected = VAPIC_NO_VECTOR;
		held += !irr.empty() && expected == VAPIC_NO_VECTOR;
		taken += expected != VAPIC_NO_VECTOR;
		ASSERT_EQ(deliverable(page.get()), expected);
	}
	EXPECT_GT(held, 1000u);
	EXPECT_GT(taken, 1000u);
}

TEST(Banks, AFullIsrHolds256)
{
	Page page;

	for (u32 vector = 0; vector < 256; ++vector)
		page.add(kIsr, vector);
	EXPECT_EQ(vapic_lapic_count(page.get(), VAPIC_LAPIC_ISR), 256u);
}

TEST(Priority, FollowsFromTaskPriorityAndServiceAndChangesNothingElse)
{
	std::mt19937 random(2);

	for (u32 tpr = 0; tpr < 256; ++tpr) {
		for (unsigned round = 0; round < 20; ++round) {
			const std::set<u32> isr = random_vectors(random);
			Page page;

			// An image may have set any bit above bit 7.
			page.set(0x080, tpr | 0xabc00);
			page.set(0x0a0, static_cast<u32>(random()));
			for (u32 vector : isr)
				page.add(kIsr, vector);

			std::vector<u32> expected = page.words();

			expected[0x0a0 / 4] = model_ppr(tpr, isr);
			vapic_lapic_update_ppr(page.get());
			ASSERT_EQ(page.words(), expected) << tpr;
		}
	}
}

TEST(Restore, LeavesTheRestOfThePageAlone)
{
	std::mt19937 random(4);

	for (const vapic_lapic_form &f : all_forms(5)) {
		Page page;

		page.fill(random);

		const std::vector<u32> before = page.words();

		Image image = random_image(random);

		vapic_lapic_restore(page.get(), &f, image.data());
		for (u32 offset = VAPIC_LAPIC_IMAGE; offset < 4096; offset += 4)
			ASSERT_EQ(page.word(offset), before[offset / 4]);
	}
}

TEST(Restore, TakesAnyImageAsItIsInXapicMode)
{
	std::mt19937 random(5);

	for (unsigned round = 0; round < 500; ++round) {
		const Image image = random_image(random);
		const vapic_lapic_form f = form(false, round & 1, round & 2, 5);
		Image given = image;
		Page page;

		vapic_lapic_restore(page.get(), &f, given.data());
		for (u32 n = 0; n < image.size(); ++n) {
			if (n != 0x0a0 / 4) {
				ASSERT_EQ(page.word(4 * n), image[n]) << std::hex << 4 * n;
			}
		}
	}
}

TEST(Restore, KnowsIdAndLogicalIdOfX2apicModeByItself)
{
	std::mt19937 random(6);

	for (u32 id : {0u, 1u, 15u, 16u, 255u, 300u, 4095u}) {
		for (bool split : {false, true}) {
			const vapic_lapic_form f = form(true, split, false, id);
			Image image = random_image(random);
			Page page;

			vapic_lapic_restore(page.get(), &f, image.data());
			EXPECT_EQ(page.word(0x020), id);
			EXPECT_EQ(page.word(0x0d0), (id / 16) << 16 | 1u << id % 16);
		}
	}
}

TEST(Restore, PutsTheIcrWhereTheHardwareOfTheVendorHasIt)
{
	std::mt19937 random(7);
	const Image image = random_image(random);
	const vapic_lapic_form amd = form(true, true, false, 0),
			       intel = form(true, false, false, 0);
	Image for_amd = image, for_intel = image;
	Page page;

	vapic_lapic_restore(page.get(), &amd, for_amd.data());
	EXPECT_EQ(page.word(0x300), image[0x300 / 4]);
	EXPECT_EQ(page.word(0x304), image[0x304 / 4]);
	EXPECT_EQ(page.word(0x310), image[0x310 / 4]);
	vapic_lapic_restore(page.get(), &intel, for_intel.data());
	EXPECT_EQ(page.word(0x300), image[0x300 / 4]);
	EXPECT_EQ(page.word(0x304), image[0x310 / 4]);
}

TEST(Restore, PriorityIsThatOfTheRestoredInterruptsNotOfTheImage)
{
	std::mt19937 random(8);

	for (unsigned round = 0; round < 500; ++round) {
		Image image = random_image(random);
		const vapic_lapic_form f = form(false, false, false, 0);
		const std::set<u32> isr = random_vectors(random);
		Page page;

		for (u32 n = 0; n < 8; ++n)
			image[(kIsr + n * 16) / 4] = 0;
		for (u32 vector : isr)
			image[(kIsr + vector / 32 * 16) / 4] |= 1u << vector % 32;
		vapic_lapic_restore(page.get(), &f, image.data());
		ASSERT_EQ(page.word(0x0a0), model_ppr(image[0x080 / 4], isr));
	}
}

TEST(ImageFits, OnlyAnotherX2apicIdIsAnError)
{
	Image image(VAPIC_LAPIC_IMAGE / 4);

	for (const vapic_lapic_form &f : all_forms(0x123)) {
		for (u32 id : {0u, 0x122u, 0x123u, 0x23000000u, ~0u}) {
			image[0x020 / 4] = id;
			EXPECT_EQ(vapic_lapic_image_fits(image.data(), &f),
				  !(f.x2apic && f.x2apic_ids) || id == 0x123);
		}
	}
}

TEST(TimerDivisor, IsThatOfTheManualsTableWhateverElseIsSet)
{
	static const struct {
		u32 bits, divisor;
	} table[] = {{0x0, 2},	{0x1, 4},  {0x2, 8},   {0x3, 16},
		     {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};
	Page page;

	for (const auto &row : table) {
		for (u32 other : {0u, 0x4u, 0xfffffff4u}) {
			page.set(0x3e0, row.bits | other);
			EXPECT_EQ(vapic_lapic_timer_divisor(page.get()), row.divisor) << row.bits;
		}
	}
}

// The manual's table, register by register; all other registers must not change.
TEST(Reset, LeavesWhatTheManualSays)
{
	std::mt19937 random(11);

	for (unsigned bits = 0; bits < 16; ++bits) {
		const u32 lvts = bits & 1 ? 7 : 6;
		const vapic_lapic_initial how = {
			.x2apic = (bits & 2) != 0,
			.reset = (bits & 4) != 0,
			.lint0_pic = (bits & 8) != 0,
			.id = 0x2a,
			.lvts = lvts,
		};
		Page page;

		page.fill(random);

		std::vector<u32> expected = page.words();
		const auto set = [&](u32 offset, u32 value) { expected[offset / 4] = value; };

		for (u32 n = 0; n < 8; ++n)
			for (u32 bank : {kIsr, kTmr, kIrr})
				set(bank + 16 * n, 0);
		for (u32 zero :
		     {0x080u, 0x0a0u, 0x280u, 0x300u, 0x304u, 0x310u, 0x380u, 0x390u, 0x3e0u})
			set(zero, 0);
		for (u32 lvt : {0x320u, 0x330u, 0x340u, 0x350u, 0x360u, 0x370u})
			set(lvt, 0x10000);
		if (lvts == 7)
			set(0x2f0, 0x10000);
		if (how.lint0_pic)
			set(0x350, 0x700);
		set(0x0e0, 0xffffffff);
		set(0x0f0, 0xff);
		if (!how.x2apic)
			set(0x0d0, 0);
		if (how.reset)
			set(0x020, 0x2a000000);

		vapic_lapic_reset(page.get(), &how);
		for (u32 offset = 0; offset < 4096; offset += 4)
			ASSERT_EQ(page.word(offset), expected[offset / 4]) << std::hex << offset;
	}
}

} // namespace
