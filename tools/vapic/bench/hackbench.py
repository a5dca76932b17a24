# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside the emulated host, where time counts instructions: hackbench in a Linux guest,
# with stock KVM and with vapic. Both take turns, in an order in which what drifts disturbs
# both alike, a guest of its own each time. Records the seconds that hackbench prints;
# paired.py compares them.
#
# usage: python3 -m vapic.bench.hackbench SETTINGS.json

from __future__ import annotations

import json
import os
import re
import sys

from vapic.bench.boots import HackbenchBoot
from vapic.run.inside import fail, hold_still, keep, run, say, switch_to
from vapic.run.modes import Mode

# What vapic accelerates; guests as QEMU has them by default are guests_in_host.py's.
GUEST = ["guest-linux", "--smp", "2", "--accelerable", "--timeout", "3000"]


def turns(modes: list[Mode], guests: int) -> list[Mode]:
    """0 1 1 0 0 1 …"""
    return [modes[(turn + 1) // 2 % 2] for turn in range(2 * guests)]


def seconds(mode: Mode, arguments: str, runs: int) -> list[float]:
    command = " && ".join([f"hackbench {arguments}"] * runs)
    found = re.findall(r"^Time: ([0-9.]+)$", run(*GUEST, "--", "sh", "-c", command), re.MULTILINE)
    if len(found) != runs:
        fail(f"{mode.name}: {len(found)} of {runs} runs of hackbench said how long they took")
    return [float(text) for text in found]


def main() -> None:
    boot = HackbenchBoot.read(sys.argv[1])
    stock, vapic = boot.modes
    taken: dict[str, list[float]] = {stock.name: [], vapic.name: []}
    hold_still()
    for turn, mode in enumerate(turns([stock, vapic], boot.guests), start=1):
        say(f"{mode.name}: hackbench in guest {turn} of {2 * boot.guests}")
        switch_to(mode)
        taken[mode.name] += seconds(mode, boot.hackbench, boot.runs)
    keep(".", "hackbench", json.dumps({"stock": taken[stock.name], "vapic": taken[vapic.name]}))
    keep(".", "kernel", " ".join(os.uname()))
    say("done")


if __name__ == "__main__":
    main()
