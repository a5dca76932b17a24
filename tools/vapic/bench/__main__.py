# SPDX-License-Identifier: GPL-2.0-only
#
# `make bench` from start to end: build, boot with time counting instructions,
# measure stock KVM and vapic in the same boots, print, judge, and write
# build/bench/report.json.
#
# usage: bench [--again]
#   --again  only report, from what the last run left in build/bench/raw

import argparse
import json
import os
import shutil
import sys
import time

from vapic.bench import figures, inhibited, table
from vapic.files import TOP
from vapic.run import build, host, steps
from vapic.run.modes import AMD, INTEL_IPIV

OUT = "build/bench"
RAW = f"{OUT}/raw"
PROGRAMS = f"{OUT}/programs"
# Boots, and what step_bench measures in each but those with a program of their own. On Intel a tick is an instruction only
# if there is one CPU, so that what takes two has a boot of its own.
BOOTS = {
    "amd": {"machine": "amd", "modes": AMD, "host_cpus": 2, "samples": 200,
            "steps": ["own", "linux", "running", "blocked"], "operations": True},
    "intel": {"machine": "intel", "modes": INTEL_IPIV, "host_cpus": 1, "samples": 200,
              "steps": ["own", "linux", "blocked", "sleepers"], "operations": False},
    "intel-2": {"machine": "intel", "modes": INTEL_IPIV, "host_cpus": 2, "samples": 200,
                "steps": ["running"], "operations": True},
    # As many guests of each mode, and in each so many runs of hackbench.
    "amd-hackbench": {"program": "vapic.bench.hackbench", "machine": "amd", "modes": AMD[1:],
                      "host_cpus": 2, "guests": 3, "runs": 10, "hackbench": "-p -g 1 -l 60"},
    "intel-hackbench": {"program": "vapic.bench.hackbench", "machine": "intel", "modes": INTEL_IPIV,
                        "host_cpus": 2, "guests": 3, "runs": 10, "hackbench": "-p -g 1 -l 20"},
    # With QEMU's defaults; the n-th run of each mode makes a pair with that of another.
    "amd-guests": {"program": "vapic.bench.guests_in_host", "machine": "amd", "modes": AMD, "host_cpus": 4,
                   "vcpus": 4, "rounds": 3, "runs": 5, "hackbench": "-p -g 2 -l 30",
                   "guest_timeout": 300},
}
# Linux takes the LOCK prefixes out of its own code if there is one CPU, and not out of vapic's.
OPTIONS = {"amd": ["--icount"], "intel": ["--append", "noreplace-smp"]}
# Of a boot; the machine may be busy.
TIME_LIMIT = 2400


def measure(board, asked):
    built = build.everything(board)
    steps.run_steps(board, [steps.Step(
        build.COUNT + 1, "bench programs", "building",
        ["tools/bench-programs/build", built.kdir, build.SELFTESTS, PROGRAMS])])
    shutil.rmtree(RAW, ignore_errors=True)
    # Each machine takes one CPU of this one, and what it counts does not depend on others:
    # both run side by side, a machine's boots one after the other.
    boots, last = [], {}
    for number, (boot, settings) in enumerate(BOOTS.items(), start=build.COUNT + 2):
        machine, stage = settings["machine"], f"{OUT}/stage/{boot}"
        program = settings.get("program", "vapic.bench.in_host")
        host.stage(stage, ["vapic.ko", f"{build.SELFTESTS}/path_bench",
                           f"{PROGRAMS}/step_bench", f"{PROGRAMS}/pathbench/pathbench.ko"], settings)
        boots.append(steps.Step(
            number, f"measuring {boot}", "running",
            host.command(program, stage, f"{RAW}/{boot}", settings,
                         [*OPTIONS[machine], "--timeout", str(TIME_LIMIT)]),
            after=[last[machine]] if machine in last else []))
        last[machine] = f"measuring {boot}"
    steps.run_steps(board, boots)
    for boot, settings in BOOTS.items():
        with open(f"{RAW}/{boot}/about.json", "w", encoding="utf-8") as file:
            json.dump({"settings": settings,
                       "about": host.about(built, asked, settings["machine"])}, file)


def main():
    os.chdir(TOP)
    parser = argparse.ArgumentParser(prog="tools/bench", allow_abbrev=False)
    parser.add_argument("--again", action="store_true",
                        help="report what the last run measured; measure nothing")
    options = parser.parse_args()
    started = time.monotonic()
    if not options.again:
        measure(steps.Board(build.COUNT + 1 + len(BOOTS)), "make bench")
    report = figures.report(RAW)
    report["inhibited"] = inhibited.report(RAW, report)
    with open(f"{OUT}/report.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(report, indent=1) + "\n")
    print("\n" + table.text(report))
    print("\n" + inhibited.text(report["inhibited"]))
    print(f"\n{OUT}/report.json holds the same figures"
          f" ({steps.duration(time.monotonic() - started)} in all)")
    slower = [*table.slower(report), *table.slower(report["intel"]),
              *inhibited.slower(report["inhibited"])]
    for text in slower:
        print(f"bench: vapic is slower: {text}", file=sys.stderr)
    return 1 if slower else 0


if __name__ == "__main__":
    steps.run_program(main)
