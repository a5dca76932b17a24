# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import statistics
import unittest
from typing import Any

from vapic.bench import figures, table
from vapic.bench.figures import Measured


def line(least: int, locked: int) -> dict[str, Any]:
    """Of step_bench: an interrupt may add to any but the least."""
    return {"ticks": {"min": least, "median": least + 2, "mean": least + 9},
            "costs": {"locked": {"min": locked, "median": locked + 1}}}


def row(stock: Measured, vapic: Measured, noise: float = 0.005) -> figures.Row:
    return figures.row("intel", "step", "a step", noise, [stock, vapic])


class Steps(unittest.TestCase):
    def test_the_least_goes_with_the_least_counts(self) -> None:
        mode = {"nothing": line(10, 0), "step": line(110, 3)}
        self.assertEqual(figures.step(mode, "step", "min"), Measured(110, {"locked": 3}))
        self.assertEqual(figures.step(mode, "step", "mean"), Measured(119, {"locked": 4}))

    def test_what_measuring_takes_goes_off(self) -> None:
        mode = {"nothing": line(10, 0), "step": line(110, 3)}
        self.assertEqual(figures.step_alone(mode, "step", "median"), Measured(100, {"locked": 3}))

    def test_several_make_a_sum_or_a_median(self) -> None:
        some = [Measured(30, {"locked": 1}), Measured(10, {"locked": 3}),
                Measured(20, {"locked": 2})]
        self.assertEqual(figures.combined(sum, some), Measured(60, {"locked": 6}))
        self.assertEqual(figures.combined(statistics.median, some), Measured(20, {"locked": 2}))
        # Not all were counted.
        self.assertIsNone(figures.combined(sum, [*some, Measured(5)]).counts)

    def test_each_row_has_a_name_of_its_own(self) -> None:
        self.assertEqual(figures.titles("intel")["sync"], "empty sync before an entry")
        self.assertNotIn("sync", figures.titles("amd"))
        for machine, groups in figures.GROUPS.items():
            self.assertEqual(len(figures.titles(machine)), len(figures.OPERATIONS) +
                             sum(len(group.titles) for group in groups))


class Rows(unittest.TestCase):
    def test_cycles_are_there_if_all_was_counted(self) -> None:
        found = row(Measured(200, {"locked": 2}), Measured(100, {"locked": 1})).recorded()
        self.assertEqual(found, {
            "kind": "step", "title": "a step", "stock": 200, "vapic": 100, "ratio": 0.5,
            "noise": 0.005, "verdict": "wins", "sure": True,
            "counts": {"stock": {"locked": 2}, "vapic": {"locked": 1}},
            "cycles": {"stock": 234, "vapic": 117}, "cycles_ratio": 0.5})

    def test_instructions_decide_where_nothing_was_counted(self) -> None:
        found = row(Measured(100), Measured(101))
        self.assertEqual(found.verdict, "slower")
        self.assertEqual(found.recorded(), {
            "kind": "step", "title": "a step", "stock": 100, "vapic": 101, "ratio": 1.01,
            "noise": 0.005, "verdict": "slower"})

    def test_a_row_says_what_differs_and_a_noise_of_its_own(self) -> None:
        text = table.row_text(row(Measured(1000, {"locked": 1, "wrmsr": 0}),
                                  Measured(1012, {"locked": 0, "wrmsr": 0})), 0.02)
        self.assertEqual(text.split("  ")[-1], "(0%), locked 1 > 0")
        self.assertIn("wins (?)", table.row_text(row(Measured(100, {"locked": 1}),
                                                     Measured(112, {"locked": 0})), 0.005))


if __name__ == "__main__":
    unittest.main()
