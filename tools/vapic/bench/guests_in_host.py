# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside the emulated host, where time counts instructions: boots a Linux guest with QEMU's
# defaults under each mode in turn, several times over, and records what each of its runs of
# hackbench took: exits, as the emulator counted them, and nanoseconds, of which each is an
# instruction of the machine. inhibited.py makes figures of it.
#
# usage: python3 -m vapic.bench.guests_in_host SETTINGS.json

from __future__ import annotations

import json
import subprocess
import sys
import time

from vapic.bench.boots import GuestsBoot
from vapic.run.inside import detail, fail, hold_still, keep, run, say, switch_to

BEGIN, END = "bench: begin", "bench: end"


def sample() -> dict[str, int]:
    """The time first: to ask for the counters takes some."""
    now = time.monotonic_ns()
    return {"instructions": now, "exits": json.loads(run("emustat", "--json"))["total"]["exit"]}


def run_guest(boot: GuestsBoot) -> list[dict[str, int]]:
    """What each run of hackbench took."""
    work = (f"for i in $(seq {boot.runs}); do echo '{BEGIN}';"
            f" hackbench {boot.hackbench} || exit; echo '{END}'; done")
    guest = subprocess.Popen(
        ["guest-linux", "--smp", str(boot.vcpus), "--timeout",
         str(boot.guest_timeout), "--", "sh", "-c", work],
        stdout=subprocess.PIPE, text=True)
    assert guest.stdout
    begun: dict[str, int] = {}
    runs: list[dict[str, int]] = []
    for line in guest.stdout:
        if line.startswith(BEGIN):
            begun = sample()
        elif line.startswith(END):
            ended = sample()
            runs.append({name: ended[name] - begun[name] for name in ended})
            detail(f"{len(runs)} of {boot.runs} runs")
    if guest.wait() != 0 or len(runs) != boot.runs:
        fail(f"the guest ended with status {guest.returncode} after {len(runs)} runs")
    return runs


def main() -> None:
    boot = GuestsBoot.read(sys.argv[1])
    hold_still()
    runs: dict[str, list[dict[str, int]]] = {mode.name: [] for mode in boot.modes}
    # Rounds: the n-th run of one mode is compared with the n-th of another.
    for number in range(1, boot.rounds + 1):
        for mode in boot.modes:
            say(f"{mode.name}: a default Linux guest, {number} of {boot.rounds}")
            switch_to(mode)
            runs[mode.name] += run_guest(boot)
    keep(".", "runs", json.dumps(runs))
    say("done")


if __name__ == "__main__":
    main()
