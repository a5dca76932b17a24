# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import unittest

from vapic.latency.figures import Histogram, read_histogram, table, together

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


class OfCyclictest(unittest.TestCase):
    def test_all_threads_count_together(self) -> None:
        found = read_histogram(PRINTED)
        self.assertEqual(found, Histogram({3: 990, 7: 5, 9: 4, 30: 1}))
        self.assertEqual([found.share(share) for share in (0.5, 0.99, 0.995, 0.999, 1)],
                         [3, 3, 7, 9, 30])

    def test_samples_that_were_too_late_are_told(self) -> None:
        text = PRINTED.replace("Overflows: 00000 00000", "Overflows: 00002 00001")
        self.assertEqual(read_histogram(text).beyond, 3)

    def test_what_says_nothing_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            read_histogram("")

    def test_rounds_count_together(self) -> None:
        self.assertEqual(together([Histogram({1: 2, 5: 1}, 1), Histogram({1: 1, 7: 3}, 2)]),
                         Histogram({1: 3, 5: 1, 7: 3}, 3))

    def test_the_table(self) -> None:
        late = Histogram({40: 500, 50: 500}, 1)
        self.assertEqual(table({"guest, vapic": [read_histogram(PRINTED), late]}), """\
                least   50.0%   99.0%   99.9%    most   samples  beyond  99.0% of each round
guest, vapic        3      30      50      50      50      2000       1  3 50""")


if __name__ == "__main__":
    unittest.main()
