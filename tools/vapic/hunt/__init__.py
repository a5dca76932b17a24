# SPDX-License-Identifier: GPL-2.0-only
#
# The hunter: `make soak`, and the mutants that it must catch.
