# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside the emulated host, where time counts instructions, and records for
# each mode what step_bench and path_bench print. figures.py interprets it.
#
# usage: python3 -m vapic.bench.in_host SETTINGS.json

from __future__ import annotations

import os
import sys

from vapic.bench.boots import StepsBoot
from vapic.files import HOME, read
from vapic.run.inside import hold_still, keep, run, say, switch_to


def main() -> None:
    boot = StepsBoot.read(sys.argv[1])
    hold_still()
    for mode in boot.modes:
        environment = {**os.environ, "VAPIC_TIMEOUT": "300",
                       "VAPIC_EXPECT": "accelerated" if mode.accelerated else "plain"}
        say(f"{mode.name}: loading modules")
        switch_to(mode)
        run("insmod", f"{HOME}/pathbench.ko")
        say(f"{mode.name}: single steps of KVM")
        keep(mode.name, "steps",
             run(f"{HOME}/step_bench", str(boot.samples), *boot.steps,
                 env=environment))
        run("rmmod", "pathbench")
        if not boot.operations:
            continue
        say(f"{mode.name}: whole operations")
        keep(mode.name, "operations",
             run(f"{HOME}/path_bench", "-n", str(boot.samples), env=environment))
    keep(".", "kernel", " ".join(os.uname()))
    keep(".", "cpuinfo", read("/proc/cpuinfo"))
    say("done")


if __name__ == "__main__":
    main()
