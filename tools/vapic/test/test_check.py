# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from vapic import kernels
from vapic.check import __main__ as program
from vapic.check import mnt, stages, tap
from vapic.check.runner import SHOWN_AT_END, Ended, Runner
from vapic.check.tap import Result
from vapic.check.tests import AMD_LANE, KERNELS_LANE, Core, Google, Host, Program
from vapic.files import TOP
from vapic.run.build import Headers

PASSED, FAILED = Result(True, "a"), Result(False, "b")
SKIPPED = Result(True, "c # SKIP no such hardware")
EXPECTED = Result(True, "d # XFAIL stock KVM")


class Tap(unittest.TestCase):
    def test_a_number_gives_way_to_the_name_of_the_program(self) -> None:
        for line, text in (("ok 3 loads", "ok host: loads"),
                           ("ok 12 - loads", "ok host: loads"),
                           ("not ok 1 loads twice", "not ok host: loads twice"),
                           ("ok stock: loads", "ok stock: loads"),
                           ("not ok stock: 3 hosts", "not ok stock: 3 hosts")):
            self.assertEqual(str(tap.read(line, "host")), text)

    def test_other_lines_are_no_results(self) -> None:
        for line in ("", "1..3", "TAP version 13", "# ok 1 loads", " ok 1 loads", "okay", "ok",
                     "not okay"):
            self.assertIsNone(tap.read(line, "host"), line)

    def test_what_was_skipped_or_expected_to_fail_is_told_apart(self) -> None:
        for line, skipped, expected in (("ok 1 loads # SKIP no AVIC", True, False),
                                        ("ok 1 loads # XFAIL stock", False, True),
                                        ("ok 1 loads", False, False),
                                        ("not ok 1 loads # SKIP no AVIC", False, False),
                                        ("not ok 1 loads # XFAIL stock", False, False)):
            result = tap.read(line, "host")
            assert result
            self.assertEqual((result.skipped, result.failed_as_expected), (skipped, expected))

    def test_each_case_of_googletest(self) -> None:
        text = ("[ RUN      ] Tables.Are\n[       OK ] Tables.Are (3 ms)\n"
                "[  FAILED  ] Tables/0.Grow (0 ms)\n[  PASSED  ] 1 test.\n"
                "[  FAILED  ] 1 test, listed below:\n[  FAILED  ] Tables/0.Grow\n")
        self.assertEqual(tap.read_google(text, "core"),
                         [Result(True, "core: Tables.Are"), Result(False, "core: Tables/0.Grow")])

    def test_all_is_well_if_something_passed_and_nothing_failed(self) -> None:
        for good in ([PASSED], [PASSED, SKIPPED], [EXPECTED]):
            self.assertTrue(tap.passed(good), good)
        nothing: list[Result] = []
        for bad in (nothing, [SKIPPED], [PASSED, FAILED]):
            self.assertFalse(tap.passed(bad), bad)

    def test_the_end_names_and_counts(self) -> None:
        results = [PASSED, FAILED, SKIPPED, EXPECTED]
        self.assertEqual(tap.count(results), "2 passed, 1 failed, 1 skipped")
        self.assertEqual(tap.lists(results), [
            "", "defects of stock KVM, seen as expected (they count as passed):",
            "ok d # XFAIL stock KVM",
            "", "skipped:", "ok c # SKIP no such hardware",
            "", "failed:", "not ok b"])
        self.assertEqual(tap.lists([PASSED]), [])

    def test_the_end_repeats_why_a_test_failed(self) -> None:
        self.assertEqual(tap.lists([Result(False, "b", ["# timed out"]), FAILED]),
                         ["", "failed:", "not ok b", "# timed out", "not ok b"])


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


@dataclass(frozen=True)
class Call:
    """A test that is a function."""
    function: Callable[[Runner], object]
    lane: str = "a"

    def run(self, runner: Runner) -> None:
        self.function(runner)


