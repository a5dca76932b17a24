# SPDX-License-Identifier: GPL-2.0-only
#
# What is asked of the host in which cyclictest runs.

from __future__ import annotations

from dataclasses import dataclass

from vapic.run.boot import Boot


@dataclass(frozen=True)
class LatencyBoot(Boot):
    """cyclictest in host and guest at once, in_host.py."""
    PROGRAM = "vapic.latency.in_host"

    # Of the guest; each has a thread of cyclictest, as each CPU of the host has.
    vcpus: int
    # Between two wake-ups of a thread, in microseconds, and how often.
    interval: int
    loops: int
    # Each mode is measured so often, in turn with the others.
    rounds: int
    # The load that competes with it in the guest.
    hackbench: str
