# SPDX-License-Identifier: GPL-2.0-only
#
# tools/latency: how late cyclictest is, in host and guest, with stock KVM and with vapic.
