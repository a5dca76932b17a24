# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import unittest

from vapic.latency.figures import Latency, read_histogram, table

PRINTED = """\
# /dev/cpu_dma_latency set to 0us
# Histogram
000000 000000\t000000
000003 000600\t000390
000007 000001\t000004
000009 000000\t000004
000030 000001\t000000
# Min Latencies: 00003 00003
# Avg Latencies: 00003 00003
# Max Latencies: 00030 00009
# Histogram Overflows: 00000 00000
"""


class Histogram(unittest.TestCase):
    def test_all_threads_count_together(self) -> None:
        self.assertEqual(read_histogram(PRINTED),
                         Latency(1000, 3, {0.5: 3, 0.99: 3, 0.999: 9}, 30, 0))

    def test_samples_that_were_too_late_are_told(self) -> None:
        text = PRINTED.replace("Overflows: 00000 00000", "Overflows: 00002 00001")
        self.assertEqual(read_histogram(text).beyond, 3)

    def test_what_says_nothing_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            read_histogram("")

    def test_the_table(self) -> None:
        self.assertEqual(table({"guest, vapic": read_histogram(PRINTED)}), """\
                least   50.0%   99.0%   99.9%    most   samples  beyond
guest, vapic        3       3       3       9      30      1000       0""")


if __name__ == "__main__":
    unittest.main()
