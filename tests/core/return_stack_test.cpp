// SPDX-License-Identifier: GPL-2.0-only
// The emulators' model of a return-stack buffer.
#include "testbed/cost.h"

#include <gtest/gtest.h>

namespace {

class ReturnStack : public testing::Test {
protected:
	// Nested calls; the return addresses are 1 for the first to `depth` for the last.
	void call(unsigned long long depth)
	{
		for (unsigned long long i = 1; i <= depth; i++)
			return_stack_call(&stack_, i);
	}

	int misses(unsigned long long target)
	{
		return return_stack_misses(&stack_, target);
	}

	return_stack stack_{};
};

TEST_F(ReturnStack, PredictsNestedReturns)
{
	call(RETURN_STACK_DEPTH);
	for (unsigned long long i = RETURN_STACK_DEPTH; i > 0; i--)
		EXPECT_FALSE(misses(i)) << i;
}

TEST_F(ReturnStack, ForgetsTheOldestCall)
{
	call(RETURN_STACK_DEPTH + 1);
	for (unsigned long long i = RETURN_STACK_DEPTH + 1; i > 1; i--)
		EXPECT_FALSE(misses(i)) << i;
	EXPECT_TRUE(misses(1));
}

TEST_F(ReturnStack, MissesOnceIfAReturnAddressIsOverwritten)
{
	// As a redirection's stub does: both returns execute, the inner one to another address.
	call(3);
	EXPECT_TRUE(misses(100));
	EXPECT_FALSE(misses(2));
	EXPECT_FALSE(misses(1));
}

TEST_F(ReturnStack, MissesEveryReturnIfOneAddressIsDropped)
{
	call(3);
	// The innermost function returns directly to the caller of its caller.
	EXPECT_TRUE(misses(2));
	EXPECT_TRUE(misses(1));
}

TEST_F(ReturnStack, FindsWhatAnOldCallLeft)
{
	call(1);
	EXPECT_FALSE(misses(1));
	EXPECT_TRUE(misses(1));
}

} // namespace
