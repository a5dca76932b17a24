# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import unittest

from vapic.bench import cost, paired


class Cycles(unittest.TestCase):
    def test_an_instruction_is_a_cycle(self) -> None:
        self.assertEqual(cost.cycles("amd", 100, {}), 100)

    def test_each_kind_adds_its_price(self) -> None:
        counts = {"locked": 2, "vmread": 3, "vmwrite": 1, "rdmsr": 1, "wrmsr": 1, "return_miss": 4}
        self.assertEqual(cost.cycles("intel", 1000, counts),
                         1000 + 2 * 17 + 3 * 18 + 18 + 40 + 150 + 4 * 14)

    def test_a_scale_is_of_prices_not_of_instructions(self) -> None:
        self.assertEqual(cost.cycles("amd", 100, {"locked": 2}, 0.5), 117)
        self.assertEqual(cost.cycles("amd", 100, {"locked": 2}, 2), 168)

    def test_a_kind_without_a_price_is_an_error_if_it_occurs(self) -> None:
        self.assertEqual(cost.cycles("amd", 1, {"vmread": 0}), 1)
        with self.assertRaises(KeyError):
            cost.cycles("amd", 1, {"vmread": 1})

    def test_every_price_has_a_source(self) -> None:
        for prices in cost.PRICES.values():
            for price in prices.values():
                self.assertGreater(price.cycles, 0)
                self.assertTrue(price.source)


class Verdicts(unittest.TestCase):
    def test_a_lock_less_wins_with_more_instructions(self) -> None:
        self.assertEqual(cost.judge("amd", (100, {"locked": 2}), (105, {"locked": 1}), 0.005),
                         ("wins", True))

    def test_what_depends_on_the_prices_says_so(self) -> None:
        self.assertEqual(cost.judge("amd", (100, {"locked": 1}), (112, {}), 0.005),
                         ("wins", False))

    def test_noise_is_no_difference(self) -> None:
        self.assertEqual(cost.judge("amd", (1000, {}), (1004, {}), 0.005), ("same", True))


class Pairs(unittest.TestCase):
    def test_a_difference_beyond_doubt(self) -> None:
        stock = [1.0, 1.01, 0.99, 1.0]
        self.assertEqual(paired.compare(stock, [x + 0.1 for x in stock], 0.02).verdict,
                         "slower")
        self.assertEqual(paired.compare(stock, [x - 0.1 for x in stock], 0.02).verdict, "wins")

    def test_the_interval_of_a_known_sample(self) -> None:
        # Differences 1, 2, 3, 4, 5: mean 3, deviation 1.5811, t of 4 degrees 2.776.
        found = paired.compare([10] * 5, [11, 12, 13, 14, 15], 0)
        self.assertAlmostEqual(found.difference, 3)
        self.assertAlmostEqual(found.high - found.low, 2 * 1.9629, places=3)

    def test_a_difference_within_doubt_or_noise_is_none(self) -> None:
        self.assertEqual(paired.compare([1, 1, 1], [0.5, 1.5, 1.3], 0).verdict, "same")
        self.assertEqual(paired.compare([1, 1, 1], [1.01, 1.011, 1.01], 0.02).verdict, "same")


if __name__ == "__main__":
    unittest.main()
