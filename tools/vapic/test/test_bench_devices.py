# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import unittest
from typing import Any

from vapic.bench import devices


def bench(exits: int) -> dict[str, Any]:
    return {"interrupts": 100, "sender": {"exits": exits}}


def step(instructions: int) -> dict[str, Any]:
    figures = {"min": instructions, "median": instructions, "mean": instructions}
    return {"ticks": figures, "costs": {"locked": {**figures, "min": 1, "median": 1, "mean": 1}}}


def mode(exits: int, instructions: int, posts: bool) -> dict[str, dict[str, Any]]:
    names = [name for pair in devices.EXITS.values() for name in pair]
    step_names = [devices.SLEEP, *(name for pair in devices.STEPS.values() for name in pair
                                   if name != devices.NOTHING)]
    return {
        "exits": {name: bench(exits) for name in names if posts or name.startswith("remapped")},
        "steps": {"nothing": step(10), **{name: step(instructions) for name in step_names
                                          if posts or "remapped" in name}},
    }


class Devices(unittest.TestCase):
    def rows(self, posts: bool, vapic_exits: int, vapic: int) -> list[devices.Row]:
        return devices.rows("intel", {"stock": mode(100, 110, posts),
                                      "vapic": mode(vapic_exits, vapic, posts)})

    def test_exits_are_of_each_interrupt(self) -> None:
        row = self.rows(True, 0, 110)[0]
        assert row.remapped
        self.assertEqual((row.remapped.stock, row.remapped.vapic, row.remapped.verdict),
                         (1.0, 0.0, "wins"))

    def test_the_timer_may_add_exits_but_no_more_than_a_tenth(self) -> None:
        for count, verdict in ((109, "same"), (111, "slower")):
            row = self.rows(True, count, 110)[0]
            assert row.remapped
            self.assertEqual(row.remapped.verdict, verdict)

    def test_measuring_is_taken_off_the_instructions(self) -> None:
        row = next(row for row in self.rows(True, 100, 60) if row.what == "instructions")
        assert row.remapped
        self.assertEqual((row.remapped.stock, row.remapped.vapic, row.remapped.verdict),
                         (100, 50, "wins"))

    def test_what_is_posted_to_a_running_vcpu_takes_no_instruction(self) -> None:
        row = next(row for row in self.rows(True, 100, 60) if row.what == "instructions")
        assert row.posted
        self.assertEqual((row.posted.stock, row.posted.vapic), (0, 0))

    def test_the_handler_is_compared_together_with_the_way_to_sleep(self) -> None:
        handler, with_sleep = self.rows(True, 100, 120)[-2:]
        assert handler.posted and with_sleep.posted
        self.assertEqual((handler.posted.stock, handler.posted.vapic, handler.posted.verdict),
                         (100, 110, "a part"))
        self.assertEqual((with_sleep.posted.stock, with_sleep.posted.vapic,
                          with_sleep.posted.verdict), (200, 220, "slower"))
        self.assertIsNone(with_sleep.remapped)

    def test_a_machine_that_cannot_post_says_nothing_of_it(self) -> None:
        found = devices.Devices({"amd": self.rows(False, 100, 110)}, {})
        self.assertTrue(all(row.posted is None for row in found.rows["amd"]))
        self.assertEqual(devices.slower(found), [])
        self.assertIn("-", devices.text(found).split("\n")[2])

    def test_slower_names_machine_way_and_state(self) -> None:
        found = devices.Devices({"intel": self.rows(True, 300, 110)}, {})
        self.assertEqual(len(devices.slower(found)), 6)
        self.assertIn("Intel, a device's interrupt that is remapped: exits, its vCPU runs where",
                      devices.slower(found)[0])


if __name__ == "__main__":
    unittest.main()
