# SPDX-License-Identifier: GPL-2.0-only
#
# The scripts of selftests/: run_tests, and find_harness, which the build asks for the kernel's
# test harness. Programs and source trees are stand-ins.

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from vapic.files import TOP

SELFTESTS = TOP / "selftests"

PROGRAMS = {
    "good": "echo 'TAP version 13'; echo 1..2; echo 'ok 1 one'; echo 'ok 2 two # XFAIL stock'",
    "half": "echo 1..2; echo 'ok 1 one'; echo 'ok 2 two # SKIP no such device'",
    "bad": "echo 1..2; echo 'ok 1 one'; echo 'not ok 2 two'; exit 1",
    "none": "echo 'TAP version 13'; echo '1..0 # SKIP the processor has no AVIC'; exit 4",
    "all-skip": "echo 1..1; echo 'ok 1 one # SKIP because'",
    "silent": "exit 0",
    "crash": "echo 1..2; echo 'ok 1 one'; kill -SEGV $$",
    "says-4": "echo what went wrong >&2; exit 4",
    "slow": "echo 'ok 1 one'; exec sleep 20",
}


def executable(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def run_script(self, name: str, *words: str, **environment: str) -> tuple[int, list[str], str]:
        """Its status, the lines that it printed, and what it said besides."""
        finished = subprocess.run([SELFTESTS / name, *words], capture_output=True, text=True,
                                  env={**os.environ, **environment})
        return finished.returncode, finished.stdout.splitlines(), finished.stderr


class RunTests(Folder):
    def setUp(self) -> None:
        super().setUp()
        for name, text in PROGRAMS.items():
            executable(self.folder / name, text)
        (self.folder / "settings").write_text("timeout=60\n", encoding="utf-8")

    def results(self, *programs: str, options: tuple[str, ...] = ()) -> tuple[int, list[str], str]:
        """Status, lines of programs, and the last line."""
        (self.folder / "tests").write_text("\n".join(programs), encoding="utf-8")
        status, lines, _ = self.run_script("run_tests", "-d", str(self.folder), *options)
        self.assertEqual(lines[:2], ["TAP version 13", f"1..{len(programs)}"])
        return (status, [line for line in lines if line.startswith(("ok", "not ok"))], lines[-1])

    def test_all_passed(self) -> None:
        self.assertEqual(self.results("good", "half"), (
            0, ["ok 1 selftests: vapic: good", "ok 2 selftests: vapic: half"],
            "# 3 passed, 0 failed, 1 skipped"))

    def test_one_failure_fails_all(self) -> None:
        self.assertEqual(self.results("bad", "good"), (
            1, ["not ok 1 selftests: vapic: bad # exit=1", "ok 2 selftests: vapic: good"],
            "# 3 passed, 1 failed, 0 skipped"))

    def test_nothing_but_skips(self) -> None:
        self.assertEqual(self.results("none", "all-skip"), (
            4, ["ok 1 selftests: vapic: none # SKIP the processor has no AVIC",
                "ok 2 selftests: vapic: all-skip # SKIP all of its tests"],
            "# 0 passed, 0 failed, 2 skipped"))

    def test_program_that_ran_nothing_failed(self) -> None:
        self.assertEqual(self.results("silent")[:2],
                         (1, ["not ok 1 selftests: vapic: silent # exit=0"]))

    def test_program_that_died_failed(self) -> None:
        self.assertEqual(self.results("crash"), (
            1, ["not ok 1 selftests: vapic: crash # exit=139"], "# 1 passed, 1 failed, 0 skipped"))

    def test_status_of_a_skip_alone_is_none(self) -> None:
        self.assertEqual(self.results("says-4")[:2],
                         (1, ["not ok 1 selftests: vapic: says-4 # exit=4"]))

    def test_program_that_is_missing_failed(self) -> None:
        self.assertEqual(self.results("gone")[:2],
                         (1, ["not ok 1 selftests: vapic: gone # exit=127"]))

    def test_program_that_takes_too_long_failed(self) -> None:
        self.assertEqual(self.results("slow", options=("-t", "0.3"))[:2],
                         (1, ["not ok 1 selftests: vapic: slow # TIMEOUT 0.3 seconds"]))

    def test_shows_what_a_program_says(self) -> None:
        (self.folder / "tests").write_text("says-4 good", encoding="utf-8")
        _, lines, _ = self.run_script("run_tests", "-d", str(self.folder))
        self.assertEqual(lines[2:5], ["# selftests: vapic: says-4", "# what went wrong",
                                      "not ok 1 selftests: vapic: says-4 # exit=4"])

    def test_wrong_usage(self) -> None:
        self.assertEqual(self.run_script("run_tests", "-x")[0], 2)
        status, _, said = self.run_script("run_tests", "-d", "/nonexistent")
        self.assertEqual(status, 2)
        self.assertIn("no programs in /nonexistent", said)


class FindHarness(Folder):
    """A copy of it, which has no repository around it."""

    def setUp(self) -> None:
        super().setUp()
        self.src = self.folder / "src"
        self.src.mkdir()
        self.script = self.folder / "find_harness"
        self.script.write_bytes((SELFTESTS / "find_harness").read_bytes())
        self.script.chmod(0o755)
        # A kernel without its source
        executable(self.folder / "uname", "echo 0.0.0-none")

    def tree(self, name: str, harness: str = "exit_code") -> Path:
        headers = self.folder / name / "tools/testing/selftests"
        headers.mkdir(parents=True)
        (headers / "kselftest.h").touch()
        (headers / "kselftest_harness.h").write_text(harness, encoding="utf-8")
        return self.folder / name

    def archive(self, name: str, harness: str = "exit_code") -> Path:
        tree = self.tree(name, harness)
        file = self.src / f"{name}.tar.gz"
        subprocess.run(["tar", "-C", self.folder, "-czf", file, name], check=True)
        subprocess.run(["rm", "-r", tree], check=True)
        return file

    def find(self, ksrc: str = "") -> tuple[int, str, str]:
        finished = subprocess.run(
            [self.script, self.folder / "unpacked", ksrc], capture_output=True, text=True,
            env={"PATH": f"{self.folder}:{os.environ['PATH']}", "VAPIC_USR_SRC": str(self.src)})
        return finished.returncode, finished.stdout.strip(), finished.stderr.strip()

    def test_tree_that_somebody_names(self) -> None:
        tree = str(self.tree("linux-6.12"))
        self.assertEqual(self.find(tree), (0, tree, ""))

    def test_archive_that_somebody_names(self) -> None:
        file = self.archive("linux-source-6.12")
        self.assertEqual(self.find(str(file)), (0, f"{self.folder}/unpacked", ""))

    def test_newest_archive_that_is_installed(self) -> None:
        self.archive("linux-source-6.1", "passed")
        self.archive("linux-source-6.9")
        newest = self.archive("linux-source-6.12")
        status, found, said = self.find()
        self.assertEqual((status, found), (0, f"{self.folder}/unpacked"))
        self.assertIn(str(newest), said)
        # The next time it is there.
        self.assertEqual(self.find(), (0, f"{self.folder}/unpacked", ""))

    def test_tree_that_is_installed(self) -> None:
        self.tree("src/linux-6.1", "passed")
        self.assertEqual(self.find()[0], 1)
        tree = str(self.tree("src/linux-6.12"))
        self.assertEqual(self.find(), (0, tree, ""))

    def test_one_line_if_there_is_none(self) -> None:
        for ksrc, why in (("", "install linux-source, or say KSRC="),
                          (str(self.tree("old", "passed")), "is older than Linux 6.9's"),
                          (str(self.src), "holds no tools/testing/selftests/kselftest_harness.h"),
                          (str(self.archive("ancient", "passed")), "no archive of Linux 6.9"),
                          ("/nonexistent", "no such folder or archive")):
            with self.subTest(why=why):
                status, found, said = self.find(ksrc)
                self.assertEqual((status, found), (1, ""))
                self.assertIn(why, said)
                self.assertEqual(len(said.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
