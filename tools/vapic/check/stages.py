# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of each stage. A host more is a line more; tests/host has what runs on it.

from __future__ import annotations

from typing import Sequence

from vapic import kernels
from vapic.check.runner import Test
from vapic.check.tests import AMD_LANE, KERNELS_LANE, Core, Google, Host, Program


def suite(machine: str, mode: str, parameters: str) -> Host:
    """All selftests, in a mode of tests/host/in-host; with parameters of stock KVM."""
    return Host(machine, mode, f"--smp 4 --stock --kvm '{parameters}'", f"/mnt/in-host {mode}",
                2400, out=True)


def in_turn(mode: str, programs: Sequence[str], skipped: str = "") -> str:
    """Some selftests. Under vapic each loads it, and unloads it in the end. One may be left out,
    which is said with the reason: "NAME # SKIP REASON"."""
    said = f'; echo "ok $VAPIC_SUITE: {skipped}"' if skipped else ""
    return f"sh -c 'for test in {' '.join(programs)}; do /mnt/in-host {mode} $test; done{said}'"


def iommu(mode: str, parameters: str) -> Host:
    """Interrupts of a device behind an IOMMU, in a mode of tests/host/in-host."""
    programs = ["iommu_posted", "device_posted", "inhibit"]
    if mode == "vapic":
        programs += ["trace_events", "switches"]
    return Host("amd", f"iommu-{mode}", f"--iommu --stock --kvm '{parameters}'",
                in_turn(mode, programs), 1200, out=True)


def long(name: str, machine: str, mode: str, parameters: str, program: str,
         options: str = "") -> Host:
    """As much of one selftest as an acceptance asks for."""
    return Host(machine, f"long-{name}", f"{options} --smp 4 --stock --kvm '{parameters}'",
                f"/mnt/in-host {mode} {program}", 14000, out=True)


# All of a device's interrupts, to a vCPU that runs, one that sleeps, and one about to.
DEVICE = ("device_posted -n 100000 -t each_interrupt_reaches_a_running_vcpu_once"
          " -t each_interrupt_wakes_a_blocked_vcpu_once"
          " -t no_interrupt_is_lost_while_the_target_goes_to_sleep")


# That vapic is for, besides the one that all stages use.
OTHERS = [kernel for kernel in kernels.listed()
          if kernel.supported and kernel.name != kernels.chosen()]

# What no kernel may break: nothing is lost, and nothing stays inhibited.
VITAL = ("vm_fails", "ipi_running", "ipi_blocked", "ipi_lost", "inhibit", "lapic_restore",
         "lapic_restore_second")
# Where spinlocks sleep, stock cannot use AVIC at all.
RT = tuple(kernel for kernel in OTHERS if kernel.flavour.startswith("rt"))


def under(kernel: kernels.Kernel, machine: str, name: str, parameters: str, command: str,
          options: str = "") -> Host:
    """A host that boots another kernel than the one that all is built for."""
    return Host(machine, f"{name}-{kernel.name}",
                f"{options} --smp 4 --stock --kvm '{parameters}'",
                f"env VAPIC_SUITE={name}-{kernel.name} {command}", 2400, out=True,
                kernel=kernel.name)


def vital(kernel: kernels.Kernel, machine: str, mode: str, parameters: str) -> Host:
    """The selftests that matter most, with those of a device that posts."""
    options, devices, skipped = "", ["device_posted"], ""
    if machine == "amd" and kernel.flavour.startswith("cloud"):
        devices = []
        skipped = "iommu_posted, device_posted # SKIP this kernel has no driver of AMD IOMMUs"
    elif machine == "amd":
        options, devices = "--iommu", ["iommu_posted", "device_posted"]
    return under(kernel, machine, f"vital-{mode}", parameters,
                 in_turn(mode, [*VITAL, *devices], skipped), options)


def whole(kernel: kernels.Kernel, machine: str, mode: str, parameters: str) -> Host:
    """All selftests."""
    return under(kernel, machine, mode, parameters, f"/mnt/in-host {mode}")


