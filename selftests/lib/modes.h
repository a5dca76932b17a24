/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests that run in either APIC mode: TEST_F(guest, NAME) runs as guest.xapic.NAME and
 * guest.x2apic.NAME.  Its VMs are created with vm_create(mode), and the fixture has
 * checked that acceleration is as expected of the run.
 */
#ifndef SELFTESTS_LIB_MODES_H
#define SELFTESTS_LIB_MODES_H

#include "test.h"

/* The option of vm_create() for this mode: 0 or VM_X2APIC. */
static unsigned int mode;

static inline bool mode_is_accelerated(void)
{
	return accel_expected(mode & VM_X2APIC);
}

FIXTURE(guest) {
};

FIXTURE_VARIANT(guest) {
	unsigned int mode;
};

FIXTURE_VARIANT_ADD(guest, xapic) {
	.mode = 0,
};

FIXTURE_VARIANT_ADD(guest, x2apic) {
	.mode = VM_X2APIC,
};

FIXTURE_SETUP(guest)
{
	REQUIRE_EXPECTED_ACCELERATION();
	mode = variant->mode;
}

FIXTURE_TEARDOWN(guest)
{
}

#endif
