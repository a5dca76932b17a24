# SPDX-License-Identifier: GPL-2.0-only
#
# `make demo` from start to end: build, boot and measure, make figures, judge,
# print, write build/demo/report.json and report.html.
#
# usage: demo [--modes NAME,...] [--again]
#   --modes  only these of run/modes.py; `amd` or `intel` is all of that machine.
#            Passes only if all modes of each machine that was booted were measured
#   --again  only report, from what the last run left in build/demo/raw

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time

from vapic.demo import figures, page, table, verdict
from vapic.demo.boots import BOOTS, DemoBoot
from vapic.files import TOP, write
from vapic.run import build, host, steps
from vapic.run.modes import MACHINES

OUT = "build/demo"
RAW = f"{OUT}/raw"
STAGE = f"{OUT}/stage"

TIME_LIMIT = 900


def measure_machine(board: steps.Board, number: int, built: build.Built, boot: DemoBoot,
                    asked: str) -> None:
    raw = f"{RAW}/{boot.machine}"
    files = [f"{build.SELFTESTS}/ipi_bench"]
    if any(mode.vapic is not None for mode in boot.modes):
        files.append("vapic.ko")
    host.stage(STAGE, files, boot)
    host.measure(board, host.command(boot, STAGE, raw, ["--timeout", str(TIME_LIMIT)]),
                 number, f"measuring {boot.machine}")
    host.note(raw, boot, host.about(built, asked, boot.machine))


def measure(board: steps.Board, modes: list[str], asked: str) -> None:
    """Everything up to what was recorded in RAW. One machine after the other: both at
    once would make the AMD one's ticks longer."""
    built = build.everything(board)
    shutil.rmtree(RAW, ignore_errors=True)
    for number, boot in enumerate(BOOTS.values(), start=build.COUNT + 1):
        if wanted := boot.only(modes):
            measure_machine(board, number, built, wanted, asked)


def arguments() -> tuple[list[str], bool]:
    """Names of the modes that are wanted, and whether nothing is to be measured."""
    parser = argparse.ArgumentParser(prog="tools/demo", allow_abbrev=False)
    parser.add_argument("--modes", metavar="NAME,...",
                        default=",".join(MACHINES),
                        help="measure only these (default: %(default)s, which stand for"
                             " all modes of the machine)")
    parser.add_argument("--again", action="store_true",
                        help="report what the last run measured; measure nothing")
    options = parser.parse_args()
    groups = {machine: [mode.name for mode in modes] for machine, modes in MACHINES.items()}
    groups.update({name: [name] for names in list(groups.values()) for name in names})
    for name in options.modes.split(","):
        if name not in groups:
            parser.error(f"no mode '{name}': {', '.join(groups)}")
    return [mode for name in options.modes.split(",") for mode in groups[name]], options.again


def run() -> int:
    os.chdir(TOP)
    modes, again = arguments()
    started = time.monotonic()
    if not again:
        measure(steps.Board(build.COUNT + len(MACHINES)), modes,
                " ".join(["tools/demo", *sys.argv[1:]]) if sys.argv[1:] else "make demo")
    report = figures.report(RAW)
    checks = verdict.checks(report)
    write(f"{OUT}/report.json", json.dumps(
        {**report.recorded(), "checks": [check.recorded() for check in checks]}, indent=1) + "\n")
    write(f"{OUT}/report.html", page.html(report, checks))
    print("\n" + table.text(report, checks))
    print(f"\n{OUT}/report.html and {OUT}/report.json hold the same figures"
          f" ({steps.duration(time.monotonic() - started)} in all)")
    failed = [check for check in checks if not check.ok]
    for check in failed:
        print(f"demo: does not hold: {check.what}: {check.found}", file=sys.stderr)
    return 1 if failed else 0


def main() -> None:
    steps.run_program(run)


if __name__ == "__main__":
    main()
