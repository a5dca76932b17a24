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

    # IPIs of each scenario of ipi_bench.
    ipis: int
    guest_timeout: int
    rounds: int
    # vCPUs of the Linux guests.
    guests: list[int]
    hackbench: str
    hackbench_runs: int

    def only(self, names: list[str]) -> DemoBoot | None:
        """With these modes; None if there is none of them."""
        modes = [mode for mode in self.modes if mode.name in names]
        return replace(self, modes=modes) if modes else None


# The Intel host is slower by far, but nothing disturbs it: its time counts
# instructions, and one round is as good as three.
BOOTS = {
    "amd": DemoBoot("amd", AMD, host_cpus=4, ipis=200, guest_timeout=200, rounds=3, guests=[2, 4],
                    hackbench="-p -g 2 -l 100", hackbench_runs=3),
    "intel": DemoBoot("intel", INTEL, host_cpus=4, ipis=200, guest_timeout=200, rounds=1,
                      guests=[2], hackbench="-p -g 1 -l 20", hackbench_runs=1),
}
