# SPDX-License-Identifier: GPL-2.0-only
#
# What a measured path costs a processor: a model, from what the emulators count.
#
# An instruction is a cycle, and each thing that testbed/cost.h names takes some more. How many
# is published, roughly; so a verdict says as well whether it would be another one if all of
# them took half or twice as long. What no counter sees costs nothing here: cache misses,
# branches and indirect calls that are mispredicted, entries to a guest and exits from it,
# CLI, STI and POPF, I/O. In stock's and vapic's paths there is about the same of it.

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping


@dataclass(frozen=True)
class Price:
    cycles: int  # beyond the one of the instruction itself
    source: str


SERIALIZED_MSR = ("no vendor publishes it; measurements say 30 to 50 for RDMSR, 100 to 300 for"
                  " WRMSR: newsletter.onedfrk.com, 'The Mode-Specific Register', 2026-05-25")
VMCS_ACCESS = ("Linux commit 'KVM: nVMX: track dirty state of non-shadowed VMCS fields': some 40"
               " VMWRITEs less made a nested exit 748 cycles faster, on average, on a Haswell Xeon")

LOCKED = Price(17, "uops.info, INC_LOCK (M32) on Alder Lake-P: 18.00 measured, CMPXCHG_LOCK 19;"
                   " Zen's figures differ by generation, and are no higher")
VMCS = Price(18, VMCS_ACCESS)
RDMSR = Price(40, SERIALIZED_MSR)
WRMSR = Price(150, SERIALIZED_MSR)

# By kind of testbed/cost.h.
PRICES: dict[str, dict[str, Price]] = {
    "amd": {
        "locked": LOCKED,
        "rdmsr": RDMSR,
        "wrmsr": WRMSR,
        "return_miss": Price(13, "AMD, Software Optimization Guide for the Zen 4 Microarchitecture"
                                 " (57647), 2.8: from 11 to 18, in the common case 13"),
    },
    "intel": {
        "locked": LOCKED,
        "vmread": VMCS,
        "vmwrite": VMCS,
        "rdmsr": RDMSR,
        "wrmsr": WRMSR,
        "return_miss": Price(14, "LLVM, X86SchedSapphireRapids.td: MispredictPenalty"),
    },
}


def cycles(machine: str, instructions: float, counts: Mapping[str, float],
           scale: float = 1) -> float:
    """`counts` are by kind; `scale` is for all prices."""
    prices = PRICES[machine]
    return instructions + sum(scale * prices[kind].cycles * count
                              for kind, count in counts.items() if count)


def verdict(stock: float, vapic: float, noise: float) -> str:
    if vapic > stock * (1 + noise):
        return "slower"
    return "wins" if vapic < stock * (1 - noise) else "same"


def judge(machine: str, stock: tuple[float, Mapping[str, float]],
          vapic: tuple[float, Mapping[str, float]], noise: float) -> tuple[str, bool]:
    """Of two pairs of instructions and counts: the verdict, and whether it is the same
    with all prices halved and doubled."""
    verdicts = [verdict(cycles(machine, *stock, scale), cycles(machine, *vapic, scale), noise)
                for scale in (1, 0.5, 2)]
    return verdicts[0], len(set(verdicts)) == 1
