# SPDX-License-Identifier: GPL-2.0-only
#
# Words of the tests of the takeover: load and unload vapic, make VMs, and see that KVM is as it
# was before. The module is the first argument of the program, and names of tests follow it.

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import subprocess
import sys
import time
import traceback

import kernel_state
import vendors

SYS_FINIT_MODULE, SYS_DELETE_MODULE = 313, 176
O_NONBLOCK = os.O_NONBLOCK
KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_CREATE_IRQCHIP = 0xAE01, 0xAE41, 0xAE60
KVM_GET_REGS = 0x8090AE81

libc = ctypes.CDLL(None, use_errno=True)
module_file = sys.argv[1] if len(sys.argv) > 1 else "/mnt/vapic.ko"
vendor = vendors.HERE
# It may lie beside the module.
FTRACE_FAULT = os.path.join(os.path.dirname(module_file), "ftrace_fault.ko")


class Log:
    """Kernel log lines from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        """New lines of vapic, and complaints of anybody."""
        found = []
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return found
            text = record.split(";", 1)[1].splitlines()[0]
            if re.match(r"vapic: (loading out-of-tree|module verification)", text):
                continue
            if text.startswith("vapic:") or re.search(r"WARNING:|BUG:|Call Trace", text):
                found.append(text)


def load(parameters="", image=None):
    """insmod; the errno, 0 if it loaded."""
    if image is None:
        fd = os.open(module_file, os.O_RDONLY)
    else:
        fd = os.memfd_create("vapic.ko")
        os.write(fd, image)
        os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY))
        copy = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
        os.close(fd)
        fd = copy
    try:
        if libc.syscall(SYS_FINIT_MODULE, fd, parameters.encode(), 0) == 0:
            return 0
        return ctypes.get_errno()
    finally:
        os.close(fd)


def unload():
    if libc.syscall(SYS_DELETE_MODULE, b"vapic", O_NONBLOCK) == 0:
        return 0
    return ctypes.get_errno()


def patched(old, new):
    """The module with one string constant changed, wherever it has it."""
    with open(module_file, "rb") as file:
        image = file.read()
    assert len(old) == len(new)
    assert old in image, f"there is no {old}"
    return image.replace(old, new)


class Kvm:
    """/dev/kvm, a VM, vCPUs: closed in reverse when the block ends."""

    last_end = 0.0

    def __enter__(self):
        self.fds = [os.open("/dev/kvm", os.O_RDWR)]
        return self

    def vm(self):
        self.fds.append(fcntl.ioctl(self.fds[0], KVM_CREATE_VM, 0))
        return self.fds[-1]

    def accelerated_vm(self):
        vm = self.vm()
        fcntl.ioctl(vm, KVM_CREATE_IRQCHIP, 0)
        return vm

    def vcpu(self, vm, number=0):
        self.fds.append(fcntl.ioctl(vm, KVM_CREATE_VCPU, number))
        return self.fds[-1]

    def __exit__(self, *_):
        for fd in reversed(self.fds):
            os.close(fd)
        Kvm.last_end = time.monotonic()


def picture():
    """State of KVM, once the branches that it patches for a VM are as without one:
    it puts some back only a second later."""
    time.sleep(max(0.0, Kvm.last_end + 1.5 - time.monotonic()))
    return kernel_state.state()


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def check_equal(have, want, what):
    check(have == want, f"{what}: {have!r}, not {want!r}")


def check_unchanged(before):
    changed = kernel_state.differences(before, picture())
    check(not changed, "KVM is not as before: " + "; ".join(changed)[:2000])


def check_refused(number, pattern, parameters="", image=None, with_kvm=True):
    """Load must fail with this errno, one line of log, and nothing changed."""
    before = picture() if with_kvm else None
    log = Log()
    result = load(parameters, image)
    lines = log.lines()
    if not result:
        unload()
    check_equal(errno.errorcode.get(result, result), errno.errorcode[number], "errno")
    check(len(lines) == 1 and re.search(pattern, lines[0]), f"log is {lines}")
    check(not os.path.exists("/sys/module/vapic"), "the module stayed")
    if with_kvm:
        check_unchanged(before)


def check_loads(parameters=""):
    log = Log()
    result = load(parameters)
    check_equal(errno.errorcode.get(result, result), 0, "errno of load")
    lines = log.lines()
    check(len(lines) == 1, f"log is {lines}")
    return lines[0]


def check_unloads():
    log = Log()
    result = unload()
    check_equal(errno.errorcode.get(result, result), 0, "errno of unload")
    check_equal(log.lines(), ["vapic: unloaded, KVM is as it was before"], "log")


@contextlib.contextmanager
def ftrace_fault(*parameters):
    """Have ftrace go off at a moment that test/ftrace_fault knows how to wait for."""
    # Older kernels have the function that vapic calls under another name.
    if parameters and parameters[0].endswith("register_ftrace_direct") and \
            vendors.kernel_has("register_ftrace_direct_multi"):
        parameters = (parameters[0] + "_multi", *parameters[1:])
    subprocess.run(["insmod", FTRACE_FAULT, *parameters], check=True)
    try:
        yield
    finally:
        subprocess.run(["rmmod", "ftrace_fault"], check=True)


def put(path, text):
    """Into a file of tracefs, which kernel_state mounts."""
    with open(f"{kernel_state.TRACING}/{path}", "w", encoding="ascii") as file:
        file.write(text)


def check_all_ours():
    states = kernel_state.read("/sys/kernel/vapic/takeover").splitlines()
    check_equal(len(states), vendor.functions + vendor.ops + vendor.switches,
                "entries in takeover")
    check(all(line.endswith(" ours") for line in states), str(states))


def modprobe(*arguments):
    subprocess.run(["modprobe", *arguments], check=True)


def with_stock(parameters, action):
    """Run @action with the vendor's module reloaded with other parameters."""
    now = [f"{name}={kernel_state.parameter(vendor.module, name)}" for name in vendor.parameters]
    modprobe("-r", vendor.module)
    try:
        if parameters is not None:
            modprobe(vendor.module, *parameters)
        action()
        if parameters is not None:
            modprobe("-r", vendor.module)
    finally:
        modprobe(vendor.module, *now)


def run(tests, last_tests=()):
    """Those that the command line asks for; of the last ones, those that it names."""
    wanted = sys.argv[2:] or ["all"]
    tests = [test for test in tests if {"all", test.__name__} & set(wanted)]
    tests += [test for test in last_tests if test.__name__ in wanted]
    failures = 0
    print("TAP version 13")
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, start=1):
        try:
            test()
            result = "ok"
        except Exception:  # a test that breaks is a test that fails
            failures += 1
            result = "not ok"
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            unload()
        print(f"{result} {number} {test.__name__}", flush=True)
    return min(failures, 100) if tests else 100
