# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside the emulated host, where time counts instructions: hackbench in a Linux guest,
# with stock KVM and with vapic. Both take turns, in an order in which what drifts disturbs
# both alike, a guest of its own each time. Records the seconds that hackbench prints;
# paired.py compares them.
#
# usage: python3 -m vapic.bench.hackbench SETTINGS.json

import json
import os
import re
import sys

from vapic.files import read
from vapic.run.inside import fail, hold_still, keep, run, say, switch_to

# What vapic accelerates; guests as QEMU has them by default are guests_in_host.py's.
GUEST = ["guest-linux", "--smp", "2", "--accelerable", "--timeout", "3000"]


def turns(modes, guests):
    """0 1 1 0 0 1 …"""
    return [modes[(turn + 1) // 2 % 2] for turn in range(2 * guests)]


def seconds(mode, arguments, runs):
    command = " && ".join([f"hackbench {arguments}"] * runs)
    found = re.findall(r"^Time: ([0-9.]+)$", run(*GUEST, "--", "sh", "-c", command), re.MULTILINE)
    if len(found) != runs:
        fail(f"{mode}: {len(found)} of {runs} runs of hackbench said how long they took")
    return [float(text) for text in found]


def main():
    settings = json.loads(read(sys.argv[1]))
    stock, vapic = settings["modes"]
    taken = {stock["name"]: [], vapic["name"]: []}
    hold_still()
    for turn, mode in enumerate(turns([stock, vapic], settings["guests"]), start=1):
        say(f"{mode['name']}: hackbench in guest {turn} of {2 * settings['guests']}")
        switch_to(mode)
        taken[mode["name"]] += seconds(mode["name"], settings["hackbench"], settings["runs"])
    keep(".", "hackbench", json.dumps({"stock": taken[stock["name"]],
                                       "vapic": taken[vapic["name"]]}))
    keep(".", "kernel", " ".join(os.uname()))
    say("done")


if __name__ == "__main__":
    main()