def loads(kernel: kernels.Kernel, machine: str, mode: str, parameters: str) -> Host:
    """A hundred loads and unloads."""
    return under(kernel, machine, f"cycles-{mode}", parameters, "/mnt/cycles 50")


DEBUG_KERNEL = "6.12-debug"


def debug(machine: str, mode: str, parameters: str, more: Sequence[str]) -> Host:
    """Where glue has most to do with locks. The processor's time goes into checks."""
    programs = [*more, "ipi_lost", "ipi_blocked", "inhibit", "lapic_restore", "vm_fails"]
    return Host(machine, f"debug-{mode}", f"--smp 4 --stock --kvm '{parameters}'",
                f"env VAPIC_SUITE=debug-{mode} {in_turn(mode, programs)}", 6000, out=True,
                kernel=DEBUG_KERNEL, joins=AMD_LANE)


STAGES: dict[str, Sequence[Test]] = {
    "static": [Program("static", "tools/check.d/static {logs}", lane="static"),
               Program("selftests", "tests/build/selftests_test.sh", lane="static"),
               # Its checks of the module notice a fault.
               Program("static-faults", "env PATH={path} tests/build/static_test.py {kdir}",
                       lane="static")],
    "kernels": [Program(f"kernel-{kernel.name}", f"tools/check.d/kernel {kernel.name} {{logs}}",
                        lane=KERNELS_LANE) for kernel in kernels.listed()],
    "core": [Core(("address,undefined", "thread")),
             Google("vapicstat", "tools/vapicstat"),
             Program("fuzz", "tests/fuzz/fuzz check", lane="core"),
             # Of the tests that have just been built.
             Program("coverage", "sh -c 'make -s -j2 -C tests/core coverage"
                     " O=$PWD/build/core-address'", lane="core")],
    "model": [Program("model", "tests/model/check --logs {logs}", lane="model")],
    "vm": [
        suite("amd", "stock-avic0", "avic=0"),
        suite("amd", "stock-avic1", "avic=1"),
        suite("amd", "vapic", "avic=0"),
        # Interrupts of an assigned device: remapped, and posted.
        iommu("stock-avic0", "avic=0"),
        iommu("stock-avic1", "avic=1"),
        iommu("vapic", "avic=0"),
        # Its table names every vCPU that KVM can make.
        Host("amd", "x2avic-ext", "--cpu x2avic-ext=on --stock --kvm avic=0",
             f"env VAPIC_IDS=4096 {in_turn('vapic', ['ipi_many', 'ipi_far_ids'])}", 900),
        Host("amd", "migration-stock", "--smp 2 --stock --kvm avic=1",
             "/mnt/migration migration-stock stock 20", 1500),
        Host("amd", "migration-vapic", "--smp 2 --kvm avic=0 --vapic avic=1",
             "/mnt/migration migration-vapic vapic 20", 1500),
        Host("amd", "machines", "--stock --kvm avic=1", "/mnt/machines", 2400),
        Host("amd", "clocks", "--icount --stock --kvm avic=0", "/mnt/clocks", 1500, out=True),
    ],
    "errors": [
        Host("amd", "memory-map", "--stock --kvm avic=0", "/mnt/memory_map", 300),
        Host("amd", "takeover", "--stock --kvm avic=0",
             "/mnt/takeover all stays_in_memory_if_ftrace_died", 1800),
        Host("amd", "takeover-no-avic", "--stock --kvm avic=0 --cpu avic=off",
             "/mnt/takeover_test.py /mnt/vapic.ko"),
        Host("amd", "erratum-1235",
             "--stock --kvm avic=0 --cpu family=23 --cpu erratum-1235=200",
             "sh -c '/mnt/erratum; /mnt/takeover_test.py /mnt/vapic.ko"
             " stays_in_memory_if_ftrace_dies_amid_load'", 2400),
        Host("amd", "idle-hlt", "--stock --kvm avic=0 --cpu idle-hlt=on", "/mnt/idle", 900,
             out=True),
        Program("layout", "tests/build/layout_test.sh {vmlinux} build/kvm", lane=AMD_LANE),
        Program("audit", "env PATH={path} tests/build/audit_test.py {kdir} {vmlinux} build/kvm",
                lane=AMD_LANE),
    ],
    "cycles": [
        Host("amd", "cycles", "--stock --kvm avic=0 --append slub_debug=FZP",
             "/mnt/cycles 100 busy", 2400),
    ],
    # All of vm, errors and cycles that is not AMD's.
    "intel": [
        Host("intel", "cycles-intel", "--smp 4 --stock --kvm enable_apicv=0",
             "env VAPIC_SUITE=cycles-intel /mnt/cycles 100", 3000),
        Host("intel", "migration-stock-intel", "--stock --kvm enable_ipiv=1",
             "/mnt/migration migration-stock-intel stock 20", 3000),
        Host("intel", "migration-vapic-intel", "--kvm enable_apicv=0 --vapic enable_ipiv=1",
             "/mnt/migration migration-vapic-intel vapic 20", 3000),
        Host("intel", "takeover-intel", "--stock",
             "/mnt/takeover all stays_in_memory_if_ftrace_dies_amid_unload", 3000),
        Host("intel", "machines-intel", "--stock", "/mnt/machines", 3000),
        suite("intel", "stock-apicv0", "enable_apicv=0"),
        suite("intel", "stock-ipiv0", "enable_apicv=1 enable_ipiv=0"),
        suite("intel", "stock-ipiv1", "enable_ipiv=1"),
        suite("intel", "vapic-ipiv", "enable_apicv=0"),
    ],
    # The same traffic under 20 interleavings of the CPUs.
    "seeds": [
        Host("intel", "seeds-1-10", "--smp 4 --seed 1 --stock --kvm enable_apicv=0",
             "/mnt/seeds 1 10"),
        Host("intel", "seeds-11-20", "--smp 4 --seed 11 --stock --kvm enable_apicv=0",
             "/mnt/seeds 11 20"),
    ],
    # The other kernels, which `kernels` has built for.
    "boots": [*(vital(kernel, "amd", "vapic", "avic=0") for kernel in OTHERS),
              *(whole(kernel, "amd", "vapic", "avic=0") for kernel in RT),
              *(vital(kernel, "intel", "vapic-ipiv", "enable_apicv=0") for kernel in OTHERS)],
    "boots-whole": [*(whole(kernel, "amd", "vapic", "avic=0")
                      for kernel in OTHERS if kernel not in RT),
                    *(loads(kernel, "amd", "vapic", "avic=0") for kernel in OTHERS),
                    *(test(kernel, "intel", "vapic-ipiv", "enable_apicv=0")
                      for kernel in OTHERS for test in (whole, loads))],
    # Some schedules of the hunter.
    "hunt": [
        Host("amd", "hunt", "--iommu --smp 4 --stock --kvm avic=0", "/mnt/hunt -n 20", 600),
        Host("intel", "hunt-intel", "--smp 4 --stock --kvm enable_apicv=0",
             "/mnt/hunt -n 4 -i 500", 1200),
    ],
    # Each inhibit is switched 10,000 times under traffic, 500 times on Intel; host processors go
    # and come 500 times; a hundred thousand interrupts of a device for each test; a million IPIs
    # to vCPUs that exchange their logical IDs: 8 a round in each of two tests, to two targets
    # each; and of the same some in a machine that runs one way only.
    "long": [
        long("inhibits-vapic", "amd", "vapic", "avic=0", "inhibit -n 10000", "--iommu"),
        long("inhibits-stock", "amd", "stock-avic1", "avic=1", "inhibit -n 10000", "--iommu"),
        long("hotplug-vapic", "amd", "vapic", "avic=0", "host_hotplug -n 500"),
        long("hotplug-stock", "amd", "stock-avic1", "avic=1", "host_hotplug -n 500"),
        long("aliased-icount", "amd", "vapic", "avic=0", "ipi_aliased -n 1000", "--icount"),
        long("aliased-vapic", "amd", "vapic", "avic=0", "ipi_aliased -n 62500"),
        long("aliased-stock", "amd", "stock-avic1", "avic=1", "ipi_aliased -n 62500"),
        long("device-vapic-amd", "amd", "vapic", "avic=0", DEVICE, "--iommu"),
        long("device-stock-amd", "amd", "stock-avic1", "avic=1", DEVICE, "--iommu"),
        long("inhibits-intel", "intel", "vapic-ipiv", "enable_apicv=0", "inhibit -n 500"),
        long("inhibits-stock-intel", "intel", "stock-ipiv1", "enable_ipiv=1", "inhibit -n 500"),
        long("hotplug-intel", "intel", "vapic-ipiv", "enable_apicv=0", "host_hotplug -n 500"),
        long("hotplug-stock-intel", "intel", "stock-ipiv1", "enable_ipiv=1",
             "host_hotplug -n 500"),
        long("device-intel", "intel", "vapic-ipiv", "enable_apicv=0", DEVICE),
        long("device-stock-intel", "intel", "stock-ipiv1", "enable_ipiv=1", DEVICE),
    ],
    # The suites of kunit/, in a kernel that the testbed builds for them.
    "kunit": [
        Program("kunit-amd", "tools/kunit amd {logs}", lane=AMD_LANE),
        Program("kunit-intel", "tools/kunit intel {logs}", lane=AMD_LANE),
    ],
    # A kernel that looks for faults, and some selftests there.
    "debug": [
        Program(f"kernel-{DEBUG_KERNEL}", f"tools/check.d/kernel {DEBUG_KERNEL} {{logs}}",
                lane=AMD_LANE),
        debug("amd", "vapic", "avic=0", ["pit_ticks"]),
        debug("intel", "vapic-ipiv", "enable_apicv=0", []),
    ],
    # The packages of Debian: made, installed in both releases, and on a host that boots with them.
    # They take a network. The steps use what those before them made.
    "package": [
        Program("deb", "tests/package/deb {logs}", lane=AMD_LANE),
        Program("install", "env PATH={path} tests/package/install {kdir} build/kvm",
                lane=AMD_LANE),
        Program("bookworm", "tests/package/chroot bookworm {logs}", lane=AMD_LANE),
        Program("trixie", "tests/package/chroot trixie {logs}", lane=AMD_LANE),
        Program("autopkgtest", "tests/package/autopkgtest trixie {logs}", lane=AMD_LANE),
        Program("host-root", "tests/package/host-root {logs} {logs}/mnt", lane=AMD_LANE),
        Host("amd", "package", "--stock --kvm avic=0", "/mnt/package", 2400),
        # Bochs has 2048 MiB for memory and files, and that Debian is one more file.
        Host("intel", "package-intel", "--memory 1280 --stock --kvm enable_apicv=0",
             "/mnt/package", 3600, joins=AMD_LANE),
    ],
}

# `boots-whole`, what `boots` leaves out, takes more than an hour, `long` takes hours, and `package`
# Debian's archive. `kunit` and `debug` build kernels, and `hunt` is not yet a part.
ONLY_IF_NAMED = ("boots-whole", "hunt", "long", "kunit", "debug", "package")
# What a stage uses of another.
NEEDED = {"boots": "kernels", "boots-whole": "kernels"}
# They need no host.
HERE = ("static", "kernels", "core", "model")


def lanes(stages: Sequence[str]) -> list[list[Test]]:
    """The tests of these stages, by lane."""
    found: dict[str, list[Test]] = {}
    for stage in stages:
        for test in STAGES[stage]:
            found.setdefault(test.lane, []).append(test)
    return list(found.values())