class WithRunner(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = io.StringIO()

    def lines(self) -> list[str]:
        """All that was shown but times."""
        return [line for line in self.out.getvalue().splitlines() if not line.startswith("===")]

    def run_lanes(self, *lanes: list[Call], at_once: int = 2) -> Runner:
        with contextlib.redirect_stdout(self.out), Runner(self.folder, at_once) as runner:
            for lane in lanes:
                runner.beside(lane)
            runner.wait()
        return runner


class Running(WithRunner):
    def test_a_command_that_is_one_test(self) -> None:
        runner = self.run_lanes([
            Call(lambda runner: runner.run_test("good", "good", ["echo", "word"])),
            Call(lambda runner: runner.run_test("bad", "bad",
                                                ["sh", "-c", "echo why >&2; exit 3"])),
            Call(lambda runner: runner.run_test("none", "none", ["./no-such-command"]))])
        self.assertEqual(self.lines()[:3], ["ok good", "not ok bad", "# why"])
        self.assertRegex("\n".join(self.lines()[3:]), "^not ok none\n# .*no-such-command.*$")
        self.assertEqual((self.folder / "good.log").read_text(), "word\n")
        self.assertEqual([result.passed for result in runner.results], [True, False, False])

    def test_only_the_end_of_a_long_log_is_shown(self) -> None:
        self.run_lanes([Call(lambda runner: runner.run_test("bad", "bad",
                                                            ["sh", "-c", "seq 100; exit 1"]))])
        self.assertEqual(self.lines(), ["not ok bad", *(f"# {n}" for n in range(41, 101))])

    def test_results_are_shown_at_once_and_other_lines_only_logged(self) -> None:
        going_on = self.folder / "going-on"
        script = f"echo ok 1 first; while [ ! -e {going_on} ]; do sleep 0.1; done; echo 1..2;" \
                 " echo '# why'; echo not ok 2 second"
        runner = Runner(self.folder, 1)
        with contextlib.redirect_stdout(self.out), runner:
            runner.beside([Call(lambda runner: runner.run_program("host", ["sh", "-c", script]))])
            wait_until(lambda: bool(self.lines()))
            self.assertEqual(self.lines(), ["ok host: first"])
            going_on.touch()
            runner.wait()
        self.assertEqual(self.lines(), ["ok host: first", "# why", "not ok host: second"])
        self.assertEqual((self.folder / "host.log").read_text(),
                         "ok host: first\n1..2\n# why\nnot ok host: second\n")
        self.assertEqual((self.folder / "results").read_text(),
                         "ok host: first\nnot ok host: second\n")

    def test_bytes_that_are_no_text_are_passed_on(self) -> None:
        self.run_lanes([Call(lambda runner: runner.run_program(
            "host", ["printf", r"ok 1 \377\nok 2 last"]))])
        self.assertEqual(self.lines(), ["ok host: \ufffd", "ok host: last"])


class Lanes(WithRunner):
    def test_those_of_a_lane_come_one_after_the_other_and_lanes_side_by_side(self) -> None:
        order: list[str] = []
        first, second = threading.Event(), threading.Event()

        def meet(mine: threading.Event, other: threading.Event) -> None:
            mine.set()
            assert other.wait(60), "lanes do not run side by side"

        self.run_lanes([Call(lambda _: meet(first, second)), Call(lambda _: order.append("a"))],
                       [Call(lambda _: meet(second, first)), Call(lambda _: order.append("b"))])
        self.assertEqual(sorted(order), ["a", "b"])

    def test_no_more_lanes_than_cpus(self) -> None:
        order: list[str] = []

        def slow(_: Runner) -> None:
            order.append("begin")
            time.sleep(0.2)
            order.append("end")

        self.run_lanes([Call(slow)], [Call(slow)], at_once=1)
        self.assertEqual(order, ["begin", "end"] * 2)

    def test_a_mistake_of_ours_is_not_passed_over(self) -> None:
        def mistake(_: Runner) -> None:
            raise KeyError("x")

        with self.assertRaises(KeyError):
            self.run_lanes([Call(mistake)])

    def test_if_the_user_ends_it_all_commands_end(self) -> None:
        begun = time.monotonic()
        sleep = Call(lambda runner: runner.run("sleep", ["sh", "-c", "sleep 300 & sleep 300"]))
        never = Call(lambda _: self.fail("another test began"))
        with self.assertRaises(KeyboardInterrupt), Runner(self.folder, 1) as runner:
            runner.beside([sleep, never])
            runner.beside([never])
            wait_until(lambda: bool(runner.running))
            raise KeyboardInterrupt
        self.assertLess(time.monotonic() - begun, 200)
        self.assertFalse(runner.running)
        with self.assertRaises(Ended):
            runner.run("late", ["true"])


class Hosts(WithRunner):
    """With a shell for testbed/run."""

    def run_host(self, script: str) -> Runner:
        host = Host("amd", "takeover", "--stock", "true")
        with unittest.mock.patch.object(Host, "words", lambda *_: ["bash", "-c", script]):
            return self.run_lanes([Call(host.run)])

    END = "takeover: host ran to its end, kernel log clean"

    def test_a_run_that_ends_well_is_one_more_test(self) -> None:
        runner = self.run_host("echo ok 1 loads")
        self.assertEqual(self.lines(), ["ok takeover: loads", f"ok {self.END}"])
        self.assertEqual(len(runner.results), 2)
        self.assertRegex((self.folder / "takeover.time").read_text(), r"^\d+ s, \d+ s of CPU\n$")
        self.assertRegex(self.out.getvalue(), r"(?m)^===    \ds  amd host: takeover$")
        self.assertRegex(self.out.getvalue(), r"(?m)^=== .* takeover: \d+ s, \d+ s of CPU$")

    def test_a_run_that_fails(self) -> None:
        self.run_host("echo ok 1 loads; echo testbed: the host died; exit 122")
        self.assertEqual(self.lines(), ["ok takeover: loads", f"not ok {self.END}",
                                        "# ok takeover: loads", "# testbed: the host died"])

    def test_what_was_said_of_failures_is_kept(self) -> None:
        runner = self.run_host(
            "echo '# before'; echo not ok 1 loads; echo ok 2 unloads; echo '# no memory';"
            " echo ok 3 sleeps; echo '# 5 times'; echo testbed: kernel log: BUG; exit 120")
        self.assertEqual([(result.passed, result.remarks) for result in runner.results], [
            (False, ["# no memory"]), (True, []), (True, []),
            (False, ["# testbed: kernel log: BUG"])])
        self.assertEqual(len(self.run_host(
            "echo not ok 1; seq 99 | sed 's/^/# /'").results[0].remarks), SHOWN_AT_END)

    def test_a_run_without_any_test(self) -> None:
        for script, shown in (("true", ""), ("echo 1..0", "# 1..0")):
            self.out.truncate(self.out.seek(0))
            self.run_host(script)
            self.assertEqual("\n".join(self.lines()), f"not ok {self.END}\n{shown}".rstrip())

    def test_a_run_that_is_killed(self) -> None:
        self.run_host("echo ok 1 loads; kill -9 $$")
        self.assertIn(f"not ok {self.END}", self.lines())

    def test_what_testbed_is_asked(self) -> None:
        host = Host("intel", "a", "--smp 4 --kvm 'x=1 y=0'", "sh -c 'b; c'", 9, out=True)
        self.assertEqual(host.words(Path("/l")), [
            "testbed/run", "intel", "--kernel", kernels.chosen(), "--smp", "4",
            "--kvm", "x=1 y=0", "--dir", "/l/mnt", "--out", "/l", "--timeout", "9",
            "--", "sh", "-c", "b; c"])
        self.assertEqual(Host("amd", "a", "", "b").words(Path("/l")),
                         ["testbed/run", "amd", "--kernel", kernels.chosen(),
                          "--dir", "/l/mnt", "--", "b"])
        self.assertEqual(Host("amd", "a", "", "b", kernel="6.12-x").words(Path("/l")),
                         ["testbed/run", "amd", "--kernel", "6.12-x",
                          "--dir", "/l/mnt-6.12-x", "--", "b"])

    def test_another_kernel_has_the_modules_that_were_built_for_it(self) -> None:
        built = self.folder / "build/kernels/6.12-x/tests"
        usual, other = mnt.folder(self.folder, None), mnt.folder(self.folder, "6.12-x")
        host = Host("amd", "a", "", "b", kernel="6.12-x")

        def build(_: Runner) -> None:
            built.mkdir(parents=True)
            shutil.copy("/bin/true", built / "vapic.ko")

        usual.mkdir()
        (usual / "vapic.ko").write_text("of the usual kernel")
        (usual / "program").write_text("the same")
        with (contextlib.chdir(self.folder),
              unittest.mock.patch.object(Host, "words", lambda *_: ["echo", "ok 1 loads"])):
            self.run_lanes([Call(build, KERNELS_LANE)], [Call(host.run, AMD_LANE)],
                           [Call(host.run, "intel")])
        self.assertEqual(sorted(self.lines()), [
            *2 * ["ok a: host ran to its end, kernel log clean"], *2 * ["ok a: loads"]])
        self.assertEqual((other / "vapic.ko").read_bytes()[:4], b"\x7fELF")
        self.assertEqual((usual / "vapic.ko").read_text(), "of the usual kernel")
        self.assertEqual((other / "program").read_text(), "the same")

    def test_a_kernel_that_nothing_was_built_for(self) -> None:
        host = Host("amd", "a", "", "b", kernel="6.12-x")
        usual = mnt.folder(self.folder, None)
        usual.mkdir()
        (usual / "vapic.ko").touch()
        with contextlib.chdir(self.folder):
            self.run_lanes([Call(host.run, AMD_LANE)])
        self.assertEqual(self.lines(), ["ok a # SKIP there is no vapic for 6.12-x"])


class Programs(WithRunner):
    def run_program(self, command: str) -> list[str]:
        self.out.truncate(self.out.seek(0))
        self.run_lanes([Call(Program("layout", command, "layout").run)])
        return self.lines()

    def test_one_that_ends_otherwise_than_its_results_say_has_failed(self) -> None:
        for command, shown in (
                ("echo ok 1 stops", ["ok layout: stops"]),
                ("sh -c 'echo not ok 1 stops; exit 1'", ["not ok layout: stops"]),
                ("true", ["not ok layout: ended with status 0"]),
                ("sh -c 'echo ok 1 stops; exit 7'",
                 ["ok layout: stops", "not ok layout: ended with status 7",
                  "# ok layout: stops"]),
                ("sh -c 'kill $$'", [f"not ok layout: ended with status -{signal.SIGTERM:d}"])):
            self.assertEqual(self.run_program(command), shown)

    def test_what_its_command_stands_for(self) -> None:
        runner = Runner(Path("/l"), 1)
        runner.headers = Headers("6", "/k", "/m", "/v", "/c")
        self.assertEqual(Program("a", "b {kdir} {vmlinux} {path} {logs}", "a").words(runner),
                         ["b", "/k", "/v", f"/c:{os.environ['PATH']}", "/l"])

    def test_core_counts_each_case_of_each_build(self) -> None:
        def run(runner: Runner, log: str, words: list[str]) -> object:
            (runner.folder / f"{log}.log").write_text("[       OK ] A.B (0 ms)\n")
            return unittest.mock.Mock(status=0, lines=[])

        with unittest.mock.patch.object(Runner, "run", run):
            runner = self.run_lanes([Call(Core(("x,y", "z")).run)])
        self.assertEqual(list(map(str, runner.results)),
                         ["ok core: tests with -fsanitize=x,y", "ok core: A.B",
                          "ok core: tests with -fsanitize=z", "ok core: A.B"])

    def test_a_folder_counts_each_case_and_its_run(self) -> None:
        def run(runner: Runner, log: str, words: list[str]) -> object:
            self.assertEqual(words[-3:], ["-C", "tools/a", "check"])
            (runner.folder / f"{log}.log").write_text("[  FAILED  ] A.B (0 ms)\n")
            return unittest.mock.Mock(status=1, lines=[])

        with unittest.mock.patch.object(Runner, "run", run):
            runner = self.run_lanes([Call(Google("a", "tools/a").run)])
        self.assertEqual(list(map(str, runner.results)), ["not ok a: tests", "not ok a: A.B"])


class Stages(unittest.TestCase):
    def test_names_of_hosts_are_their_own(self) -> None:
        names = [test.name for tests in stages.STAGES.values() for test in tests
                 if isinstance(test, (Host, Program))]
        self.assertEqual(sorted(names), sorted(set(names)))

    def test_what_hosts_run_is_in_the_tree(self) -> None:
        for tests in stages.STAGES.values():
            for host in tests:
                if isinstance(host, Host):
                    word = next(word for word in host.command.replace("'", " ").split()
                                if word.startswith("/mnt/"))
                    self.assertTrue((TOP / "tests/host" / Path(word).name.rstrip(";")).is_file(),
                                    host)

    def test_amd_hosts_follow_each_other_and_each_intel_host_has_a_lane(self) -> None:
        lanes = stages.lanes([stage for stage in stages.STAGES if stage not in stages.HERE])
        amd = [test for test in lanes[0] if isinstance(test, Host)]
        self.assertEqual({host.machine for host in amd if not host.joins}, {"amd"})
        self.assertEqual({test.lane for test in lanes[0]}, {AMD_LANE})
        for lane in lanes[1:]:
            self.assertEqual([test.machine for test in lane if isinstance(test, Host)], ["intel"])

    def test_hosts_of_the_package_follow_what_makes_their_root(self) -> None:
        (lane,) = stages.lanes(["package"])
        self.assertEqual([test.name for test in lane if isinstance(test, (Host, Program))][-3:],
                         ["host-root", "package", "package-intel"])

    def test_which_stages_run_in_which_order(self) -> None:
        usual = ["static", "kernels", "core", "model", "vm", "errors", "cycles", "intel",
                 "seeds", "boots"]
        for words, wanted in (("", (usual, False)), ("long", (["long"], True)),
                              ("package", (["package"], True)),
                              ("boots", (["kernels", "boots"], True)),
                              ("seeds vm vm", (["vm", "seeds"], True))):
            with unittest.mock.patch.object(sys, "argv", ["check", *words.split()]):
                self.assertEqual(program.arguments(), wanted)

    def test_a_stage_that_does_not_exist(self) -> None:
        error = io.StringIO()
        with (unittest.mock.patch.object(sys, "argv", ["check", "vm", "vms"]),
              contextlib.redirect_stderr(error), self.assertRaises(SystemExit) as ended):
            program.arguments()
        self.assertEqual(ended.exception.code, 2)
        self.assertIn("check: error: no stage 'vms': static, kernels, core, model, vm, errors,"
                      " cycles, intel, seeds, boots, boots-whole, hunt, long, kunit, debug,"
                      " package\n", error.getvalue())


if __name__ == "__main__":
    unittest.main()
