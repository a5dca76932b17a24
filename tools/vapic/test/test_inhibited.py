# SPDX-License-Identifier: GPL-2.0-only

import unittest

from vapic.bench import figures, inhibited


def step(instructions, locked):
    return {"ticks": {"min": instructions, "median": instructions + 5},
            "costs": {"locked": {"min": locked, "median": locked}}}


def judged(*modes):
    """Of (instructions, locked operations) of each mode: the row with the verdict."""
    rows = inhibited.window_rows({number: {"nothing": step(0, 0), "window": step(*mode)}
                                  for number, mode in enumerate(modes)})
    return next(row for row in rows if "verdict" in row)


class Window(unittest.TestCase):
    def test_measuring_is_taken_off_and_locks_cost(self):
        row = judged((105, 0), (105, 4), (105, 1))
        self.assertEqual((row["stock_avic0"], row["stock"], row["vapic"]),
                         (100, 100 + 4 * 17, 100 + 17))

    def test_cheaper_than_avic1_and_near_avic0_wins(self):
        self.assertEqual(judged((1005, 1), (1205, 8), (1055, 1))["verdict"], "wins")

    def test_more_than_avic1_is_slower(self):
        self.assertEqual(judged((1005, 0), (1005, 0), (1006, 0))["verdict"], "slower")

    def test_a_tenth_more_than_avic0_is_slower_though_less_than_avic1(self):
        self.assertEqual(judged((1005, 0), (1305, 0), (1106, 0))["verdict"], "slower")

    def test_what_depends_on_the_prices_says_so(self):
        row = judged((1005, 0), (1005, 1), (1015, 0))
        self.assertEqual((row["verdict"], row["sure"]), ("wins", False))


class LeftToStock(unittest.TestCase):
    def test_one_code_is_neither_slower_nor_wins(self):
        steps = [figures.Measured(100, {"locked": 1})] * 2 + [figures.Measured(200, {"locked": 9})]
        self.assertEqual(figures.path("amd", "stock", "", 0.02, steps)["verdict"], "stock's")
        self.assertEqual(figures.path("amd", "apic", "", 0.02, steps)["verdict"], "slower")

    def test_each_row_is_of_one_function(self):
        rows = [row for shown in figures.LEFT_TO_STOCK.values() for row in shown]
        self.assertEqual(sorted(rows), sorted(figures.STOCK_STEPS))


if __name__ == "__main__":
    unittest.main()
