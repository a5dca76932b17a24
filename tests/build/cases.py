# SPDX-License-Identifier: GPL-2.0-only
#
# What tests of the build on the build machine share: each is a function that asserts, and whose
# docstring is its name. Speaks TAP.

import sys


def holds(test):
    """Run it, and say whether what it asserts holds."""
    try:
        test()
    except AssertionError as error:
        print("# " + str(error)[:3000].replace("\n", "\n# "))
        return False
    return True


def main(*tests):
    """Run all; the exit status is how many failed."""
    print("TAP version 13")
    failed = 0
    for number, test in enumerate(tests, 1):
        passed = holds(test)
        failed += not passed
        print(f"{'ok' if passed else 'not ok'} {number} {test.__doc__}", flush=True)
    print(f"1..{len(tests)}")
    sys.exit(failed)
