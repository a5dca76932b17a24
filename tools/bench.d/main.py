# SPDX-License-Identifier: GPL-2.0-only
#
# `make bench` from start to end: build, boot with time counting instructions,
# measure stock KVM and vapic in that one boot, print, judge, and write
# build/bench/report.json.
#
# usage: main.py [--again]
#   --again  only report, from what the last run left in build/bench/raw

import argparse
import json
import os
import shutil
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path[:0] = [f"{TOP}/tools/lib", f"{TOP}/tools/bench.d"]

import build  # noqa: E402
import figures  # noqa: E402
import host  # noqa: E402
import inhibited  # noqa: E402
import steps  # noqa: E402
import table  # noqa: E402
from modes import AMD, INTEL_IPIV  # noqa: E402

OUT = "build/bench"
RAW = f"{OUT}/raw"
STAGE = f"{OUT}/stage"
PROGRAMS = f"{OUT}/programs"
# Boots, and what step_bench measures in each. On Intel a tick is an instruction only
# if there is one CPU, so that what takes two has a boot of its own.
BOOTS = {
    "amd": {"machine": "amd", "modes": AMD, "host_cpus": 2, "samples": 200,
            "steps": ["own", "running", "blocked"], "operations": True},
    "intel": {"machine": "intel", "modes": INTEL_IPIV, "host_cpus": 1, "samples": 200,
              "steps": ["own", "blocked", "sleepers"], "operations": False},
    "intel-2": {"machine": "intel", "modes": INTEL_IPIV, "host_cpus": 2, "samples": 200,
                "steps": ["running"], "operations": True},
}
OPTIONS = {"amd": ["--icount"], "intel": []}
# Linux guests with QEMU's defaults, of which the n-th run of each mode makes a pair.
GUESTS = {"machine": "amd", "modes": AMD, "host_cpus": 4, "vcpus": 4, "rounds": 3, "runs": 5,
          "hackbench": "-p -g 2 -l 30", "guest_timeout": 300}
TIME_LIMIT = 900


def measure(board, asked):
    built = build.everything(board)
    steps.run_steps(board, [steps.Step(
        build.COUNT + 1, "bench programs", "building",
        ["tools/bench.d/build", built.kdir, build.SELFTESTS, PROGRAMS])])
    shutil.rmtree(RAW, ignore_errors=True)
    for number, (boot, settings) in enumerate(BOOTS.items(), start=build.COUNT + 2):
        raw, machine = f"{RAW}/{boot}", settings["machine"]
        host.stage(STAGE, ["tools/bench.d/in_host.py", "tools/lib/inside.py", "vapic.ko",
                           f"{build.SELFTESTS}/path_bench", f"{PROGRAMS}/step_bench",
                           f"{PROGRAMS}/pathbench/pathbench.ko"], settings)
        host.measure(board, host.command("in_host.py", STAGE, raw, settings,
                                         [*OPTIONS[machine], "--timeout", str(TIME_LIMIT)]),
                     number, f"measuring {boot}")
        with open(f"{raw}/about.json", "w", encoding="utf-8") as file:
            json.dump({"settings": settings, "about": host.about(built, asked, machine)}, file)
    measure_guests(board, build.COUNT + 2 + len(BOOTS))


def measure_guests(board, number):
    host.stage(STAGE, ["tools/bench.d/guests_in_host.py", "tools/lib/inside.py", "vapic.ko"], GUESTS)
    host.measure(board, host.command("guests_in_host.py", STAGE, f"{RAW}/guests", GUESTS,
                                     [*OPTIONS["amd"], "--timeout", str(TIME_LIMIT)]),
                 number, "measuring guests")


def main():
    os.chdir(TOP)
    parser = argparse.ArgumentParser(prog="tools/bench", allow_abbrev=False)
    parser.add_argument("--again", action="store_true",
                        help="report what the last run measured; measure nothing")
    options = parser.parse_args()
    started = time.monotonic()
    if not options.again:
        measure(steps.Board(build.COUNT + 2 + len(BOOTS)), "make bench")
    report = figures.report(RAW)
    report["inhibited"] = inhibited.report(RAW, report)
    with open(f"{OUT}/report.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(report, indent=1) + "\n")
    print("\n" + table.text(report))
    print("\n" + inhibited.text(report["inhibited"]))
    print(f"\n{OUT}/report.json holds the same figures"
          f" ({steps.duration(time.monotonic() - started)} in all)")
    slower = [path for machine in (report, report["intel"]) for path in machine["paths"]
              if path["verdict"] == "slower"]
    for path in slower:
        print(f"bench: vapic is slower: {path['title']}: {path['vapic']} instructions, stock"
              f" {path['stock']}", file=sys.stderr)
    dearer = inhibited.slower(report["inhibited"])
    for what in dearer:
        print(f"bench: vapic is slower: {what}", file=sys.stderr)
    return 1 if slower or dearer else 0


if __name__ == "__main__":
    steps.run_program(main)
