# SPDX-License-Identifier: GPL-2.0-only
#
# What the bench and the demo share: to build what a run takes, to boot the emulated hosts, to
# measure in them, and to show how it goes.
