# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import shutil
import tempfile
import unittest
from pathlib import Path

from vapic.files import TOP
from vapic.hunt import mutants, report, soak
from vapic.hunt.report import Fate


class Patches(unittest.TestCase):
    def test_each_has_a_header_and_a_host(self) -> None:
        found = mutants.everyone()
        self.assertGreater(len(found), 20)
        for mutant in found:
            self.assertIn(mutant.host, ("amd", "intel"), mutant.name)

    def test_each_applies_to_the_tree_with_the_guard_and_can_be_undone(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder)
            for name in ("include", "lapic", "avic", "vmx_apicv", "takeover"):
                shutil.copytree(TOP / name, tree / name,
                                ignore=shutil.ignore_patterns("*.o", "generated", ".*"))
            guard = mutants.read_one(mutants.PATCHES / f"{mutants.GUARD}.patch")
            self.assertTrue(mutants.patched(tree, guard))
            for mutant in mutants.everyone():
                self.assertTrue(mutants.patched(tree, mutant), mutant.name)
                self.assertTrue(mutants.patched(tree, mutant, "--reverse"), mutant.name)

    def test_no_module_of_a_mutant_has_the_name_of_a_module(self) -> None:
        for mutant in mutants.everyone():
            self.assertNotEqual(".ko", mutant.module.suffix)


class Fates(unittest.TestCase):
    def test_reads_what_the_host_prints(self) -> None:
        fates = report.read_fates([
            "mutant none", "survived none 60 12 48000",
            "mutant a", "caught a 4 2 900 IPI 3 from vcpu 0 to vcpu 1 is lost",
            "# a: something", "mutant b", "broken b does not load"])
        self.assertEqual([
            Fate("none", "survived", 60, 12, 48000),
            Fate("a", "caught", 4, 2, 900, "IPI 3 from vcpu 0 to vcpu 1 is lost"),
            Fate("b", "broken", what="does not load")], fates)
        self.assertEqual([True, True, False], [fate.right for fate in fates])

    def test_a_mutant_that_kills_the_host_is_caught(self) -> None:
        fates = report.read_fates(["mutant a", "caught a 4 2 900 lost", "mutant b"], "it crashed")
        self.assertEqual(Fate("b", "caught", what="it crashed"), fates[1])

    def test_a_mutant_that_survives_and_a_control_that_is_caught_are_wrong(self) -> None:
        fates = report.read_fates(["survived a 60 12 48000", "caught none 4 2 900 lost"])
        self.assertEqual([False, False], [fate.right for fate in fates])

    def test_a_mutant_that_does_not_unload_was_not_put_to_the_test_rightly(self) -> None:
        fates = report.read_fates(["caught a 4 2 900 lost", "broken a does not unload"])
        self.assertEqual("broken", fates[0].how)

    def test_the_table_shows_what_went_wrong_in_capitals(self) -> None:
        text = report.table([Fate("a", "survived", 60, 12, 48000), Fate("b", "caught", 4, 2, 900,
                                                                        "lost")])
        self.assertIn("SURVIVED", text)
        self.assertEqual(3, len(text.splitlines()))


class Soak(unittest.TestCase):
    OK = ("ok 17: actors x2apic 3+1 ipi 401/401/401 level 31/31/31 timer 9/9/9;"
          " fire 3 line 31 kick 2; 815 ms")
    LOST = "not ok 18: traffic xapic 5+1 ipi 40/39/39 device 8/8/8; pin 3; 10815 ms"

    def test_reads_a_line_of_the_hunter(self) -> None:
        read = soak.Schedule.of(self.OK)
        assert read
        self.assertEqual((True, 17, "actors", "x2apic", 815),
                         (read.passed, read.seed, read.kind, read.mode, read.milliseconds))
        self.assertEqual((401, 401, 401), read.interrupts["ipi"])
        self.assertEqual({"fire": 3, "line": 31, "kick": 2}, read.actions)

    def test_other_lines_are_none(self) -> None:
        for line in ("ok hunt: vapic loads", "# ok 17: actors", "not ok hunt: nothing is lost"):
            self.assertIsNone(soak.Schedule.of(line))

    def test_goes_on_where_it_ended(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "covered.json"
            for line in (self.OK, self.LOST):
                state = soak.State(path)
                schedule = soak.Schedule.of(line)
                assert schedule
                state.on("amd").add(schedule)
                state.keep()
            covered = soak.State(path).on("amd")
        self.assertEqual((19, 2, [18]), (covered.next_seed, covered.schedules, covered.lost))
        self.assertEqual([441, 440, 440], covered.interrupts["ipi"])
        self.assertEqual(440 + 31 + 9 + 8, covered.serviced)
        self.assertIn("FAILED: seeds 18", covered.shown("amd"))


if __name__ == "__main__":
    unittest.main()
