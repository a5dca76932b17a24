// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saves a VM whose guests use all of their local APICs at random points, and each time restores
 * the state into a second VM, which continues from there.  The second VM may be inhibited before
 * the restore or after it.  lib/actors.h says how each interrupt is accounted for.
 */
#include "lib/test.h"

#include "lib/lapic_scenario.h"

FIXTURE(second_vm) {
};

FIXTURE_VARIANT(second_vm) {
	struct scenario scenario;
};

FIXTURE_VARIANT_ADD(second_vm, xapic) {
	.scenario = { .second_vm = true },
};

FIXTURE_VARIANT_ADD(second_vm, x2apic) {
	.scenario = { .second_vm = true, .options = VM_X2APIC },
};

FIXTURE_VARIANT_ADD(second_vm, xapic_inhibited_and_back) {
	.scenario = { .second_vm = true, .inhibits = true },
};

FIXTURE_VARIANT_ADD(second_vm, x2apic_inhibited_and_back) {
	.scenario = { .second_vm = true, .options = VM_X2APIC, .inhibits = true },
};

FIXTURE_SETUP(second_vm)
{
	REQUIRE_EXPECTED_ACCELERATION();
}

FIXTURE_TEARDOWN(second_vm)
{
}

TEST_F(second_vm, goes_on_as_the_first_was_saved)
{
	if (variant->scenario.inhibits)
		MAY_LOSE_INTERRUPTS();
	scenario_run(&variant->scenario, rounds);
}

TEST_MAIN(40)
