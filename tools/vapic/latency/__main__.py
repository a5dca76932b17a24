# SPDX-License-Identifier: GPL-2.0-only
#
# `make latency` from start to end: build, boot an emulated host of each vendor, and print how late
# cyclictest was in host and guest. Time counts instructions there, so it is the same on a busy
# machine, and says nothing of caches or of what entries and exits cost. On AMD one CPU runs at a
# time, and time is the sum of all; on Intel they take turns of a few instructions, and time is
# the mean.
#
# usage: latency [--again]

from __future__ import annotations

import argparse
import os
import shutil

from vapic.files import TOP, read
from vapic.latency import figures
from vapic.latency.boots import LatencyBoot
from vapic.run import build, host, steps
from vapic.run.modes import AMD, INTEL_IPIV, Mode

OUT = "build/latency"
RAW = f"{OUT}/raw"
TIME_LIMIT = 3000


def boot(machine: str, modes: list[Mode], loops: int) -> LatencyBoot:
    return LatencyBoot(machine, modes, host_cpus=4, vcpus=2, interval=1000, loops=loops, rounds=3,
                       hackbench="-p -g 1 -l 100")


BOOTS = {
    # Stock cannot use AVIC on PREEMPT_RT.
    "amd": boot("amd", [mode for mode in AMD if mode.name != "stock-avic1"], 1000),
    "intel": boot("intel", INTEL_IPIV, 200),
}
# That an emulated microsecond takes
INSTRUCTIONS = {"amd": "1000 instructions of all CPUs together",
                "intel": "100 instructions of each CPU"}
OPTIONS: dict[str, list[str]] = {"amd": ["--icount"], "intel": []}


def measure() -> None:
    board = steps.Board(build.COUNT + len(BOOTS))
    built = build.everything(board)
    shutil.rmtree(RAW, ignore_errors=True)
    measuring = []
    for number, (name, measured) in enumerate(BOOTS.items(), start=build.COUNT + 1):
        stage = f"{OUT}/stage/{name}"
        host.stage(stage, ["vapic.ko"], measured)
        measuring.append(steps.Step(
            number, f"measuring {name}", "running",
            host.command(measured, stage, f"{RAW}/{name}",
                         [*OPTIONS[name], "--timeout", str(TIME_LIMIT)])))
    steps.run_steps(board, measuring)
    for name, measured in BOOTS.items():
        host.note(f"{RAW}/{name}", measured,
                  host.about(built, "make latency", measured.machine))


def run() -> int:
    os.chdir(TOP)
    parser = argparse.ArgumentParser(prog="tools/latency", allow_abbrev=False)
    parser.add_argument("--again", action="store_true",
                        help="report what the last run measured; measure nothing")
    if not parser.parse_args().again:
        measure()
    for name, measured in BOOTS.items():
        raw = f"{RAW}/{name}"
        rows = {f"{where}, {mode.title}": [
            figures.read_histogram(read(f"{raw}/{mode.name}/{where}-{number}"))
            for number in range(measured.rounds)]
            for where in ("host", "guest") for mode in measured.modes}
        print(f"\n{read(f'{raw}/kernel').strip()}\n"
              f"cyclictest, microseconds late; a microsecond is {INSTRUCTIONS[name]}\n"
              f"{figures.table(rows)}")
    return 0


def main() -> None:
    steps.run_program(run)


if __name__ == "__main__":
    main()
