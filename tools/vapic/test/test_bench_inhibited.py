# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import unittest
from typing import Any

from vapic.bench import figures, inhibited


def step(instructions: int, locked: int) -> dict[str, Any]:
    return {"ticks": {"min": instructions, "median": instructions + 5},
            "costs": {"locked": {"min": locked, "median": locked}}}


def judged(*modes: tuple[int, int]) -> inhibited.WindowRow:
    """Of (instructions, locked operations) of each mode: the row with the verdict."""
    rows = inhibited.window_rows([{"nothing": step(0, 0), "window": step(*mode)}
                                  for mode in modes])
    return next(row for row in rows if row.verdict)


class Window(unittest.TestCase):
    def test_measuring_is_taken_off_and_locks_cost(self) -> None:
        row = judged((105, 0), (105, 4), (105, 1))
        self.assertEqual(row.values, [100, 100 + 4 * 17, 100 + 17])

    def test_cheaper_than_avic1_and_near_avic0_wins(self) -> None:
        self.assertEqual(judged((1005, 1), (1205, 8), (1055, 1)).verdict, "wins")

    def test_more_than_avic1_is_slower(self) -> None:
        self.assertEqual(judged((1005, 0), (1005, 0), (1006, 0)).verdict, "slower")

    def test_a_tenth_more_than_avic0_is_slower_though_less_than_avic1(self) -> None:
        self.assertEqual(judged((1005, 0), (1305, 0), (1106, 0)).verdict, "slower")

    def test_what_depends_on_the_prices_says_so(self) -> None:
        row = judged((1005, 0), (1005, 1), (1015, 0))
        self.assertEqual((row.verdict, row.sure), ("wins", False))


class LeftToStock(unittest.TestCase):
    def test_one_code_is_neither_slower_nor_wins(self) -> None:
        steps = [figures.Measured(100, {"locked": 1})] * 2 + [figures.Measured(200, {"locked": 9})]
        self.assertEqual(figures.row("amd", "stock", "", 0.02, steps).verdict, "stock's")
        self.assertEqual(figures.row("amd", "apic", "", 0.02, steps).verdict, "slower")

    def test_each_row_is_of_one_function(self) -> None:
        rows = [row for shown in figures.LEFT_TO_STOCK.values() for row in shown]
        self.assertEqual(sorted(rows), sorted(figures.STOCK_STEPS))


if __name__ == "__main__":
    unittest.main()
