# SPDX-License-Identifier: GPL-2.0-only
#
# The boots of the bench, and what each measures.

from __future__ import annotations

from dataclasses import dataclass

from vapic.run.boot import Boot
from vapic.run.modes import AMD, INTEL_IPIV


@dataclass(frozen=True)
class StepsBoot(Boot):
    """Steps and operations, by in_host.py."""
    PROGRAM = "vapic.bench.in_host"

    samples: int
    # Groups of step_bench's.
    steps: list[str]
    operations: bool
    # Of Intel's machine; testbed/run's own if None.
    seed: int | None = None


@dataclass(frozen=True)
class HackbenchBoot(Boot):
    """As many guests of each mode, and in each so many runs of hackbench."""
    PROGRAM = "vapic.bench.hackbench"

    guests: int
    runs: int
    hackbench: str


@dataclass(frozen=True)
class GuestsBoot(Boot):
    """Guests with QEMU's defaults, one of each mode in each round; the n-th run of each mode
    makes a pair with that of another."""
    PROGRAM = "vapic.bench.guests_in_host"

    vcpus: int
    rounds: int
    runs: int
    hackbench: str
    guest_timeout: int


@dataclass(frozen=True)
class DevicesBoot(Boot):
    """Interrupts of a device, by devices_in_host.py."""
    PROGRAM = "vapic.bench.devices_in_host"

    # Of each scenario of device_bench; none if 0.
    interrupts: int
    samples: int
    # Groups of step_bench's.
    steps: list[str]
    # A PCI device behind an IOMMU, or else the test module fake_device.
    iommu: bool


# What takes two CPUs depends on how their turns fall, which each seed has otherwise. The same boot
# with three of them, by folder.
INTEL_PAIR = {"intel-2": 1, "intel-2-b": 2, "intel-2-c": 3}

# By the name of the folder that each leaves. On Intel a tick is an instruction only if there is
# one CPU, so that what takes two has a boot of its own.
BOOTS: dict[str, Boot] = {
    "amd": StepsBoot("amd", AMD, host_cpus=2, samples=200,
                     steps=["own", "linux", "running", "blocked", "broadcast"], operations=True),
    "intel": StepsBoot("intel", INTEL_IPIV, host_cpus=1, samples=200,
                       steps=["own", "linux", "blocked", "sleepers"], operations=False),
    **{name: StepsBoot("intel", INTEL_IPIV, host_cpus=2, samples=200,
                       steps=["running"], operations=True, seed=seed)
       for name, seed in INTEL_PAIR.items()},
    "amd-hackbench": HackbenchBoot("amd", AMD[1:], host_cpus=2, guests=3, runs=10,
                                   hackbench="-p -g 1 -l 60"),
    "intel-hackbench": HackbenchBoot("intel", INTEL_IPIV, host_cpus=2, guests=3, runs=10,
                                     hackbench="-p -g 1 -l 20"),
    "amd-devices": DevicesBoot("amd", AMD[1:], host_cpus=2, interrupts=200, samples=200,
                               steps=["device_running", "device_blocked"], iommu=False),
    "amd-devices-iommu": DevicesBoot("amd", AMD[1:], host_cpus=2, interrupts=200, samples=0,
                                     steps=[], iommu=True),
    "intel-devices": DevicesBoot("intel", INTEL_IPIV, host_cpus=2, interrupts=200, samples=200,
                                 steps=["device_running"], iommu=False),
    "intel-devices-1": DevicesBoot("intel", INTEL_IPIV, host_cpus=1, interrupts=0, samples=200,
                                   steps=["device_blocked"], iommu=False),
    "amd-guests": GuestsBoot("amd", AMD, host_cpus=4, vcpus=4, rounds=3, runs=5,
                             hackbench="-p -g 2 -l 30", guest_timeout=300),
}
