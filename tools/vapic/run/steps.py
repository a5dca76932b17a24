# SPDX-License-Identifier: GPL-2.0-only
#
# Runs commands side by side as their order allows and shows how they are
# doing: one line that changes on a terminal, a line every few seconds elsewhere.
# Each command's output goes to build/log/NAME.log; its end is shown on failure.

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import Callable, Iterable, NoReturn, Sequence

from vapic.files import read

LOGS = "build/log"
# Seconds between lines where a line cannot be rewritten.
QUIET = 5

Words = Sequence[str]


class Failed(Exception):
    """A step failed, and the user was told what and why."""


def duration(seconds: float) -> str:
    seconds = int(seconds)
    return f"{seconds // 60}m{seconds % 60:02d}s" if seconds >= 60 else f"{seconds}s"


def lines_of(stream: Iterable[str]) -> queue.Queue[str | None]:
    """A queue that gets every line of the stream, then None."""
    lines: queue.Queue[str | None] = queue.Queue()

    def pass_on() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=pass_on, daemon=True).start()
    return lines


class Step:
    """A command. `after` names the steps that must have ended before; `command`
    may be a function, called when they have. What the command prints on stdout
    is in `output` afterwards if `keep` is set."""

    def __init__(self, number: int, name: str, verb: str, command: Words | Callable[[], Words],
                 after: Sequence[str] = (), keep: bool = False) -> None:
        self.number = number
        self.name = name
        self.verb = verb
        self.command = command
        self.after = after
        self.keep = keep
        self.process: subprocess.Popen[bytes] | None = None
        self.done = False
        self.started = 0.0
        file = name.replace(" ", "-")
        self.log = f"{LOGS}/{file}.log"
        self.result = f"{LOGS}/{file}.out"

    def start(self) -> None:
        words = self.command() if callable(self.command) else self.command
        self.started = time.monotonic()
        with open(self.log, "w") as log, open(self.result, "w") as result:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stderr=log,
                stdout=result if self.keep else log, start_new_session=True)

    @property
    def output(self) -> str:
        return read(self.result)

    def last_line(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as file:
            lines = file.read()[-4000:].split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def elapsed(self) -> float:
        return time.monotonic() - self.started


def interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def end_tidily() -> None:
    """However the user ends this, end what it started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)


class Board:
    """What the user sees."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.tty = sys.stdout.isatty()
        self.shown = 0.0

    def label(self, number: int) -> str:
        return f"[{number}/{self.total}]"

    def line(self, text: str) -> None:
        print(("\r\x1b[K" if self.tty else "") + text, flush=True)
        self.shown = time.monotonic()

    def status(self, text: str) -> None:
        """What is going on now; shown at once only if it can be rewritten."""
        if self.tty:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{text[:width]}", end="", flush=True)
        elif time.monotonic() - self.shown >= QUIET:
            self.line(text)

    def running(self, steps: Sequence[Step]) -> None:
        if len(steps) == 1:
            step = steps[0]
            self.status(f"{self.label(step.number)} {step.name}: {step.verb} … "
                        f"{duration(step.elapsed())}  {step.last_line()[:70]}")
        elif steps:
            self.status("  ".join(f"{self.label(step.number)} {step.name}: {step.verb} … "
                                  f"{duration(step.elapsed())}" for step in steps))


def end_all(steps: Sequence[Step]) -> None:
    """End what still runs, with everything it started."""
    alive = [step.process for step in steps if step.process and step.process.poll() is None]
    for process in alive:
        os.killpg(process.pid, signal.SIGTERM)
    for process in alive:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def report_failure(board: Board, step: Step) -> NoReturn:
    with open(step.log, encoding="utf-8", errors="replace") as file:
        tail = file.read().rstrip().split("\n")[-20:]
    board.line(f"{board.label(step.number)} {step.name}: failed; the end of {step.log}:")
    for line in tail:
        print(f"    {line}")
    print(f"{step.name} failed: {step.last_line()}", file=sys.stderr, flush=True)
    raise Failed(step.name)


def run_steps(board: Board, steps: Sequence[Step]) -> None:
    """Run all steps; raise Failed as soon as one fails."""
    os.makedirs(LOGS, exist_ok=True)
    ended: set[str] = set()
    try:
        while len(ended) < len(steps):
            for step in steps:
                if not step.process and ended.issuperset(step.after):
                    step.start()
            time.sleep(0.2)
            for step in steps:
                if step.done or not step.process or step.process.poll() is None:
                    continue
                step.done = True
                if step.process.returncode != 0:
                    report_failure(board, step)
                board.line(f"{board.label(step.number)} {step.name}: done in "
                           f"{duration(step.elapsed())}")
                ended.add(step.name)
            board.running([step for step in steps if step.process and not step.done])
    finally:
        end_all(steps)


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Runs main() as a whole program, whose status it returns; a step that failed has said
    why."""
    end_tidily()
    try:
        sys.exit(main())
    except Failed:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
