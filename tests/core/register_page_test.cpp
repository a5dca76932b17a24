// SPDX-License-Identifier: GPL-2.0-only
//
// The register page: setting an IRR bit changes the right word and nothing else, and a bit is found
// where it is.
#include <vapic/lapic_hot.h>

#include <vector>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace {

TEST(SetIrr, SetsTheVectorsBitAndNothingElse)
{
	for (u32 fill : {0u, 0xa5a5a5a5u}) {
		for (u32 vector = 0; vector < 256; ++vector) {
			Block page(4096, 4096);
			auto *words = static_cast<u32 *>(page.get());
			std::vector<u32> expected(1024, fill);

			std::fill(words, words + 1024, fill);
			vapic_lapic_set_irr(page.get(), static_cast<u8>(vector));
			expected[(0x200 + vector / 32 * 0x10) / 4] |= 1u << vector % 32;
			ASSERT_EQ(std::vector<u32>(words, words + 1024), expected) << vector;
		}
	}
}

TEST(TestVector, FindsTheVectorsBitAndNoOther)
{
	for (u32 vector = 0; vector < 256; ++vector) {
		Block page(4096, 4096);

		vapic_lapic_set_irr(page.get(), static_cast<u8>(vector));
		for (u32 other = 0; other < 256; ++other) {
			ASSERT_EQ(vapic_lapic_test(page.get(), VAPIC_LAPIC_IRR,
						   static_cast<u8>(other)),
				  other == vector)
				<< vector << ' ' << other;
			ASSERT_FALSE(vapic_lapic_test(page.get(), VAPIC_LAPIC_ISR,
						      static_cast<u8>(other)));
		}
	}
}

} // namespace
