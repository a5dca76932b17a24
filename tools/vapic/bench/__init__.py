# SPDX-License-Identifier: GPL-2.0-only
#
# tools/bench: what each path costs beside stock KVM.
