# SPDX-License-Identifier: GPL-2.0-only
#
# `make demo` from start to end: build, boot and measure, make figures, judge,
# print, write build/demo/report.json and report.html.
#
# usage: demo [--modes NAME,...] [--again]
#   --modes  only these of run/modes.py; `amd` or `intel` is all of that machine.
#            Passes only if all modes of each machine that was booted were measured
#   --again  only report, from what the last run left in build/demo/raw

import argparse
import json
import os
import shutil
import sys
import time

from vapic.demo import figures, page, table, verdict
from vapic.files import TOP
from vapic.run import build, host, steps
from vapic.run.modes import MACHINES

OUT = "build/demo"
RAW = f"{OUT}/raw"
STAGE = f"{OUT}/stage"

TIME_LIMIT = 900
# The Intel host is slower by far, but nothing disturbs it: its time counts
# instructions, and one round is as good as three.
SETTINGS = {
    "amd": {
        "rounds": 3,
        "guests": [2, 4],
        "hackbench": "-p -g 2 -l 100",
        "hackbench_runs": 3,
    },
    "intel": {
        "rounds": 1,
        "guests": [2],
        "hackbench": "-p -g 1 -l 20",
        "hackbench_runs": 1,
    },
}
EVERYWHERE = {"host_cpus": 4, "ipis": 200, "guest_timeout": 200}


def measure_machine(board, number, built, machine, modes, asked):
    raw = f"{RAW}/{machine}"
    chosen = {"machine": machine, "modes": modes, **EVERYWHERE, **SETTINGS[machine]}
    files = [f"{build.SELFTESTS}/ipi_bench"]
    if any("vapic" in mode for mode in modes):
        files.append("vapic.ko")
    host.stage(STAGE, files, chosen)
    host.measure(board, host.command("vapic.demo.in_host", STAGE, raw, chosen,
                                     ["--timeout", str(TIME_LIMIT)]),
                 number, f"measuring {machine}")
    with open(f"{raw}/about.json", "w", encoding="utf-8") as file:
        json.dump({"settings": chosen, "about": host.about(built, asked, machine)}, file)


def measure(board, modes, asked):
    """Everything up to what was recorded in RAW. One machine after the other: both at
    once would make the AMD one's ticks longer."""
    built = build.everything(board)
    shutil.rmtree(RAW, ignore_errors=True)
    for number, machine in enumerate(MACHINES, start=build.COUNT + 1):
        wanted = [mode for mode in MACHINES[machine] if mode["name"] in modes]
        if wanted:
            measure_machine(board, number, built, machine, wanted, asked)


def arguments():
    parser = argparse.ArgumentParser(prog="tools/demo", allow_abbrev=False)
    parser.add_argument("--modes", metavar="NAME,...",
                        default=",".join(MACHINES),
                        help="measure only these (default: %(default)s, which stand for"
                             " all modes of the machine)")
    parser.add_argument("--again", action="store_true",
                        help="report what the last run measured; measure nothing")
    options = parser.parse_args()
    groups = {machine: [mode["name"] for mode in modes] for machine, modes in MACHINES.items()}
    groups.update({name: [name] for names in list(groups.values()) for name in names})
    for name in options.modes.split(","):
        if name not in groups:
            parser.error(f"no mode '{name}': {', '.join(groups)}")
    options.modes = [mode for name in options.modes.split(",") for mode in groups[name]]
    return options


def write(name, text):
    with open(f"{OUT}/{name}", "w", encoding="utf-8") as file:
        file.write(text)


def main():
    os.chdir(TOP)
    options = arguments()
    started = time.monotonic()
    if not options.again:
        measure(steps.Board(build.COUNT + len(MACHINES)), options.modes,
                " ".join(["tools/demo", *sys.argv[1:]]) if sys.argv[1:] else "make demo")
    report = figures.report(RAW)
    report["checks"] = verdict.checks(report)
    write("report.json", json.dumps(report, indent=1) + "\n")
    write("report.html", page.html(report))
    print("\n" + table.text(report))
    print(f"\n{OUT}/report.html and {OUT}/report.json hold the same figures"
          f" ({steps.duration(time.monotonic() - started)} in all)")
    failed = [check for check in report["checks"] if not check["ok"]]
    for check in failed:
        print(f"demo: does not hold: {check['what']}: {check['found']}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    steps.run_program(main)
