# SPDX-License-Identifier: GPL-2.0-only
#
# Unit tests of the tools: python3 -B -m unittest discover -t tools -s tools/vapic/test
