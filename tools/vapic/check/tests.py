# SPDX-License-Identifier: GPL-2.0-only
#
# The kinds of tests that stages.py lists: an emulated host, a program on this machine, and the
# tests of core. Each says which command it is, and when that has run well.

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from vapic import kernels
from vapic.check import mnt, tap
from vapic.check.runner import Runner
from vapic.files import TOP, read, write
from vapic.run.build import Headers

# Each host has four threads: one after the other.
AMD_LANE = "amd"
# Where vapic is built for all the kernels, which hosts that boot another than usual wait for.
KERNELS_LANE = "kernels"


@dataclass(frozen=True)
class Host:
    """A run on an emulated host; what its command prints are results. The run itself counts as
    one more test: it must end well, with a clean kernel log."""
    machine: str
    name: str
    # Of testbed/run, as typed.
    options: str
    command: str
    # Seconds; if None, testbed/run's.
    timeout: int | None = None
    # Whether what the command leaves in /out is brought back.
    out: bool = False
    # A name of testbed/kernels; if None, the one that all is built for.
    kernel: str | None = None
    # The lane whose tests make what it takes; if None, it takes nothing.
    joins: str | None = None

    @property
    def lane(self) -> str:
        return self.joins or (AMD_LANE if self.machine == "amd" else self.name)

    def words(self, folder: Path) -> list[str]:
        words = ["testbed/run", self.machine, "--kernel", self.kernel or kernels.chosen(),
                 *shlex.split(self.options),
                 "--dir", str(mnt.folder(folder, self.kernel))]
        if self.out:
            words += ["--out", str(folder)]
        if self.timeout is not None:
            words += ["--timeout", str(self.timeout)]
        return [*words, "--", *shlex.split(self.command)]

    def lacks(self, headers: Headers) -> str | None:
        """What this kernel was configured without, though the host needs it."""
        if "--iommu" in shlex.split(self.options) and not headers.has("AMD_IOMMU"):
            return "CONFIG_AMD_IOMMU"
        return None

    def run(self, runner: Runner) -> None:
        if self.kernel:
            runner.wait_for(KERNELS_LANE)
        title = f"{self.machine} host: {self.name}"
        runner.say(title)
        lacking = self.lacks(runner.headers)
        if lacking:
            runner.report(True, f"{self.name} # SKIP {kernels.chosen()} has no {lacking}")
            return
        if self.kernel and not mnt.stage_for(runner, self.kernel):
            runner.report(True, f"{self.name} # SKIP there is no vapic for {self.kernel}")
            return
        finished, results = runner.run_program(self.name, self.words(runner.folder))
        well = finished.status == 0 and bool(results)
        runner.report_end(well, f"{self.name}: host ran to its end, kernel log clean", finished)
        write(runner.folder / f"{self.name}.time", f"{finished.cost}\n")
        runner.say(f"{title}: {finished.cost}")


@dataclass(frozen=True)
class Program:
    """It runs here, and prints results. {kdir} in the command stands for the kernel's headers,
    {vmlinux} for the file with its BTF, {path} for PATH with its compiler, {logs} for the folder
    of logs."""
    name: str
    command: str
    lane: str

    def words(self, runner: Runner) -> list[str]:
        headers = runner.headers
        return shlex.split(self.command.format(
            kdir=headers.kdir, vmlinux=headers.vmlinux, path=headers.path, logs=runner.folder))

    def run(self, runner: Runner) -> None:
        runner.say(self.name)
        finished, results = runner.run_program(self.name, self.words(runner))
        if not results or (finished.status != 0 and all(result.passed for result in results)):
            runner.report_end(False, f"{self.name}: ended with status {finished.status}", finished)


@dataclass(frozen=True)
class Core:
    """Each of GoogleTest's cases counts, and each build of them."""
    sanitizers: tuple[str, ...]
    lane: str = "core"

    def run(self, runner: Runner) -> None:
        runner.say("core")
        for sanitizer in self.sanitizers:
            folder = f"{TOP}/build/core-{sanitizer.partition(',')[0]}"
            log = f"core-{sanitizer}"
            runner.run_test(
                f"core: tests with -fsanitize={sanitizer}", log,
                ["make", "-j2", "-C", "tests/core", "check", f"O={folder}", f"SAN={sanitizer}"])
            runner.count(tap.read_google(read(runner.folder / f"{log}.log"), "core"))


@dataclass(frozen=True)
class Google:
    """GoogleTest's cases that `make check` of a folder builds and runs."""
    name: str
    folder: str
    lane: str = "core"

    def run(self, runner: Runner) -> None:
        runner.say(self.name)
        runner.run_test(f"{self.name}: tests", self.name,
                        ["make", "-j2", "-C", self.folder, "check"])
        runner.count(tap.read_google(read(runner.folder / f"{self.name}.log"), self.name))
