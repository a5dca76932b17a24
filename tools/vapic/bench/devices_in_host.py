# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside the emulated host and records for each mode what device_bench and step_bench print
# of the interrupts of a device. devices.py interprets it.
#
# usage: python3 -m vapic.bench.devices_in_host SETTINGS.json

from __future__ import annotations

import os
import sys

from vapic.bench.boots import DevicesBoot
from vapic.files import HOME
from vapic.run.inside import hold_still, keep, run, say, switch_to


def main() -> None:
    boot = DevicesBoot.read(sys.argv[1])
    environment = {**os.environ, "VAPIC_TIMEOUT": "300", "VAPIC_EXPECT": "accelerated"}
    hold_still()
    # Before vapic, which looks for an IOMMU when it is loaded.
    if boot.iommu:
        run("modprobe", "-a", "vfio-pci", "vfio_iommu_type1")
    else:
        run("insmod", f"{HOME}/fake_device.ko")
    for mode in boot.modes:
        say(f"{mode.name}: loading modules")
        switch_to(mode)
        if boot.interrupts:
            say(f"{mode.name}: interrupts of a device, exits")
            keep(mode.name, "exits", run(f"{HOME}/device_bench", "-n", str(boot.interrupts),
                                         env=environment))
        if boot.steps:
            run("insmod", f"{HOME}/pathbench.ko")
            say(f"{mode.name}: interrupts of a device, single steps of KVM")
            keep(mode.name, "steps", run(f"{HOME}/step_bench", str(boot.samples), *boot.steps,
                                         env=environment))
            run("rmmod", "pathbench")
    say("done")


if __name__ == "__main__":
    main()
