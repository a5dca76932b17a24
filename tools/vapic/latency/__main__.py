# SPDX-License-Identifier: GPL-2.0-only
#
# `make latency` from start to end: build, boot an emulated AMD host, and print how late cyclictest
# was in host and guest. Time counts instructions there, so it is the same on a busy machine, and
# says nothing of caches or of what entries and exits cost.
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
from vapic.run.modes import AMD

OUT = "build/latency"
RAW = f"{OUT}/raw"
TIME_LIMIT = 3000
BOOT = LatencyBoot("amd", [mode for mode in AMD if mode.name != "stock-avic1"], host_cpus=4,
                   vcpus=2, interval=1000, loops=3000, hackbench="-p -g 1 -l 100")


def measure() -> None:
    board = steps.Board(build.COUNT + 1)
    built = build.everything(board)
    shutil.rmtree(RAW, ignore_errors=True)
    host.stage(f"{OUT}/stage", ["vapic.ko"], BOOT)
    host.measure(board, host.command(BOOT, f"{OUT}/stage", RAW,
                                     ["--icount", "--timeout", str(TIME_LIMIT)]),
                 build.COUNT + 1, "measuring")
    host.note(RAW, BOOT, host.about(built, "make latency", BOOT.machine))


def run() -> int:
    os.chdir(TOP)
    parser = argparse.ArgumentParser(prog="tools/latency", allow_abbrev=False)
    parser.add_argument("--again", action="store_true",
                        help="report what the last run measured; measure nothing")
    if not parser.parse_args().again:
        measure()
    rows = {f"{where}, {mode.title}": figures.read_histogram(read(f"{RAW}/{mode.name}/{where}"))
            for where in ("host", "guest") for mode in BOOT.modes}
    print(f"\n{read(f'{RAW}/kernel').strip()}\n"
          "cyclictest, microseconds late; a microsecond is 1000 instructions\n"
          f"{figures.table(rows)}")
    return 0


def main() -> None:
    steps.run_program(run)


if __name__ == "__main__":
    main()
