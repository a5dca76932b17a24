#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Load and unload, with everything that can be wrong provoked: each refusal has its
# errno and exactly one line of log, and leaves KVM as it was to the last byte of code.
# Run as root on a host with AVIC or APICv (or without: then only what that means) where
# vapic is not loaded:
#
#   testbed/run amd --stock --dir FOLDER -- /mnt/takeover_test.py /mnt/vapic.ko
#
# Names of tests after the module run only those; "all" stands for all but LAST_TESTS.
# Speaks TAP; the status is the number of failures, at most 100.

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import loading  # noqa: E402
import takeover_failures  # noqa: E402
import takeover_ftrace  # noqa: E402
import takeover_load  # noqa: E402
import takeover_refusals  # noqa: E402

# In the order in which they run.
TESTS = [
    takeover_load.loads_and_restores_exactly,
    takeover_load.loads_over_any_setting_of_stock,
    takeover_load.loads_and_unloads_repeatedly,
    takeover_load.status_is_for_everybody,
    takeover_load.status_names_why_a_vcpu_is_never_accelerated,
    takeover_ftrace.tracers_see_through_redirections,
    takeover_load.takes_over_nothing_if_asked,
    takeover_load.takes_the_spellings_of_a_boolean,
    takeover_refusals.refuses_unknown_value,
    takeover_refusals.refuses_parameters_of_the_other_vendor,
    takeover_refusals.refuses_without_stock_module,
    takeover_refusals.refuses_unfit_stock_module,
    takeover_refusals.refuses_other_build_of_kvm,
    takeover_refusals.refuses_missing_symbol,
    takeover_ftrace.refuses_with_ftrace_off,
    takeover_ftrace.refuses_ftrace_going_off_meanwhile,
    takeover_ftrace.refuses_what_verification_finds,
    takeover_ftrace.shares_functions_with_tracers,
    takeover_ftrace.keeps_ftrace_on_while_loaded,
    takeover_refusals.refuses_other_direct_user,
    takeover_refusals.refuses_while_a_vm_is_alive,
    takeover_refusals.refuses_while_dev_kvm_is_open,
    takeover_load.stays_while_a_vm_is_alive,
    takeover_load.unloads_while_dev_kvm_is_open,
    takeover_failures.undoes_every_step_that_fails,
    takeover_failures.undoes_every_step_that_fails_while_switched_off,
    takeover_failures.survives_every_failed_allocation_of_creation,
    takeover_load.creations_race_with_load_and_unload,
    takeover_load.waits_for_vms_if_forced,
]

LAST_TESTS = [
    takeover_failures.stays_in_memory_if_ftrace_died,
    takeover_failures.stays_in_memory_if_ftrace_dies_amid_unload,
    takeover_failures.stays_in_memory_if_ftrace_dies_amid_load,
]

# On a host whose processor lacks what is to be taken over
TESTS_WITHOUT_HARDWARE = [
    takeover_refusals.refuses_unknown_value,
    takeover_refusals.refuses_parameters_of_the_other_vendor,
    takeover_load.takes_over_nothing_if_asked,
    takeover_refusals.refuses_without_hardware,
]


if __name__ == "__main__":
    sys.exit(loading.run(TESTS if loading.vendor.has_hardware() else TESTS_WITHOUT_HARDWARE,
                         LAST_TESTS))
