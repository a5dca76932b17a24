# SPDX-License-Identifier: GPL-2.0-only
#
# The suites of kunit/: built, run on an emulated host, and reported.
