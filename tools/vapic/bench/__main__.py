# SPDX-License-Identifier: GPL-2.0-only
#
# `make bench` from start to end: build, boot with time counting instructions,
# measure stock KVM and vapic in the same boots, print, judge, and write
# build/bench/report.json.
#
# usage: bench [--again]
#   --again  only report, from what the last run left in build/bench/raw

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time

from vapic.bench import devices, figures, inhibited, table
from vapic.bench.boots import BOOTS, DevicesBoot, StepsBoot
from vapic.files import TOP, write
from vapic.run import build, host, steps
from vapic.run.boot import Boot

OUT = "build/bench"
RAW = f"{OUT}/raw"
PROGRAMS = f"{OUT}/programs"
# Linux takes the LOCK prefixes out of its own code if there is one CPU, and not out of vapic's.
OPTIONS = {"amd": ["--icount"], "intel": ["--append", "noreplace-smp"]}
# Of a boot; the machine may be busy.
TIME_LIMIT = 2400


def options_of(boot: Boot) -> list[str]:
    """Of testbed/run."""
    words = [*OPTIONS[boot.machine], "--timeout", str(TIME_LIMIT)]
    if isinstance(boot, DevicesBoot) and boot.iommu:
        words.append("--iommu")
    if isinstance(boot, StepsBoot) and boot.seed is not None:
        words += ["--seed", str(boot.seed)]
    return words


def measure(board: steps.Board, asked: str) -> None:
    built = build.everything(board)
    steps.run_steps(board, [steps.Step(
        build.COUNT + 1, "bench programs", "building",
        built.headers.compiling(["tools/bench-programs/build", built.headers.kdir,
                                 PROGRAMS, build.SELFTESTS]))])
    shutil.rmtree(RAW, ignore_errors=True)
    # Each machine takes one CPU of this one, and what it counts does not depend on others:
    # both run side by side, a machine's boots one after the other.
    measuring: list[steps.Step] = []
    last: dict[str, str] = {}
    for number, (name, boot) in enumerate(BOOTS.items(), start=build.COUNT + 2):
        machine, stage = boot.machine, f"{OUT}/stage/{name}"
        host.stage(stage, ["vapic.ko", f"{build.SELFTESTS}/path_bench",
                           f"{build.SELFTESTS}/device_bench", f"{PROGRAMS}/step_bench",
                           f"{PROGRAMS}/pathbench/pathbench.ko",
                           f"{PROGRAMS}/fake_device/fake_device.ko"], boot)
        measuring.append(steps.Step(
            number, f"measuring {name}", "running",
            host.command(boot, stage, f"{RAW}/{name}", options_of(boot)),
            after=[last[machine]] if machine in last else []))
        last[machine] = f"measuring {name}"
    steps.run_steps(board, measuring)
    for name, boot in BOOTS.items():
        host.note(f"{RAW}/{name}", boot, host.about(built, asked, boot.machine))


def run() -> int:
    os.chdir(TOP)
    parser = argparse.ArgumentParser(prog="tools/bench", allow_abbrev=False)
    parser.add_argument("--again", action="store_true",
                        help="report what the last run measured; measure nothing")
    options = parser.parse_args()
    started = time.monotonic()
    if not options.again:
        measure(steps.Board(build.COUNT + 1 + len(BOOTS)), "make bench")
    report = figures.report(RAW)
    inhibited_vm, of_devices = inhibited.report(RAW, report.amd), devices.report(RAW)
    write(f"{OUT}/report.json", json.dumps({**report.recorded(),
                                            "inhibited": inhibited_vm.recorded(),
                                            "devices": of_devices.recorded()}, indent=1) + "\n")
    print("\n" + table.text(report))
    print("\n" + inhibited.text(inhibited_vm))
    print("\n" + devices.text(of_devices))
    print(f"\n{OUT}/report.json holds the same figures"
          f" ({steps.duration(time.monotonic() - started)} in all)")
    slower = [*table.slower(report.amd), *table.slower(report.intel),
              *inhibited.slower(inhibited_vm), *devices.slower(of_devices)]
    for text in slower:
        print(f"bench: vapic is slower: {text}", file=sys.stderr)
    return 1 if slower else 0


def main() -> None:
    steps.run_program(run)


if __name__ == "__main__":
    main()
