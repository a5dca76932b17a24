# SPDX-License-Identifier: GPL-2.0-only
#
# tools/audit: what a kernel has changed of the stock functions that vapic replaces or calls.
