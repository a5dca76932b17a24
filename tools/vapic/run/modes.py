# SPDX-License-Identifier: GPL-2.0-only
#
# The ways of running KVM that are measured side by side on each emulated machine.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mode:
    name: str
    title: str
    module: str
    # Parameters for the module, and for vapic where it is loaded over it.
    kvm: str
    vapic: str | None
    # `accelerated` is for APIC accesses, `ipis_exit` for IPIs: on Intel the one comes without
    # the other.
    accelerated: bool
    ipis_exit: bool

    def recorded(self) -> dict[str, Any]:
        """As settings and reports have it."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def of(cls, recorded: dict[str, Any]) -> Mode:
        known: dict[str, Any] = {"vapic": None, **recorded}
        return cls(**known)


AMD = [
    Mode("stock-avic0", "stock avic=0", "kvm_amd", "avic=0", None,
         accelerated=False, ipis_exit=True),
    Mode("stock-avic1", "stock avic=1", "kvm_amd", "avic=1", None,
         accelerated=True, ipis_exit=False),
    Mode("vapic-avic1", "vapic avic=1", "kvm_amd", "avic=0", "avic=1",
         accelerated=True, ipis_exit=False),
]

INTEL = [
    Mode("stock-apicv0", "stock apicv=0", "kvm_intel", "enable_apicv=0", None,
         accelerated=False, ipis_exit=True),
    Mode("stock-ipiv0", "stock ipiv=0", "kvm_intel", "enable_apicv=1 enable_ipiv=0", None,
         accelerated=True, ipis_exit=True),
    Mode("stock-ipiv1", "stock ipiv=1", "kvm_intel", "enable_apicv=1 enable_ipiv=1", None,
         accelerated=True, ipis_exit=False),
    Mode("vapic-ipiv1", "vapic ipiv=1", "kvm_intel", "enable_apicv=0",
         "enable_apicv=1 enable_ipiv=1", accelerated=True, ipis_exit=False),
]

# Where two suffice: stock as fast as it gets, and vapic.
INTEL_IPIV = [mode for mode in INTEL if not mode.ipis_exit]

MACHINES = {"amd": AMD, "intel": INTEL}
