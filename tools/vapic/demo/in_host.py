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
import socket
import subprocess
import sys
import time
from typing import Any

from vapic.demo.boots import DEFAULTS, DemoBoot, title_of, vcpus_of
from vapic.files import HOME, read
from vapic.run.inside import detail, fail, hold_still, keep, run, say, switch_to
from vapic.run.modes import Mode

BEGIN, END = "demo: hackbench begins", "demo: hackbench ended"
VCPUS = "/sys/kernel/vapic/vcpus"


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


class Monitor:
    """QEMU's monitor of the guest. QEMU pauses a guest that powered itself off
    (-no-shutdown), so that all counters can be read of one and the same time."""

    def __init__(self, path: str, limit: float) -> None:
        self.limit = time.monotonic() + limit
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                if time.monotonic() > self.limit:
                    raise
                time.sleep(0.05)
        self.stream = self.socket.makefile("rw", encoding="utf-8")
        self.command("qmp_capabilities")

    def command(self, name: str) -> None:
        self.stream.write(json.dumps({"execute": name}) + "\n")
        self.stream.flush()

    def wait_for_event(self, name: str) -> None:
        self.socket.settimeout(max(1, self.limit - time.monotonic()))
        for line in self.stream:
            if json.loads(line).get("event") == name:
                return
        fail(f"the guest's QEMU ended before its event {name}")


def counters() -> dict[str, Any]:
    sample: dict[str, Any] = {"emulator": json.loads(run("emustat", "--json"))}
    if os.path.exists(VCPUS):
        sample["vapic"] = read(VCPUS)
    return sample


def run_guest(mode: Mode, name: str, boot: DemoBoot) -> None:
    cpus = vcpus_of(name)
    flags = [] if name.endswith(DEFAULTS) else ["--accelerable"]
    monitor_path = "/tmp/monitor"
    runs = " && ".join([f"hackbench {boot.hackbench}"] * boot.hackbench_runs)
    hackbench = f"echo '{BEGIN}'; {runs}; s=$?; echo '{END}'; exit $s"
    record: dict[str, Any] = {"cpus": cpus, "hackbench": boot.hackbench}
    say(f"{mode.name}: Linux guest, {title_of(name)}: booting")
    record["before"] = counters()
    begun = time.monotonic()
    guest = subprocess.Popen(
        ["guest-linux", *flags, "--smp", str(cpus),
         "--timeout", str(boot.guest_timeout),
         "--qmp", monitor_path, "--qemu", "-no-shutdown", "--", "sh", "-c", hackbench],
        stdout=subprocess.PIPE, text=True)
    monitor = Monitor(monitor_path, boot.guest_timeout)
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
    monitor.wait_for_event("STOP")
    record["after"] = counters()
    monitor.command("quit")
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
