# SPDX-License-Identifier: GPL-2.0-only
#
# Hunts on emulated hosts: with mutants, each of which should be caught, or with the module as it is
# for as long as one wants, which must survive.
#
# usage: hunt mutants [--host amd|intel] [--seconds N] [NAME...]
#        hunt soak [--hours N] [--schedules N] [--interrupts N] [--machine NAME...] [--shown]

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Callable, Sequence

from vapic import kernels
from vapic.files import TOP, write
from vapic.hunt import mutants, report, soak
from vapic.hunt.mutants import GUARD, OUT, Builder, Mutant
from vapic.hunt.report import CONTROL, CONTROL_AGAIN, Fate
from vapic.run import build, steps

# Options of testbed/run, by name of the machine.
MACHINES = {
    "amd": ["amd", "--smp", "4", "--iommu", "--stock", "--kvm", "avic=0"],
    "amd-icount": ["amd", "--smp", "4", "--iommu", "--icount", "--stock", "--kvm", "avic=0"],
    "intel": ["intel", "--smp", "4", "--stock", "--kvm", "enable_apicv=0"],
}
# In seconds of the host, of which one on Intel takes some ten here: twice as long as an interrupt
# of a mutant may be on its way; and the time in which it must be caught.
PATIENCE = {"amd": 10, "intel": 1}
BUDGET = {"amd": 60, "intel": 15}
# Interrupts of a schedule, as there are fewer a second where the processors take turns.
SHORT = {"amd": 4000, "intel": 600}
LONG = {"amd": 20000, "amd-icount": 4000, "intel": 2000}
# A host's life in seconds, after which the next machine has its turn.
TURN = 1200
# The status of testbed/run that says that the host died of what it ran. 124 does not: its limit is
# that of the whole list.
CRASHED = 122
STATE = TOP / "build/soak/covered.json"


def stage(folder: Path, built: build.Built, modules: Sequence[Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "selftests").mkdir(parents=True)
    shutil.copy(f"{build.SELFTESTS}/hunt", folder / "selftests")
    programs = [f"tests/host/{name}" for name in ("hunt", "hunt.sh", "mutants")]
    for file in [*programs, "tests/lib/tap.sh", *map(str, modules)]:
        shutil.copy(file, folder)
    source = "build/fake_device"
    shutil.copytree("tests/host/fake_device", source, dirs_exist_ok=True)
    subprocess.run(built.headers.compiling(
        ["make", "-s", "-C", built.headers.kdir, "--no-print-directory", f"M={TOP}/{source}",
         "modules"]), check=True)
    shutil.copy(f"{source}/fake_device.ko", folder)


def run_host(options: Sequence[str], folder: Path, timeout: float, command: Sequence[str],
             log: Path, each: Callable[[str], None]) -> int:
    """Runs it on a host, and calls each() with every line as it comes. Returns the status."""
    words = ["testbed/run", options[0], "--kernel", kernels.chosen(), *options[1:],
             "--dir", str(folder), "--timeout", str(int(timeout)), "--", *command]
    with open(log, "a", encoding="utf-8") as errors:
        host = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=errors, text=True)
        assert host.stdout
        try:
            for line in host.stdout:
                errors.write(line)
                errors.flush()
                each(line.rstrip())
            return host.wait()
        finally:
            if host.poll() is None:
                host.terminate()
                host.wait()


# ---- mutants ----

def try_mutants(host: str, wanted: Sequence[Mutant], folder: Path, seconds: int) -> list[Fate]:
    """On as many hosts as die of them."""
    fates: list[Fate] = []
    options = {mutant.name: mutant.hunt for mutant in wanted}
    log = OUT / f"{host}.log"
    log.unlink(missing_ok=True)
    todo = [CONTROL, *options, CONTROL_AGAIN]
    while todo:
        write(folder / "list", "".join(
            f"{name} -i {SHORT[host]} {options.get(name, '')}\n" for name in todo))
        lines: list[str] = []
        begun: dict[str, float] = {}
        ended: dict[str, float] = {}

        def each(line: str) -> None:
            lines.append(line)
            if line.startswith("mutant "):
                begun[line.split()[1]] = time.monotonic()
            fate = report.read_fate(line)
            if fate:
                ended[fate.name] = time.monotonic()
            if not line.startswith("#"):
                print(f"{host}: {line}", flush=True)

        status = run_host([*MACHINES[host], "--allow-warnings"], folder,
                          600 + len(todo) * (seconds + 60),
                          ["env", f"VAPIC_TIMEOUT={PATIENCE[host]}", "/mnt/mutants", str(seconds),
                           "/mnt/list"], log, each)
        found = report.read_fates(lines, "the host crashed" if status == CRASHED else "",
                                  f"the host ended with status {status}")
        now = time.monotonic()
        fates += [replace(fate, took=round(ended.get(fate.name, now) - begun.get(fate.name, now)))
                  for fate in found]
        named = {fate.name for fate in found}
        left = [name for name in todo if name not in named]
        if len(left) == len(todo):
            return fates + [Fate(name, "broken", what=f"the host ended with status {status}")
                            for name in left]
        todo = left
    return fates


