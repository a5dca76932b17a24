# SPDX-License-Identifier: GPL-2.0-only
#
# The tools that are written in Python. tools/audit, tools/takeovers, tools/check, tools/bench and
# tools/demo start them; kvm/layout-gen and kvm/presence-gen use what reads BTF.
