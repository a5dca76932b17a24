# SPDX-License-Identifier: GPL-2.0-only
#
# Runs tests in lanes: those of a lane one after the other, lanes side by side, as many as this
# machine has CPUs. Shows the results as they come, and keeps them, and a log of each command.

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable, Protocol, Self, Sequence

from vapic.check import tap
from vapic.check.tap import Result
from vapic.run.build import Headers

# Lines of the log that are shown if a test fails.
SHOWN = 60
SHOWN_OF_PROGRAM = 40
# Remarks on a failure that are shown once more at the end of all.
SHOWN_AT_END = 24
# Seconds that commands have to end when they are told to.
GRACE = 10
# Status, as a shell has it.
NO_COMMAND = 127


class Ended(Exception):
    """All of this was to end: what became of a command says nothing."""


class Test(Protocol):
    @property
    def lane(self) -> str:
        """What has the same runs one after the other."""

    def run(self, runner: Runner) -> None: ...


@dataclass(frozen=True)
class Finished:
    """What became of a command. The status is negative if a signal ended it."""
    status: int
    seconds: float
    cpu_seconds: float
    lines: list[str]

    @property
    def cost(self) -> str:
        return f"{self.seconds:.0f} s, {self.cpu_seconds:.0f} s of CPU"


class Runner:
    """A context, after which nothing runs any more."""

    def __init__(self, folder: Path, lanes: int) -> None:
        # For results and logs.
        self.folder = folder
        # Of the kernel that the hosts boot, once they are there.
        self.headers = Headers("", "", "", "", "")
        self.started = time.monotonic()
        self.results: list[Result] = []
        # Guards all that lanes share, the terminal too.
        self.lock = threading.Lock()
        self.running: set[int] = set()
        self.ended = False
        self.pool = ThreadPoolExecutor(lanes)
        # With what their tests have as their lane.
        self.lanes: list[tuple[str, Future[None]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def beside(self, tests: Sequence[Test]) -> None:
        """One more lane; it waits for a CPU, behind those that were there before."""
        def run() -> None:
            for test in tests:
                test.run(self)

        self.lanes.append((tests[0].lane, self.pool.submit(run)))

    def wait_for(self, lane: str) -> None:
        """Until that lane, which began before the caller's, has ended."""
        for name, future in self.lanes:
            if name == lane:
                future.result()

    def wait(self) -> None:
        """Until all lanes have ended."""
        for _, future in self.lanes:
            future.result()

    def end(self) -> None:
        """Commands that still run, and what they started, end now, and no other begins."""
        with self.lock:
            self.ended = True
        self.pool.shutdown(wait=False, cancel_futures=True)
        for number in (signal.SIGTERM, signal.SIGKILL):
            limit = time.monotonic() + GRACE
            with self.lock:
                for group in self.running:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(group, number)
            while self.running and time.monotonic() < limit:
                time.sleep(0.05)
        self.pool.shutdown()

    # -- what is said ---------------------------------------------------------

    def show(self, *lines: str) -> None:
        with self.lock:
            for line in lines:
                print(line, flush=True)

    def say(self, text: str) -> None:
        self.show(f"=== {int(time.monotonic() - self.started):4d}s  {text}")

    def comment(self, lines: Iterable[str]) -> None:
        self.show(*(f"# {line}" for line in lines))

    def count(self, results: Sequence[Result]) -> None:
        """Those of one program are together in the file."""
        with self.lock, open(self.folder / "results", "a", encoding="utf-8") as file:
            self.results += results
            file.writelines(f"{result}\n" for result in results)

    def report(self, passed: bool, name: str, remarks: Sequence[str] = ()) -> None:
        result = Result(passed, name, list(remarks))
        self.show(str(result))
        self.count([result])

    # -- commands -------------------------------------------------------------

    def start(self, words: Sequence[str]) -> subprocess.Popen[str]:
        with self.lock:
            if self.ended:
                raise Ended
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", start_new_session=True)
            self.running.add(process.pid)
        return process

    def run(self, log: str, words: Sequence[str],
            look: Callable[[str], str] = lambda line: line) -> Finished:
        """A command to its end, and to that of all that writes where it does. Each line goes to
        the log as look() returns it."""
        started = time.monotonic()
        lines: list[str] = []
        with open(self.folder / f"{log}.log", "w", encoding="utf-8") as file:
            try:
                process = self.start(words)
            except OSError as error:
                file.write(f"{error}\n")
                return Finished(NO_COMMAND, 0, 0, [str(error)])
            with process:
                assert process.stdout
                for line in process.stdout:
                    lines.append(look(line.rstrip("\n")))
                    file.write(f"{lines[-1]}\n")
                    file.flush()
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            with self.lock:
                self.running.remove(process.pid)
                if self.ended:
                    raise Ended
        return Finished(process.returncode, time.monotonic() - started, usage.ru_utime, lines)

    def run_test(self, name: str, log: str, words: Sequence[str]) -> bool:
        """A command that is one test; whether it passed."""
        finished = self.run(log, words)
        self.report(finished.status == 0, name)
        if finished.status != 0:
            self.comment(finished.lines[-SHOWN:])
        return finished.status == 0

    def run_program(self, name: str, words: Sequence[str]) -> tuple[Finished, list[Result]]:
        """A command whose lines are results and remarks."""
        results: list[Result] = []
        # Of the results in a row that were the last ones: the one that failed.
        failed: Result | None = None
        in_a_row = False

        def look(line: str) -> str:
            nonlocal failed, in_a_row
            result = tap.read(line, name)
            if result:
                results.append(result)
                line = str(result)
                if not result.passed:
                    failed = result
                elif not in_a_row:
                    failed = None
                in_a_row = True
            elif line.startswith("# "):
                in_a_row = False
                if failed and len(failed.remarks) < SHOWN_AT_END:
                    failed.remarks.append(line)
            if result or line.startswith("# "):
                self.show(line)
            return line

        finished = self.run(name, words, look)
        self.count(results)
        return finished, results

    def report_end(self, well: bool, name: str, finished: Finished) -> None:
        """One more test: that the program ended well. If not, shows its last lines."""
        said = [f"# {line}" for line in finished.lines
                if not tap.RESULT.match(line) and not line.startswith("#")]
        self.report(well, name, [] if well else said[-SHOWN_AT_END:])
        if not well:
            self.show_end(finished)

    def show_end(self, finished: Finished) -> None:
        """Of a program that did not run well."""
        self.comment(finished.lines[-SHOWN_OF_PROGRAM:])
