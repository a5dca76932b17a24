# SPDX-License-Identifier: GPL-2.0-only
#
# What differs between the vendors in what the tests of the takeover expect.

import dataclasses
import os
import re
import typing


def flags():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        return set(re.search(r"^flags\s*:(.*)$", file.read(), re.MULTILINE).group(1).split())


def has_avic():
    return "avic" in flags()


def has_apicv():
    """Linux lists the virtualization features of Intel on a line of their own."""
    with open("/proc/cpuinfo", encoding="ascii") as file:
        found = re.search(r"^vmx flags\s*:(.*)$", file.read(), re.MULTILINE)
    return bool(found) and {"vid", "posted_intr"} <= set(found.group(1).split())


def kernel_has(symbol):
    with open("/proc/kallsyms", encoding="ascii") as file:
        return any(line.split()[2] == symbol for line in file)


# Without CONFIG_AMD_IOMMU, as in Debian's cloud flavour, there is no log to take over. Asked on
# AMD only: the emulated Intel host is slow.
LOG = ("iommu_ga_log_notifier",) if "svm" in flags() and kernel_has("iommu_ga_log_notifier") \
    else ()

# How many functions are redirected, those of kvm included, how many ops are swapped or wrapped, and
# how many variables are set, without LOG; by the series of the kernel, for AMD and for Intel.
COUNTS = {"6.1": ((14, 21, 1), (14, 15, 3)),
          "6.12": ((13, 20, 3), (13, 15, 4)),
          "7.3": ((12, 18, 4), (11, 14, 5))}
SERIES = ".".join(os.uname().release.split(".")[:2])
AMD_COUNTS, INTEL_COUNTS = COUNTS[SERIES]


@dataclasses.dataclass
class Vendor:
    module: str
    what: str                   # is taken over, in vapic's words
    switch: str                 # the parameter that asks for it
    foreign: tuple              # parameters of the other vendor
    functions: int              # as in COUNTS
    ops: int
    switches: int
    parameters: tuple           # of the stock module, that tests change
    settings: tuple             # of them, each to be loaded over
    unfit: tuple                # one setting that vapic refuses, and its words for it
    loader: str                 # the stock functions behind the vcpu_load op,
    load: str                   # and that of it which is redirected
    another: str                # that is redirected
    variables: tuple            # of the KVM modules, which vapic changes
    kernel_variables: tuple     # and of the kernel
    has_hardware: typing.Callable
    never: typing.Callable      # what status says of vCPUs 0, that one, and 1


AMD = Vendor(
    module="kvm_amd", what="AVIC", switch="avic", foreign=("enable_apicv",),
    functions=AMD_COUNTS[0], ops=AMD_COUNTS[1], switches=AMD_COUNTS[2] + len(LOG),
    parameters=("avic",),
    settings=(["avic=0"], ["avic=1"]),
    unfit=("npt=0", r"nested paging is off.*npt=1"),
    loader="svm_vcpu_load", load="avic_vcpu_load", another="avic_init_vcpu",
    variables=("enable_apicv", "enable_device_posted_irqs"), kernel_variables=LOG,
    has_hardware=has_avic,
    never=lambda beyond: {0: [], beyond: ["id-beyond-table"], 1: ["inhibited"]})

INTEL = Vendor(
    module="kvm_intel", what="APICv", switch="enable_apicv", foreign=("avic",),
    functions=INTEL_COUNTS[0], ops=INTEL_COUNTS[1], switches=INTEL_COUNTS[2],
    parameters=("enable_apicv", "enable_ipiv"),
    settings=(["enable_apicv=0"], ["enable_apicv=1", "enable_ipiv=0"], ["enable_ipiv=1"]),
    unfit=("flexpriority=0", r"TPR shadow is off.*flexpriority=1"),
    loader="vmx_vcpu_load", load="vmx_vcpu_pi_load", another="vmx_vcpu_pi_put",
    variables=("enable_apicv", "enable_ipiv", "enable_device_posted_irqs"),
    kernel_variables=("kvm_posted_intr_wakeup_handler",), has_hardware=has_apicv,
    never=lambda beyond: {0: [], beyond: [], 1: []})

HERE = AMD if "svm" in flags() else INTEL
