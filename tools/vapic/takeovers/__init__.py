# SPDX-License-Identifier: GPL-2.0-only
#
# tools/takeovers: what is taken over, how it is reached, how often, and why.
