# SPDX-License-Identifier: GPL-2.0-only
#
# The boots of the demo, one of each machine.

from __future__ import annotations

from dataclasses import dataclass, replace

from vapic.run.boot import Boot
from vapic.run.modes import AMD, INTEL


@dataclass(frozen=True)
class DemoBoot(Boot):
    PROGRAM = "vapic.demo.in_host"
    LIBRARIES = ["testbed/lib/qmp.py"]

    # IPIs of each scenario of ipi_bench.
    ipis: int
    guest_timeout: int
    rounds: int
    # The Linux guests by name, in which the number of vCPUs comes first. "4 defaults" is as QEMU
    # makes it, the others without what keeps stock KVM from accelerating them.
    guests: list[str]
    hackbench: str
    hackbench_runs: int

    def only(self, names: list[str]) -> DemoBoot | None:
        """With these modes; None if there is none of them."""
        modes = [mode for mode in self.modes if mode.name in names]
        return replace(self, modes=modes) if modes else None


DEFAULTS = " defaults"


def vcpus_of(guest: str) -> int:
    return int(guest.split()[0])


def title_of(guest: str) -> str:
    title = f"{vcpus_of(guest)} vCPUs"
    return f"{title}, QEMU's defaults" if guest.endswith(DEFAULTS) else title


# The Intel host is slower by far, but nothing disturbs it: its time counts
# instructions, and one round is as good as three.
BOOTS = {
    "amd": DemoBoot("amd", AMD, host_cpus=4, ipis=200, guest_timeout=200, rounds=3,
                    guests=["2", "4", "4 defaults"], hackbench="-p -g 2 -l 100", hackbench_runs=3),
    "intel": DemoBoot("intel", INTEL, host_cpus=4, ipis=200, guest_timeout=200, rounds=1,
                      guests=["2"], hackbench="-p -g 1 -l 20", hackbench_runs=1),
}
