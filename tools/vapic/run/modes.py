# SPDX-License-Identifier: GPL-2.0-only
#
# The ways of running KVM that are measured side by side on each emulated machine:
# parameters for kvm_amd or kvm_intel, and for vapic where it is loaded over it.
# `accelerated` is for APIC accesses, `ipis_exit` for IPIs: on Intel the one comes
# without the other.

AMD = [
    {"name": "stock-avic0", "title": "stock avic=0", "module": "kvm_amd", "kvm": "avic=0",
     "accelerated": False, "ipis_exit": True},
    {"name": "stock-avic1", "title": "stock avic=1", "module": "kvm_amd", "kvm": "avic=1",
     "accelerated": True, "ipis_exit": False},
    {"name": "vapic-avic1", "title": "vapic avic=1", "module": "kvm_amd", "kvm": "avic=0",
     "vapic": "avic=1", "accelerated": True, "ipis_exit": False},
]

INTEL = [
    {"name": "stock-apicv0", "title": "stock apicv=0", "module": "kvm_intel",
     "kvm": "enable_apicv=0", "accelerated": False, "ipis_exit": True},
    {"name": "stock-ipiv0", "title": "stock ipiv=0", "module": "kvm_intel",
     "kvm": "enable_apicv=1 enable_ipiv=0", "accelerated": True, "ipis_exit": True},
    {"name": "stock-ipiv1", "title": "stock ipiv=1", "module": "kvm_intel",
     "kvm": "enable_apicv=1 enable_ipiv=1", "accelerated": True, "ipis_exit": False},
    {"name": "vapic-ipiv1", "title": "vapic ipiv=1", "module": "kvm_intel",
     "kvm": "enable_apicv=0", "vapic": "enable_apicv=1 enable_ipiv=1", "accelerated": True,
     "ipis_exit": False},
]

# Where two suffice: stock as fast as it gets, and vapic.
INTEL_IPIV = [mode for mode in INTEL if not mode["ipis_exit"]]

MACHINES = {"amd": AMD, "intel": INTEL}
