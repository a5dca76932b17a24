# SPDX-License-Identifier: GPL-2.0-only
#
# tools/watch: what Debian ships today of the kernels that vapic supports, and what is to be done.
