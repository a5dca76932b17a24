# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
import unittest
import unittest.mock
from typing import Sequence

from vapic.run import steps
from vapic.run.steps import Board, Step


class Running(unittest.TestCase):
    """In an empty folder, as logs go to build/log."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        self.out, self.err = io.StringIO(), io.StringIO()

    def run_steps(self, *them: Step) -> None:
        with contextlib.redirect_stdout(self.out), contextlib.redirect_stderr(self.err):
            steps.run_steps(Board(len(them)), them)

    def test_a_step_waits_for_those_before_it_and_asks_late_for_its_command(self) -> None:
        first = Step(1, "first one", "doing",
                     ["sh", "-c", "sleep 0.3; echo word; echo not this >&2"], keep=True)

        def command() -> Sequence[str]:
            return ["sh", "-c", f"echo 'got {first.output.strip()}'"]

        second = Step(2, "second", "doing", command, after=["first one"], keep=True)
        self.run_steps(second, first)
        self.assertEqual(second.output, "got word\n")
        self.assertEqual(first.last_line(), "not this")
        ended = [line for line in self.out.getvalue().splitlines() if ": done in " in line]
        self.assertEqual([line.partition(":")[0] for line in ended],
                         ["[1/2] first one", "[2/2] second"])

    def test_a_failure_is_shown_and_ends_the_others(self) -> None:
        fails = Step(1, "bad", "doing", ["sh", "-c", "echo line 1; echo the cause; exit 3"])
        sleeps = Step(2, "long", "doing", ["sleep", "100"])
        waits = Step(3, "never", "doing", ["touch", "ran"], after=["bad"])
        began = time.monotonic()
        with self.assertRaises(steps.Failed):
            self.run_steps(fails, sleeps, waits)
        self.assertLess(time.monotonic() - began, 50)
        self.assertIn("[1/3] bad: failed; the end of build/log/bad.log:\n    line 1\n"
                      "    the cause\n", self.out.getvalue())
        self.assertEqual(self.err.getvalue(), "bad failed: the cause\n")
        assert sleeps.process
        self.assertIsNotNone(sleeps.process.poll())
        self.assertFalse(os.path.exists("ran"))

    def test_a_program_that_failed_ends_so(self) -> None:
        def fail() -> int:
            raise steps.Failed("step")

        for main, status in ((fail, 1), (lambda: 1, 1), (lambda: 0, 0)):
            with self.assertRaises(SystemExit) as ended, unittest.mock.patch("signal.signal"):
                steps.run_program(main)
            self.assertEqual(ended.exception.code, status)


class Words(unittest.TestCase):
    def test_durations(self) -> None:
        self.assertEqual([steps.duration(seconds) for seconds in (0, 59.9, 60, 3725)],
                         ["0s", "59s", "1m00s", "62m05s"])

    def test_lines_come_and_end(self) -> None:
        lines = steps.lines_of(["a\n", "b\n"])
        self.assertEqual([lines.get(timeout=5) for _ in range(3)], ["a\n", "b\n", None])


if __name__ == "__main__":
    unittest.main()
