// SPDX-License-Identifier: GPL-2.0-only
//
// Runs the tests of one program. A program that ran no test, or skipped one, fails.
#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

int main(int argc, char **argv)
{
	testing::InitGoogleMock(&argc, argv);

	const int status = RUN_ALL_TESTS();
	const testing::UnitTest &all = *testing::UnitTest::GetInstance();

	if (all.successful_test_count() == 0 || all.skipped_test_count() != 0) {
		std::fprintf(stderr, "%d tests passed, %d skipped: failed\n",
			     all.successful_test_count(), all.skipped_test_count());
		return 1;
	}
	return status;
}
