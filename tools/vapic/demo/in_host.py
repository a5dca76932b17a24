# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside the emulated host and records, for each mode, what the programs
# and the emulator's counters say. It interprets nothing: every answer goes to
# /out/MODE/ as it came, and figures.py makes figures of it outside.
#
# usage: python3 -m vapic.demo.in_host SETTINGS.json

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import qmp
from vapic.demo.boots import DEFAULTS, DemoBoot, title_of, vcpus_of
from vapic.files import HOME, read
from vapic.run.inside import detail, fail, hold_still, keep, run, say, switch_to
from vapic.run.modes import Mode

BEGIN, END = "demo: hackbench begins", "demo: hackbench ended"
VCPUS = "/sys/kernel/vapic/vcpus"
MONITOR = "/tmp/monitor"


def measure_ipis(mode: Mode, boot: DemoBoot, number: int) -> None:
    """ipi_bench's figures go to a file; its remarks tell how far it is."""
    say(f"{mode.name}: IPIs, round {number} of {boot.rounds}")
    expect = "accelerated" if mode.accelerated else "plain"
    os.makedirs(f"/out/{mode.name}", exist_ok=True)
    with open(f"/out/{mode.name}/ipi_bench-{number}", "w", encoding="utf-8") as out:
        bench = subprocess.Popen(
            [f"{HOME}/ipi_bench", "-n", str(boot.ipis)], text=True,
            env={**os.environ, "VAPIC_EXPECT": expect, "VAPIC_TIMEOUT": "120"},
            stdout=out, stderr=subprocess.PIPE)
        assert bench.stderr
        for line in bench.stderr:
            detail(line.strip("# ").rstrip())
    if bench.wait() != 0:
        fail(f"ipi_bench ended with status {bench.returncode}")


def counters() -> dict[str, Any]:
    sample: dict[str, Any] = {"emulator": json.loads(run("emustat", "--json"))}
    if os.path.exists(VCPUS):
        sample["vapic"] = read(VCPUS)
    return sample


def run_guest(mode: Mode, name: str, boot: DemoBoot) -> None:
    cpus = vcpus_of(name)
    flags = [] if name.endswith(DEFAULTS) else ["--accelerable"]
    runs = " && ".join([f"hackbench {boot.hackbench}"] * boot.hackbench_runs)
    hackbench = f"echo '{BEGIN}'; {runs}; s=$?; echo '{END}'; exit $s"
    record: dict[str, Any] = {"cpus": cpus, "hackbench": boot.hackbench}
    say(f"{mode.name}: Linux guest, {title_of(name)}: booting")
    record["before"] = counters()
    begun = time.monotonic()
    with (subprocess.Popen(
            ["guest-linux", *flags, "--smp", str(cpus),
             "--timeout", str(boot.guest_timeout),
             "--qmp", MONITOR, "--qemu", "-no-shutdown", "--", "sh", "-c", hackbench],
            stdout=subprocess.PIPE, text=True) as guest,
          qmp.connect(MONITOR, boot.guest_timeout) as connection):
        monitor = qmp.Monitor(connection)
        assert guest.stdout
        output: list[str] = []
        for line in guest.stdout:
            output.append(line)
            if line.startswith(BEGIN):
                record["begin"] = counters()
                record["boot_seconds"] = time.monotonic() - begun
                say(f"{mode.name}: Linux guest, {title_of(name)}: hackbench")
            if line.startswith(END):
                record["end"] = counters()
                break
        if "end" not in record:
            fail(f"the guest of {title_of(name)} ended early")
        # QEMU pauses a guest that powered itself off (-no-shutdown), so that all counters can be
        # read of one and the same time.
        try:
            next(monitor.events("STOP"))
        except qmp.Ended:
            fail(f"the guest's QEMU of {title_of(name)} ended before its event STOP")
        record["after"] = counters()
        qmp.send(connection, "quit")
        output += guest.stdout.readlines()
        record["status"] = guest.wait()
    record["output"] = "".join(output)
    keep(mode.name, f"guest-{name}", json.dumps(record))


def main() -> None:
    boot = DemoBoot.read(sys.argv[1])
    hold_still()
    # Rounds, so that what disturbs this machine for a while disturbs all modes.
    for number in range(1, boot.rounds + 1):
        for mode in boot.modes:
            say(f"{mode.name}: loading modules")
            switch_to(mode)
            measure_ipis(mode, boot, number)
            for name in boot.guests if number == boot.rounds else []:
                run_guest(mode, name, boot)
    keep(".", "kernel", " ".join(os.uname()))
    keep(".", "cpuinfo", read("/proc/cpuinfo"))
    say("done")


if __name__ == "__main__":
    main()
