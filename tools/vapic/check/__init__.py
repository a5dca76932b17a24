# SPDX-License-Identifier: GPL-2.0-only
#
# `make check`: every test of the project, on this machine and on emulated hosts.
