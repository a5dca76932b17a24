# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import os
import shutil
import subprocess
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


CAUGHT = "caught a 4 2 900 IPI 3 from vcpu 0 to vcpu 1 is lost"
# What the script calls that would touch this machine
STANDS_IN = ("insmod", "rmmod", "modprobe")


class HostScript(unittest.TestCase):
    """tests/host/mutants, with a stand-in for the hunter."""

    def fate(self, hunter: str) -> Fate:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for script in ("mutants", "hunt.sh"):
                shutil.copy(TOP / "tests/host" / script, folder)
            for program, text in [*((name, "") for name in STANDS_IN), ("selftests/hunt", hunter)]:
                file = folder / program
                file.parent.mkdir(exist_ok=True)
                file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
                file.chmod(0o755)
            (folder / "list").write_text("a -i 4000\n", encoding="utf-8")
            said = subprocess.run(
                [folder / "mutants", "5", folder / "list"], capture_output=True, text=True,
                env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}).stdout
        self.assertIn("hunting a", said.splitlines())
        fates = report.read_fates(said.splitlines())
        self.assertEqual(1, len(fates), said)
        return fates[0]

    def test_a_loss_is_a_catch(self) -> None:
        fate = self.fate("echo '# FAILED: IPI 3 is lost'; echo '#   guest assertion: x.c:1: old'\n"
                         "echo 'not ok 1: pings'; echo '# 1 schedules, 7 interrupts'; exit 1")
        self.assertEqual(("caught", 1, 7, "IPI 3 is lost"),
                         (fate.how, fate.schedules, fate.interrupts, fate.what))

    def test_an_interrupt_that_nobody_sent_is_a_catch(self) -> None:
        fate = self.fate("echo '# FAILED: guest assertion on vcpu 1'\n"
                         "echo '#   guest assertion: x.c:1: an IPI came that nobody sent'\n"
                         "echo 'not ok 1: pings'; echo '# 1 schedules, 7 interrupts'; exit 1")
        self.assertEqual("caught", fate.how)

    def test_status_1_alone_is_none(self) -> None:
        fate = self.fate("echo '# acceleration off, expected active'; exit 1")
        self.assertEqual("broken", fate.how)
        self.assertIn("no schedule was run", fate.what)

    def test_a_process_that_dies_is_none(self) -> None:
        fate = self.fate("echo '# it ended with status b'; echo 'not ok 1: pings'\n"
                         "echo '# 1 schedules, 7 interrupts'; exit 1")
        self.assertEqual(("broken", "failed, but lost nothing: it ended with status b"),
                         (fate.how, fate.what))

    def test_a_hunter_that_hunts_to_the_end_survives(self) -> None:
        fate = self.fate("echo 'ok 1: pings'; echo '# 1 schedules, 7 interrupts'")
        self.assertEqual("survived", fate.how)


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

    def test_a_mutant_that_crashes_the_host_is_caught(self) -> None:
        fates = report.read_fates(["mutant a", CAUGHT, "mutant b", "hunting b"],
                                  "it crashed", "it ended")
        self.assertEqual(Fate("b", "caught", what="it crashed"), fates[1])

    def test_a_mutant_that_crashes_the_host_when_it_is_loaded_is_broken(self) -> None:
        fates = report.read_fates(["mutant a", "hunting a", CAUGHT, "mutant b"], "it crashed")
        self.assertEqual(["caught", "broken"], [fate.how for fate in fates])

    def test_a_mutant_whose_host_came_to_its_limit_is_broken(self) -> None:
        fates = report.read_fates(["mutant a", "hunting a", CAUGHT, "mutant b", "hunting b"],
                                  ended="status 124")
        self.assertEqual(Fate("b", "broken", what="status 124"), fates[1])

    def test_a_failure_without_a_schedule_is_no_catch(self) -> None:
        for line in ("caught a 0 0  acceleration off, expected active by VAPIC_EXPECT; vapic",
                     "caught a 0 0 0 IPI 3 from vcpu 0 to vcpu 1 (vector 31h) is lost",
                     "survived a 60 0 0"):
            with self.subTest(line=line):
                fate = report.read_fate(line)
                assert fate
                self.assertEqual("broken", fate.how)

    def test_only_what_is_lost_double_or_late_is_a_catch(self) -> None:
        for how, reasons in (
                ("caught", ("interrupt 34 of the device (vector 41h, vcpu 2) is lost",
                            "an interrupt of kind ipi is lost",
                            "the timer of vcpu 0 (vector 51h, mode 0) does not fire",
                            "no interrupt of kind device comes while its target runs",
                            "ipi: 400 sent, 401 accepted, 401 serviced",
                            "3 timer interrupts on vCPU 1 more than its timer explains",
                            "the guests do not come to their end",
                            "the schedule does not come to its end",
                            "timed out waiting until all guest functions return",
                            "guest assertion on vcpu 1: lib/traffic.c:36: guest assertion: "
                            "an IPI came that nobody sent")),
                ("broken", ("", "memory: Cannot allocate memory", "fork: Resource unavailable",
                            "it ended with status b", "acceleration did not return",
                            "timed out waiting until the device's vCPU runs",
                            "guest assertion on vcpu 1: lib/guest_msr.c:16: #GP (a: RIP)"))):
            for reason in reasons:
                with self.subTest(reason=reason):
                    fate = report.read_fate(f"caught a 4 2 900 {reason}")
                    assert fate
                    self.assertEqual(how, fate.how)

    def test_a_mutant_that_survives_and_a_control_that_is_caught_are_wrong(self) -> None:
        fates = report.read_fates(["survived a 60 12 48000", "caught none 4 2 900 IPI 1 is lost",
                                   "caught none-again 4 2 900 IPI 1 is lost"])
        self.assertEqual([False, False, False], [fate.right for fate in fates])

    def test_a_mutant_that_does_not_unload_was_not_put_to_the_test_rightly(self) -> None:
        fates = report.read_fates([CAUGHT, "broken a does not unload"])
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
            self.assertEqual(2, soak.State(path).schedules)
        self.assertEqual((19, 2, [18]), (covered.next_seed, covered.schedules, covered.lost))
        self.assertEqual([441, 440, 440], covered.interrupts["ipi"])
        self.assertEqual(440 + 31 + 9 + 8, covered.serviced)
        self.assertIn("FAILED: seeds 18", covered.shown("amd"))


if __name__ == "__main__":
    unittest.main()
