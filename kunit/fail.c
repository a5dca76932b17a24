// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations that fail: Documentation/fault-injection of Linux has the kernel's side.
 */
#include "fail.h"

#include <linux/compiler.h>
#include <linux/kconfig.h>
#include <linux/sched.h>

#if !IS_ENABLED(CONFIG_FAILSLAB) || !IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC)
#error the suites need CONFIG_FAILSLAB and CONFIG_FAIL_PAGE_ALLOC: testbed/config/kunit has both
#endif

void kunit_fail_allocation(unsigned int number)
{
	WRITE_ONCE(current->fail_nth, number);
}

unsigned int kunit_next_allocation(unsigned int number)
{
	return number < 64 ? number + 1 : number + number / 8;
}

bool kunit_allocation_failed(void)
{
	unsigned int left = READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	return !left;
}
