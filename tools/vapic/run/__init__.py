# SPDX-License-Identifier: GPL-2.0-only
#
# What check, bench and demo share: to build what a run takes, and to show how it goes; and what
# bench and demo do, to boot the emulated hosts and to measure in them.
