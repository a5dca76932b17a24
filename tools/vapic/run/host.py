# SPDX-License-Identifier: GPL-2.0-only
#
# Boots the emulated host to measure something in it, and shows how it goes:
# lines "@ TEXT" from the program inside tell what it is doing, lines "@+ TEXT"
# how far that is.

from __future__ import annotations

import dataclasses
import json
import os
import queue
import shutil
import subprocess
import sys
import time
from typing import NoReturn, Sequence

from vapic import kernels
from vapic.files import HOME, TOP, read, write
from vapic.run import build, steps
from vapic.run.boot import About, Boot, Computer

# What each emulator is, but for its version.
EMULATORS = {
    "amd": ("QEMU", "(TCG) with testbed/qemu's AVIC"),
    "intel": ("Bochs", "with testbed/bochs's APICv and IPI virtualization"),
}


def stage(folder: str, files: Sequence[str], boot: Boot) -> None:
    """Fill the folder that the host sees at /mnt; this package goes there as well."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    shutil.copytree(f"{HOME}/vapic", f"{folder}/vapic",
                    ignore=shutil.ignore_patterns("__pycache__", "test"))
    for file in [*files, *(str(TOP / library) for library in boot.LIBRARIES)]:
        shutil.copy(file, folder)
    write(f"{folder}/settings.json", json.dumps(boot.recorded()))


def command(boot: Boot, folder: str, out: str, options: Sequence[str]) -> list[str]:
    """Boot with the first mode's KVM; the program inside changes modes itself."""
    return ["testbed/run", boot.machine, "--kernel", kernels.chosen(),
            "--smp", str(boot.host_cpus), "--stock",
            "--kvm", boot.modes[0].kvm, "--dir", folder, "--out", out, *options,
            "--", "env", "PYTHONPATH=/mnt", "python3", "-B", "-m", boot.PROGRAM,
            "/mnt/settings.json"]


def failed(board: steps.Board, label: str, doing: str, status: int, log_path: str) -> NoReturn:
    lines = read(log_path).rstrip().split("\n")
    board.line(f"{label} {doing}: failed; the end of {log_path}:")
    print("\n".join(f"    {line}" for line in lines[-25:]))
    # What the program inside said comes before a long kernel log.
    why = next((line for line in lines if line.startswith("in_host:")), lines[-1])
    print(f"measuring failed while {doing} (status {status}): {why}", file=sys.stderr)
    raise steps.Failed("measuring")


def measure(board: steps.Board, words: Sequence[str], number: int, name: str) -> None:
    """Run a command() to its end, as the board's step of that number; raise steps.Failed if
    it fails."""
    log_path = f"{steps.LOGS}/{name.replace(' ', '-')}.log"
    label = f"{board.label(number)} {name}:"
    started = begun = time.monotonic()
    doing, how_far = "booting the emulated host", ""
    with open(log_path, "w", encoding="utf-8") as log:
        host = subprocess.Popen(words, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=log)
        assert host.stdout
        lines = steps.lines_of(host.stdout)
        try:
            while True:
                try:
                    line = lines.get(timeout=0.2)
                except queue.Empty:
                    board.status(f"{label} {doing}{how_far} …"
                                 f" {steps.duration(time.monotonic() - begun)}")
                    continue
                if line is None:
                    break
                log.write(line)
                log.flush()
                if line.startswith("@ "):
                    now = time.monotonic()
                    board.line(f"{label} {doing}, {steps.duration(now - begun)}")
                    doing, how_far, begun = line[2:].rstrip(), "", now
                elif line.startswith("@+ "):
                    how_far = ": " + line[3:].rstrip()
            host.wait()
        finally:
            if host.poll() is None:
                host.terminate()
                host.wait()
    if host.returncode != 0:
        failed(board, label, doing, host.returncode, log_path)
    board.line(f"{label} done in {steps.duration(time.monotonic() - started)}")


def emulator(built: build.Built, machine: str) -> str:
    """What was emulated with, for a report."""
    name, rest = EMULATORS[machine]
    try:
        # Debian's epoch says nothing about the program.
        version = read(f"{built.emulators[machine]}/version").strip().split(":")[-1]
    except FileNotFoundError:
        version = "of a build of one's own"
    return f"{name} {version} {rest}"


def about(built: build.Built, asked: str, machine: str) -> About:
    def output(*words: str) -> str:
        result = subprocess.run(words, capture_output=True, text=True)
        return result.stdout.strip() if result.returncode == 0 else ""

    cpu = next((line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines()
                if line.startswith("model name")), "unknown")
    return About(
        date=time.strftime("%Y-%m-%d %H:%M:%S %z"),
        command=asked,
        machine=Computer(cpu, os.cpu_count() or 1),
        emulator=emulator(built, machine),
        source=output("git", "describe", "--always", "--dirty", "--abbrev=12"),
    )


def note(folder: str, boot: Boot, about_it: About) -> None:
    """Leave beside what was recorded how it came about."""
    write(f"{folder}/about.json", json.dumps({"settings": boot.recorded(),
                                              "about": dataclasses.asdict(about_it)}))