def chosen(host: str | None, names: Sequence[str]) -> list[Mutant]:
    found = [mutant for mutant in mutants.everyone()
             if host in (None, mutant.host) and (not names or mutant.name in names)]
    unknown = set(names) - {mutant.name for mutant in found}
    if unknown:
        raise SystemExit(f"no such mutant: {', '.join(sorted(unknown))}")
    return found


def hunt_mutants(arguments: argparse.Namespace) -> int:
    wanted = chosen(arguments.host, arguments.names)
    built = build.everything(steps.Board(build.COUNT))
    OUT.mkdir(parents=True, exist_ok=True)
    Builder(built.headers).build_all(wanted)
    fates: list[Fate] = []
    for host in sorted({mutant.host for mutant in wanted}):
        of_host = [mutant for mutant in wanted if mutant.host == host]
        folder = OUT / f"mnt-{host}"
        stage(folder, built, [OUT / f"{CONTROL}{mutants.SUFFIX}",
                              *(mutant.module for mutant in of_host)])
        shutil.copy(folder / f"{CONTROL}{mutants.SUFFIX}",
                    folder / f"{CONTROL_AGAIN}{mutants.SUFFIX}")
        fates += try_mutants(host, of_host, folder, arguments.seconds or BUDGET[host])
    text = report.table(fates)
    write(OUT / "report.txt", f"{text}\n")
    print(text)
    wrong = [fate for fate in fates if not fate.right]
    print(f"{len(fates) - len(wrong)} as they should be, {len(wrong)} not; {GUARD}.patch alone is "
          f"'{CONTROL}' and '{CONTROL_AGAIN}', which must survive")
    return 1 if wrong or not fates else 0


# ---- soak ----

def hunt_on(machine: str, state: soak.State, folder: Path, seconds: float, schedules: int,
            interrupts: int) -> int:
    """One host. Returns its status."""
    covered = state.on(machine)
    begun = time.monotonic()

    def each(line: str) -> None:
        schedule = soak.Schedule.of(line)
        if schedule:
            covered.add(schedule)
            state.keep()
        if not schedule or not schedule.passed:
            print(f"{machine}: {line}", flush=True)

    try:
        return run_host(MACHINES[machine], folder, seconds + 900,
                        ["/mnt/hunt", "-s", str(covered.next_seed), "-n", str(schedules), "-t",
                         str(int(seconds)), "-i", str(interrupts)],
                        STATE.parent / f"{machine}.log", each)
    finally:
        covered.seconds += time.monotonic() - begun
        state.keep()


def hunt_long(arguments: argparse.Namespace) -> int:
    STATE.parent.mkdir(parents=True, exist_ok=True)
    state = soak.State(STATE)
    if arguments.shown:
        print(state.shown() or "nothing yet")
        return 0
    built = build.everything(steps.Board(build.COUNT))
    folder = STATE.parent / "mnt"
    stage(folder, built, [TOP / "vapic.ko"])
    subprocess.run(["strip", "--strip-debug", str(folder / "vapic.ko")], check=True)
    end = time.monotonic() + arguments.hours * 3600
    failed = False
    before = state.schedules
    while not failed and time.monotonic() + 1 <= end:
        for machine in arguments.machine or MACHINES:
            seconds = min(TURN, end - time.monotonic())
            # The hunter wants a whole second.
            if seconds < 1 or failed:
                break
            status = hunt_on(machine, state, folder, seconds, arguments.schedules,
                             arguments.interrupts or LONG[machine])
            if status:
                print(f"{machine}: the host ended with status {status}; see "
                      f"{STATE.parent}/{machine}.log")
                failed = True
        if arguments.once:
            break
    print(state.shown())
    if state.schedules == before:
        print("no schedule was run")
        failed = True
    return 1 if failed or any(covered.lost for covered in state.machines.values()) else 0


def run() -> int:
    os.chdir(TOP)
    parser = argparse.ArgumentParser(prog="tools/hunt", allow_abbrev=False)
    commands = parser.add_subparsers(required=True)
    of_mutants = commands.add_parser("mutants", help="which mutants of tests/mutations it catches")
    of_mutants.add_argument("--host", choices=sorted(BUDGET))
    of_mutants.add_argument("--seconds", type=int, help="in which each must be caught")
    of_mutants.add_argument("names", nargs="*", metavar="NAME")
    of_mutants.set_defaults(what=hunt_mutants)
    of_soak = commands.add_parser("soak", help="hunt with the module as it is, and go on later")
    of_soak.add_argument("--hours", type=float, default=1)
    of_soak.add_argument("--schedules", type=int, default=1000000, help="of each host at most")
    of_soak.add_argument("--interrupts", type=int, help="of a schedule")
    of_soak.add_argument("--machine", action="append", choices=sorted(MACHINES))
    of_soak.add_argument("--once", action="store_true", help="one host of each machine")
    of_soak.add_argument("--shown", action="store_true",
                         help="only show what earlier hunts have covered")
    of_soak.set_defaults(what=hunt_long)
    arguments = parser.parse_args()
    what: Callable[[argparse.Namespace], int] = arguments.what
    return what(arguments)


def main() -> None:
    steps.run_program(run)


if __name__ == "__main__":
    main()
