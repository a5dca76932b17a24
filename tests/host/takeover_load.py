# SPDX-License-Identifier: GPL-2.0-only
#
# Load and unload as they should go, and with VMs that are there, come and go meanwhile.

import errno
import fcntl
import os
import random
import re
import subprocess
import threading
import time

import kernel_state
from loading import (KVM_GET_REGS, Kvm, Log, check, check_all_ours, check_equal, check_loads,
                     check_unchanged, check_unloads, load, picture, unload, vendor, with_stock)


def loads_and_restores_exactly():
    before = picture()
    line = check_loads(f"{vendor.switch}=1")
    check(re.search(rf"took over {vendor.what} of {vendor.module} "
                    rf"\({vendor.functions} functions, {vendor.ops} ops\)", line), line)
    check_equal(kernel_state.read("/sys/module/kvm/parameters/enable_apicv").strip()
                if os.path.exists("/sys/module/kvm/parameters/enable_apicv") else "Y",
                "Y", "enable_apicv")
    changed = kernel_state.differences(before, picture())
    for what in ("kvm: code", f"{vendor.module}: code", "kvm: kvm_x86_ops", "ftrace"):
        check(any(line.startswith(what) for line in changed), f"{what} did not change")
    # Nobody may have looked at today's kernel yet.
    audit = kernel_state.read("/sys/kernel/vapic/audit")
    first, *others = audit.splitlines()
    check(first == (f"{len(others)} unaudited" if others else "audited")
          + f" for {os.uname().release}", audit)
    check_all_ours()
    check_unloads()
    check_unchanged(before)


def loads_over_any_setting_of_stock():
    for parameters in vendor.settings:
        def cycle():
            before = picture()
            check_loads()
            check_unloads()
            check_unchanged(before)
        with_stock(parameters, cycle)


def loads_and_unloads_repeatedly():
    before = picture()
    times = []
    for _ in range(10):
        start = time.monotonic()
        check_loads()
        middle = time.monotonic()
        check_unloads()
        times.append((middle - start, time.monotonic() - middle))
    check_unchanged(before)
    best = [1000 * min(column) for column in zip(*times)]
    print(f"# load {best[0]:.0f} ms, unload {best[1]:.0f} ms at best of {len(times)}")


def status_is_for_everybody():
    check_loads()
    names = set(os.listdir("/sys/kernel/vapic"))
    # For root, as its names are those of other users' processes.
    names.remove("vms")
    check_equal(oct(os.stat("/sys/kernel/vapic/vms").st_mode & 0o777), "0o700", "mode of vms")
    for name in names:
        mode = os.stat(f"/sys/kernel/vapic/{name}").st_mode & 0o777
        check_equal(oct(mode), "0o444", f"mode of {name}")
        kernel_state.read(f"/sys/kernel/vapic/{name}")
    check_unloads()


def status_names_why_a_vcpu_is_never_accelerated():
    """AVIC's table ends at ID 254, x2AVIC's at 511; one beyond it takes the whole VM along."""
    beyond = 600
    check_loads()
    with Kvm() as kvm:
        vm = kvm.accelerated_vm()
        for number in (0, beyond, 1):
            kvm.vcpu(vm, number)
        text = kernel_state.read("/sys/kernel/vapic/vcpus")
    found = {int(vcpu): line for line in text.splitlines()
             for vcpu in re.findall(r"\bvcpu=(\d+)", line)}
    check_equal(sorted(found), [0, 1, beyond], "vCPUs in status")
    why = {vcpu: re.findall(r"\bnever=(\S+)", line) for vcpu, line in found.items()}
    check_equal(why, vendor.never(beyond), f"reasons in {text}")
    check_unloads()


def takes_over_nothing_if_asked():
    for value in ("0", "n", "N", "off"):
        before = picture()
        line = check_loads(f"{vendor.switch}={value}")
        check("took over nothing" in line, line)
        check_unchanged(before)
        check_unloads()


def takes_the_spellings_of_a_boolean():
    for parameters in ("", *(vendor.switch + value for value in ("", "=1", "=y", "=Y", "=on"))):
        check(f"took over {vendor.what}" in check_loads(parameters), parameters)
        check_unloads()


def stays_while_a_vm_is_alive():
    before = picture()
    check_loads()
    with Kvm() as kvm:
        kvm.vm()
        check_equal(unload(), errno.EWOULDBLOCK, "errno of unload")
    with Kvm() as kvm:
        vcpu = kvm.vcpu(kvm.accelerated_vm())
        check_equal(unload(), errno.EWOULDBLOCK, "errno of unload")
        # A vCPU keeps the VM when the other descriptors are gone.
        for fd in kvm.fds:
            if fd != vcpu:
                os.close(fd)
        kvm.fds = [vcpu]
        check_equal(unload(), errno.EWOULDBLOCK, "errno of unload")
    check_unloads()
    check_unchanged(before)


def unloads_while_dev_kvm_is_open():
    check_loads()
    with Kvm():
        check_unloads()


def creations_race_with_load_and_unload():
    before = picture()
    log = Log()
    stop = threading.Event()
    counts = {"created": 0, "failed": 0, "loaded": 0, "unloaded": 0}

    def create():
        while not stop.is_set():
            try:
                with Kvm() as kvm:
                    kvm.vcpu(kvm.accelerated_vm())
                    counts["created"] += 1
            except OSError:
                counts["failed"] += 1
            time.sleep(random.uniform(0, 0.6))

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        counts["loaded"] += load() == 0
        counts["unloaded"] += unload() == 0
    stop.set()
    for thread in threads:
        thread.join()
    unload()
    for line in log.lines():
        check(re.search(r"took over|unloaded|alive|is open", line), line)
    check(counts["created"] > 0 and counts["loaded"] > 0, f"nothing raced: {counts}")
    check_equal(counts["failed"], 0, "failed creations")
    check_unchanged(before)
    print(f"# {counts}")


def waits_for_vms_if_forced():
    """References mean nothing to rmmod -f."""
    before = picture()
    check_loads()
    log = Log()

    def vcpus():
        return len(re.findall(r" vcpu=", kernel_state.read("/sys/kernel/vapic/vcpus")))

    with Kvm() as kvm:
        kvm.vcpu(kvm.accelerated_vm())
        forced = subprocess.Popen(["rmmod", "-f", "vapic"])
        time.sleep(2)
        lines = log.lines()
        check(len(lines) == 1 and re.search(r"forced, but 1 virtual machine is alive: it waits",
                                            lines[0]), f"log is {lines}")
        check_equal(vcpus(), 1, "vCPUs in status")
        with Kvm() as other:
            vcpu = other.vcpu(other.accelerated_vm())
            fcntl.ioctl(vcpu, KVM_GET_REGS, bytearray(144))
            check_equal(vcpus(), 2, "vCPUs in status")
        time.sleep(1)
        check_equal(vcpus(), 1, "vCPUs in status")
        check_equal(forced.poll(), None, "status of rmmod")
    check_equal(forced.wait(60), 0, "status of rmmod")
    check_equal(log.lines(), ["vapic: unloaded, KVM is as it was before"], "log")
    check_unchanged(before)
