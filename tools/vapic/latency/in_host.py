# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside the emulated host, where time counts instructions: for each mode a Linux guest with
# cyclictest and hackbench, and cyclictest in the host meanwhile. Records the histograms.
#
# usage: python3 -m vapic.latency.in_host SETTINGS.json

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from vapic.latency.boots import LatencyBoot
from vapic.run.inside import fail, hold_still, keep, run, say, switch_to

# Histograms have so many microseconds.
WIDTH = 20000
BEGIN = "latency: begin"


def cyclictest(boot: LatencyBoot, threads: int) -> list[str]:
    return ["cyclictest", "-q", "-m", "-p", "80", "-t", str(threads), "-a", "-i",
            str(boot.interval), "-d", "0", "-l", str(boot.loops), "-h", str(WIDTH)]


def prefer_vcpus(count: int) -> None:
    """They run before all others of the host but cyclictest's own."""
    threads = [name.parent for name in Path("/proc").glob("[0-9]*/task/*/comm")
               if re.match(r"CPU \d+/KVM$", name.read_text())]
    if len(threads) != count:
        fail(f"{len(threads)} threads of vCPUs, not {count}")
    for thread in threads:
        run("chrt", "-f", "-p", "50", thread.name)


def measure(boot: LatencyBoot, name: str, number: int) -> None:
    work = (f"while :; do hackbench {boot.hackbench}; done > /dev/null 2>&1 &"
            f" echo '{BEGIN}'; {' '.join(cyclictest(boot, boot.vcpus))}")
    guest = subprocess.Popen(
        ["guest-linux", "--smp", str(boot.vcpus), "--accelerable", "--timeout", "3000",
         "--qemu", "-name", "--qemu", "guest,debug-threads=on", "--", "sh", "-c", work],
        stdout=subprocess.PIPE, text=True)
    assert guest.stdout
    for line in guest.stdout:
        if line.startswith(BEGIN):
            break
    prefer_vcpus(boot.vcpus)
    host = subprocess.run(cyclictest(boot, boot.host_cpus), capture_output=True, text=True)
    of_guest = guest.stdout.read()
    if guest.wait() != 0 or host.returncode != 0:
        fail(f"cyclictest ended with {host.returncode} in the host, the guest with "
             f"{guest.returncode}: {host.stderr}")
    keep(name, f"host-{number}", host.stdout)
    keep(name, f"guest-{number}", of_guest)


def main() -> None:
    boot = LatencyBoot.read(sys.argv[1])
    hold_still()
    for number in range(boot.rounds):
        for mode in boot.modes:
            say(f"{mode.name}: cyclictest in host and guest, {number + 1} of {boot.rounds}")
            switch_to(mode)
            measure(boot, mode.name, number)
    keep(".", "kernel", " ".join(os.uname()))
    say("done")


if __name__ == "__main__":
    main()
