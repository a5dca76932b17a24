// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saves a VM whose guests use all of their local APICs at random points, disturbs the VM, and
 * restores the saved state: the VM must continue as saved, accelerated or not.  lib/actors.h says
 * how each interrupt is accounted for.
 */
#include "lib/test.h"

#include "lib/lapic_scenario.h"

FIXTURE(same_vm) {
};

FIXTURE_VARIANT(same_vm) {
	struct scenario scenario;
};

FIXTURE_VARIANT_ADD(same_vm, xapic) {
};

FIXTURE_VARIANT_ADD(same_vm, x2apic) {
	.scenario = { .options = VM_X2APIC },
};

FIXTURE_VARIANT_ADD(same_vm, xapic_while_inhibits_come_and_go) {
	.scenario = { .inhibits = true },
};

FIXTURE_VARIANT_ADD(same_vm, x2apic_while_inhibits_come_and_go) {
	.scenario = { .options = VM_X2APIC, .inhibits = true },
};

FIXTURE_SETUP(same_vm)
{
	REQUIRE_EXPECTED_ACCELERATION();
}

FIXTURE_TEARDOWN(same_vm)
{
}

TEST_F(same_vm, goes_on_as_saved)
{
	if (variant->scenario.inhibits)
		MAY_LOSE_INTERRUPTS();
	scenario_run(&variant->scenario, rounds);
}

TEST_MAIN(40)
