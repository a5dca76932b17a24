# SPDX-License-Identifier: GPL-2.0-only
#
# What fails in the middle: a step of load, the creation of a VM, and ftrace for good.

import errno
import fcntl
import os
import re
import signal
import subprocess

import kernel_state
from loading import (KVM_GET_REGS, Kvm, Log, check, check_equal, check_loads, check_unchanged,
                     check_unloads, ftrace_fault, load, module_file, picture, unload, vendor)

KVM_GET_LAPIC, KVM_SET_LAPIC = 0x8400AE8E, 0x4400AE8F
FAIL_CREATE = "/sys/module/vapic/parameters/fail_create"
# They may lie beside the module.
SELFTESTS = os.path.join(os.path.dirname(module_file), "selftests")
# Of init, in takeover/init.c; each redirection is a point of failure as well.
STEPS = 19
IDLE_STEPS = 3


def undoes_every_step_that_fails():
    undoes_every_step("", STEPS + vendor.functions)


def undoes_every_step_that_fails_while_switched_off():
    undoes_every_step(f"{vendor.switch}=0 ", IDLE_STEPS)


def undoes_every_step(parameters, points):
    before = picture()
    for number in range(1, 100):
        log = Log()
        result = load(f"{parameters}fail_step={number}")
        lines = log.lines()
        if not result:
            break
        check_equal(errno.errorcode.get(result, result), "ENOMEM", f"errno at point {number}")
        check(len(lines) == 1 and re.search(r"vapic: .* fails because fail_step", lines[0]),
              f"log is {lines}")
        check_unchanged(before)
    check_equal(number - 1, points, "points that failed")
    check_unloads()
    check_unchanged(before)
    print(f"# {number - 1} points")


def survives_every_failed_allocation_of_creation():
    before = picture()
    check_loads()
    log = Log()
    for number in range(1, 100):
        with open(FAIL_CREATE, "w", encoding="ascii") as file:
            file.write(str(number))
        try:
            with Kvm() as kvm:
                kvm.vcpu(kvm.accelerated_vm())
            failed = False
        except OSError as error:
            check_equal(error.errno, errno.ENOMEM, f"errno with allocation {number} failing")
            failed = True
        left = int(kernel_state.read(FAIL_CREATE))
        check_equal(failed, left == 0, f"failure of allocation {number} reported")
        if left:
            break
    check(number > 2, f"only {number - 1} allocations failed")
    with open(FAIL_CREATE, "w", encoding="ascii") as file:
        file.write("0")
    check_equal(log.lines(), [], "log")
    check_unloads()
    check_unchanged(before)
    print(f"# {number - 1} allocations")


# Those after which ftrace is off until the next boot, and vapic in memory: one for a boot.

STUCK = r"ftrace has shut itself off with (\d+) functions still redirected: .* reboot"


def check_runs_stock(before):
    """All is as @before but for the sites that ftrace left, and those do no harm."""
    def rest(state):
        return {what: value for what, value in state.items()
                if what != "ftrace" and not what.endswith(": code")}

    changed = kernel_state.differences(rest(before), rest(picture()))
    check(not changed, "KVM is not as before: " + "; ".join(changed)[:2000])
    check(not os.path.exists("/sys/kernel/vapic"), "status stayed")
    with Kvm() as kvm:
        vcpu = kvm.vcpu(kvm.accelerated_vm())
        fcntl.ioctl(vcpu, KVM_GET_REGS, bytearray(144))
        state = bytearray(1024)
        fcntl.ioctl(vcpu, KVM_GET_LAPIC, state)
        check_equal(state[0x30], 0x14, "version of the APIC")
        fcntl.ioctl(vcpu, KVM_SET_LAPIC, state)
    accelerated = kernel_state.parameter(vendor.module, vendor.switch) == "Y"
    for program in ("ipi_running", "ipi_blocked"):
        subprocess.run([f"{SELFTESTS}/{program}"], check=True, stdout=subprocess.DEVNULL,
                       timeout=600, env={"VAPIC_EXPECT": "accelerated" if accelerated else "plain"})


def check_stays_after_unload(log, *options):
    """rmmod must not return, and nobody can load or unload it again; how many are stuck."""
    check_equal(subprocess.run(["rmmod", *options, "vapic"], check=False).returncode,
                -signal.SIGKILL, "status of rmmod")
    lines = log.lines()
    found = re.search(STUCK, lines[0])
    check(len(lines) == 1 and found, f"log is {lines}")
    check("Unloading" in re.search(r"^vapic .*", kernel_state.read("/proc/modules"),
                                   re.MULTILINE).group(), "the module does not stay")
    check_equal(unload(), errno.EBUSY, "errno of unload")
    check_equal(load(), errno.EBUSY, "errno of load")
    return int(found.group(1))


def stays_in_memory_if_ftrace_died():
    before = picture()
    check_loads()
    log = Log()
    with ftrace_fault("dies=1"):
        check_equal(check_stays_after_unload(log), vendor.functions, "functions stuck")
    check_runs_stock(before)


def stays_in_memory_if_ftrace_dies_amid_unload():
    before = picture()
    check_loads()
    log = Log()
    with ftrace_fault("at=unregister_ftrace_direct", "after=3", "dies=1"):
        check_equal(check_stays_after_unload(log), vendor.functions - 2, "functions stuck")
    check_runs_stock(before)


def stays_in_memory_if_ftrace_dies_amid_load():
    """In the middle of a registration, which then fails and leaves the site redirected."""
    before = picture()
    log = Log()
    with ftrace_fault("at=ftrace_arch_code_modify_post_process", "after=10", "dies=1"):
        check_equal(load(), 0, "errno of load")
    lines = log.lines()
    check(len(lines) == 2 and re.search(r"cannot redirect \w+: error -19", lines[0]) and
          re.search(STUCK, lines[1]), f"log is {lines}")
    check_runs_stock(before)
    check_equal(unload(), errno.EWOULDBLOCK, "errno of unload")
    check_equal(check_stays_after_unload(log, "-f"), int(re.search(STUCK, lines[1]).group(1)),
                "functions stuck")
    check_runs_stock(before)
