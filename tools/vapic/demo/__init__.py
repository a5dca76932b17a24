# SPDX-License-Identifier: GPL-2.0-only
#
# tools/demo: exits and time of IPIs, with stock KVM and with vapic.
