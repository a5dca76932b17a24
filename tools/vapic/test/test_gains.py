# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import unittest
from typing import Any

from vapic.bench import gains

PAGE = "Top\n\n.. table amd\n.. end\n\nBetween\n\n.. table intel\n\nold\n\n.. end\nEnd\n"


def path(title: str, stock: float, vapic: float, verdict: str, kind: str = "step",
         **rest: Any) -> dict[str, Any]:
    return {"title": title, "kind": kind, "stock": stock, "vapic": vapic, "verdict": verdict,
            **rest}


def report(release: str, *paths: dict[str, Any]) -> dict[str, Any]:
    machine = {"kernel": f"Linux amd {release} #1 SMP x86_64", "paths": list(paths)}
    return {**machine, "intel": machine}


LOAD = path("load", 300, 200, "wins", cycles={"stock": 600, "vapic": 400.4, "stock_avic0": 1})
WAKE = path("wake", 1234.0, 1235.0, "same", "wake", sure=True)


class Gains(unittest.TestCase):
    def test_cycles_count_where_there_are_some(self) -> None:
        self.assertEqual(gains.cell(LOAD), "600 > 400")
        self.assertEqual(gains.cell(WAKE), "1,234 = 1,235")
        self.assertEqual(gains.cell(path("t", 1, 2, "slower", sure=False)), "1 < 2 ?")

    def test_a_column_for_each_kernel(self) -> None:
        dear = path("load", 300, 400, "slower")
        kept = path("kept", 5, 5, "stock's", "stock")
        tables = gains.tables([report("6.12.1-amd64", LOAD, kept, WAKE),
                               report("7.3.4-amd64", dear, kept, WAKE)])
        self.assertEqual([line.split() for line in tables["intel"]], [
            ["=" * 39, "=" * 13, "=" * 13],
            ["cycles", "6.12.1-amd64", "7.3.4-amd64"],
            ["=" * 39, "=" * 13, "=" * 13],
            ["single", "steps", "of", "KVM:", "\\", "\\"],
            ["load", "600", ">", "400", "300", "<", "400"],
            ["single", "steps", "of", "KVM", "that", "wake", "a", "thread:", "\\", "\\"],
            ["wake", "1,234", "=", "1,235", "1,234", "=", "1,235"],
            ["=" * 39, "=" * 13, "=" * 13]])

    def test_reports_of_different_states(self) -> None:
        with self.assertRaises(gains.Bad) as raised:
            gains.tables([report("a", LOAD), report("b", WAKE)])
        self.assertIn("different rows", str(raised.exception))

    def test_tables_are_put_in_their_places(self) -> None:
        self.assertEqual(
            gains.put(PAGE, {"amd": ["A"], "intel": ["I", "J"]}),
            "Top\n\n.. table amd\n\nA\n\n.. end\n\nBetween\n\n.. table intel\n\nI\nJ\n\n.. end\n"
            "End\n")

    def test_a_page_without_a_place(self) -> None:
        for text in ("", ".. table amd\n", PAGE.replace("intel", "arm")):
            with self.assertRaises(gains.Bad):
                gains.put(text, {"amd": [], "intel": []})


if __name__ == "__main__":
    unittest.main()
