# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from vapic import kernels
from vapic.bench.boots import BOOTS
from vapic.demo.boots import BOOTS as DEMO_BOOTS
from vapic.run import host
from vapic.run.boot import About, Boot, Computer
from vapic.run.modes import MACHINES, Mode

ALL: list[Boot] = [*BOOTS.values(), *DEMO_BOOTS.values()]


class Recorded(unittest.TestCase):
    def test_a_mode_without_vapic_does_not_speak_of_it(self) -> None:
        for mode in [*MACHINES["amd"], *MACHINES["intel"]]:
            self.assertEqual("vapic" in mode.recorded(), mode.name.startswith("vapic"))
            self.assertEqual(Mode.of(mode.recorded()), mode)

    def test_settings_are_read_as_they_were_written(self) -> None:
        for boot in ALL:
            self.assertEqual(type(boot).of(json.loads(json.dumps(boot.recorded()))), boot)

    def test_a_note_says_what_was_asked_and_of_what(self) -> None:
        about = About("today", "make bench", Computer("a processor", 2), "QEMU", "abc")
        with tempfile.TemporaryDirectory() as folder:
            host.note(folder, BOOTS["amd"], about)
            noted = json.loads((Path(folder) / "about.json").read_text())
        self.assertEqual(About.of(noted["about"]), about)
        self.assertEqual(type(BOOTS["amd"]).of(noted["settings"]), BOOTS["amd"])


class Staged(unittest.TestCase):
    def test_each_program_is_found_in_what_the_host_sees(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            stage = f"{scratch}/mnt"
            for boot in ALL:
                host.stage(stage, [__file__], boot)
                libraries = [os.path.basename(library) for library in boot.LIBRARIES]
                self.assertEqual(set(os.listdir(stage)),
                                 {"settings.json", os.path.basename(__file__), "vapic",
                                  *libraries})
                code = (f"import {boot.PROGRAM} as program, vapic.files;"
                        " print(vapic.files.HOME, program.main.__name__)")
                done = subprocess.run([sys.executable, "-B", "-c", code], cwd=scratch, text=True,
                                      env={"PYTHONPATH": stage}, capture_output=True)
                self.assertEqual(done.stdout.split(), [os.path.realpath(stage), "main"],
                                 done.stderr)

    def test_the_host_boots_with_the_first_mode_and_runs_the_program(self) -> None:
        words = host.command(BOOTS["intel-2"], "stage", "out", ["--timeout", "9"])
        self.assertEqual(words[:4], ["testbed/run", "intel", "--kernel", kernels.chosen()])
        self.assertEqual(words[words.index("--kvm") + 1], BOOTS["intel-2"].modes[0].kvm)
        self.assertEqual(words[words.index("--"):],
                         ["--", "env", "PYTHONPATH=/mnt", "python3", "-B", "-m",
                          "vapic.bench.in_host", "/mnt/settings.json"])


if __name__ == "__main__":
    unittest.main()
