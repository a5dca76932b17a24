#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Load and unload, with everything that can be wrong provoked: each refusal has its
# errno and exactly one line of log, and leaves KVM as it was to the last byte of code.
# Run as root on a host with AVIC or APICv (or without: then only what that means) where
# vapic is not loaded:
#
#   testbed/run amd --stock --dir FOLDER -- /mnt/tests/host/takeover_test.py /mnt/vapic.ko
#
# Names of tests after the module run only those; "all" stands for all but LAST_TESTS.
# Speaks TAP; the status is the number of failures, at most 100.

import contextlib
import ctypes
import errno
import fcntl
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import bpf_fentry  # noqa: E402
import kernel_state  # noqa: E402
import vendors  # noqa: E402

SYS_FINIT_MODULE, SYS_DELETE_MODULE = 313, 176
O_NONBLOCK = os.O_NONBLOCK
KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_CREATE_IRQCHIP = 0xAE01, 0xAE41, 0xAE60
KVM_GET_REGS, KVM_GET_LAPIC, KVM_SET_LAPIC = 0x8090AE81, 0x8400AE8E, 0x4400AE8F
FAIL_CREATE = "/sys/module/vapic/parameters/fail_create"

libc = ctypes.CDLL(None, use_errno=True)
module_file = sys.argv[1] if len(sys.argv) > 1 else "/mnt/vapic.ko"
vendor = vendors.HERE
# Both may lie beside the module.
FTRACE_FAULT = os.path.join(os.path.dirname(module_file), "ftrace_fault.ko")
SELFTESTS = os.path.join(os.path.dirname(module_file), "selftests")
# Of init, in takeover/init.c; each redirection is a point of failure as well.
STEPS = 19
IDLE_STEPS = 3


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


# The tests, in the order they run.

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
    check_equal(kernel_state.read("/sys/kernel/vapic/audit"),
                f"audited for {os.uname().release}\n", "audit")
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


def refuses_unknown_value():
    for value, shown in (("maybe", "maybe"), ("", "''")):
        check_refused(errno.EINVAL, rf"{vendor.switch}={shown} is neither on nor off",
                      f"{vendor.switch}={value}")


def refuses_parameters_of_the_other_vendor():
    for name in vendor.foreign:
        for value in ("=1", "=0", "=n", ""):
            check_refused(errno.EINVAL,
                          rf"{name} is not for this vendor's processors: use {vendor.switch}",
                          name + value)


def refuses_without_stock_module():
    with_stock(None, lambda: check_refused(
        errno.ENXIO, rf"{vendor.module} is not loaded: run modprobe", with_kvm=False))


def refuses_unfit_stock_module():
    parameter, pattern = vendor.unfit
    with_stock([parameter], lambda: check_refused(errno.EOPNOTSUPP, pattern))


def refuses_other_build_of_kvm():
    for name in ("kvm", vendor.module):
        with open(f"/sys/module/{name}/notes/.note.gnu.build-id", "rb") as file:
            identity = file.read()[-20:].hex()
        other = identity[:-1] + ("0" if identity[-1] != "0" else "1")
        check_refused(errno.ENOEXEC, rf"built for another build of {name} \(running {identity}",
                      image=patched(b"\0" + identity.encode() + b"\0",
                                    b"\0" + other.encode() + b"\0"))


def refuses_missing_symbol():
    for name, replacement, pattern in (
            (b"kvm_vcpu_wake_up", b"kvm_vcpu_wake_uq",
             r"symbol kvm_vcpu_wake_uq is missing in kvm"),
            (vendor.load.encode(), vendor.load[:-1].encode() + b"x",
             rf"function {vendor.load[:-1]}x is missing in {vendor.module}"),
            (b"kvm_apic_set_state", b"kvm_apic_set_stats",
             r"function kvm_apic_set_stats is missing in kvm:"),
            (b"__SCK__kvm_x86_%s", b"__SCK__kvm_y86_%s",
             r"static call of op \w+ is missing in kvm"),
    ):
        check_refused(errno.ENOENT, pattern,
                      image=patched(b"\0" + name + b"\0", b"\0" + replacement + b"\0"))


def refuses_with_ftrace_off():
    subprocess.run(["sysctl", "-q", "kernel.ftrace_enabled=0"], check=True)
    try:
        check_refused(errno.EAGAIN, r"ftrace is off: run sysctl kernel.ftrace_enabled=1")
    finally:
        subprocess.run(["sysctl", "-q", "kernel.ftrace_enabled=1"], check=True)


def refuses_ftrace_going_off_meanwhile():
    """Up to the moment from which on it cannot be switched off."""
    with ftrace_fault("at=register_ftrace_function"):
        try:
            check_refused(errno.EAGAIN, r"ftrace is off: run sysctl kernel\.ftrace_enabled=1")
        finally:
            subprocess.run(["sysctl", "-q", "kernel.ftrace_enabled=1"], check=True)
    check_loads()
    check_unloads()


def refuses_what_verification_finds():
    """Registering with ftrace succeeds while it is off, and redirects nothing."""
    put("set_ftrace_filter", vendor.load)
    with ftrace_fault("at=register_ftrace_direct"):
        try:
            check_refused(errno.EAGAIN, r"still runs stock code: ftrace was switched off while")
        finally:
            subprocess.run(["sysctl", "-q", "kernel.ftrace_enabled=1"], check=True)
            # Forced like that, ftrace has wrong flags in its records, and shuts itself
            # off if it has nothing to do and finds them; the next removal mends them.
            put("current_tracer", "function")
    check_loads()
    check_unloads()
    put("current_tracer", "nop")
    put("set_ftrace_filter", "")
    put("trace", "")


def shares_functions_with_tracers():
    """The site calls ftrace then, and ours only by way of it."""
    before = picture()
    put("set_ftrace_filter", "\n".join((vendor.load, vendor.another, "kvm_cpu_has_interrupt")))
    for tracer in ("function", "function_graph"):
        put("current_tracer", tracer)
        check_loads()
        check_all_ours()
        put("current_tracer", "nop")
        check_all_ours()
        put("current_tracer", tracer)
        check_all_ours()
        check_unloads()
        put("current_tracer", "nop")
    put("set_ftrace_filter", "")
    put("trace", "")
    check_unchanged(before)


def keeps_ftrace_on_while_loaded():
    check_loads()
    result = subprocess.run(["sysctl", "-q", "kernel.ftrace_enabled=0"],
                            stderr=subprocess.PIPE, text=True, check=False)
    check("busy" in result.stderr, f"sysctl said {result.stderr!r}")
    check_unloads()


def refuses_other_direct_user():
    for module, function in ((vendor.module, vendor.another), ("kvm", "kvm_apic_set_state")):
        references = kernel_state.read(f"/sys/module/{module}/refcnt")
        link = bpf_fentry.attach(module, function)
        try:
            check_refused(errno.EBUSY, rf"function {function} is taken by another direct user")
        finally:
            os.close(link)
        # The program goes away in the background.
        for _ in range(100):
            if kernel_state.read(f"/sys/module/{module}/refcnt") == references:
                break
            time.sleep(0.1)


def refuses_while_a_vm_is_alive():
    with Kvm() as kvm:
        kvm.vm()
        check_refused(errno.EBUSY, r"1 virtual machine is alive: stop it")
        kvm.vm()
        check_refused(errno.EBUSY, r"2 virtual machines are alive: stop them")


def refuses_while_dev_kvm_is_open():
    with Kvm():
        check_refused(errno.EBUSY, r"/dev/kvm is open")


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


def tracers_see_through_redirections():
    """A function tracer on the same site, and the unwinder through the stub."""
    before = picture()
    check_loads()
    put("kprobe_events", f"p:vapic_test vapic_hook_{vendor.load}")
    put("events/kprobes/vapic_test/trigger", "stacktrace")
    put("events/kprobes/vapic_test/enable", "1")
    put("set_ftrace_filter", vendor.load)
    put("current_tracer", "function")
    with Kvm() as kvm:
        vcpu = kvm.vcpu(kvm.accelerated_vm())
        for _ in range(100):
            fcntl.ioctl(vcpu, KVM_GET_REGS, bytearray(144))
    trace = kernel_state.read(f"{kernel_state.TRACING}/trace")
    put("current_tracer", "nop")
    put("set_ftrace_filter", "")
    put("events/kprobes/vapic_test/enable", "0")
    put("events/kprobes/vapic_test/trigger", "!stacktrace")
    put("kprobe_events", "")
    put("trace", "")
    # The vendor's vcpu_load jumps there where the compiler can arrange it, and is then no
    # caller of it.
    calls = len(re.findall(rf"{vendor.load} <-({vendor.loader}|kvm_arch_vcpu_load)", trace))
    check(calls >= 100, f"the tracer saw {calls} calls in {trace[:3000]}")
    stack = re.search(r"<stack trace>\n((?: => .*\n)*?)(?: => kvm_vcpu_ioctl.*\n)", trace)
    check(stack, f"no stack trace through KVM: {trace[:2000]}")
    names = [line.split()[1] for line in stack.group(1).splitlines()]
    names = [name for name in names if name != vendor.loader]
    at = names.index(f"vapic_hook_{vendor.load}")
    check_equal(names[at:at + 4], [f"vapic_hook_{vendor.load}", f"vapic_stub_{vendor.load}",
                                   vendor.load, "kvm_arch_vcpu_load"], "callers")
    check_unloads()
    check_unchanged(before)


def status_is_for_everybody():
    check_loads()
    for name in os.listdir("/sys/kernel/vapic"):
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


def refuses_without_hardware():
    check_refused(errno.ENODEV, rf"this processor has no {vendor.what}")


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


TESTS = [
    loads_and_restores_exactly,
    loads_over_any_setting_of_stock,
    loads_and_unloads_repeatedly,
    status_is_for_everybody,
    status_names_why_a_vcpu_is_never_accelerated,
    tracers_see_through_redirections,
    takes_over_nothing_if_asked,
    takes_the_spellings_of_a_boolean,
    refuses_unknown_value,
    refuses_parameters_of_the_other_vendor,
    refuses_without_stock_module,
    refuses_unfit_stock_module,
    refuses_other_build_of_kvm,
    refuses_missing_symbol,
    refuses_with_ftrace_off,
    refuses_ftrace_going_off_meanwhile,
    refuses_what_verification_finds,
    shares_functions_with_tracers,
    keeps_ftrace_on_while_loaded,
    refuses_other_direct_user,
    refuses_while_a_vm_is_alive,
    refuses_while_dev_kvm_is_open,
    stays_while_a_vm_is_alive,
    unloads_while_dev_kvm_is_open,
    undoes_every_step_that_fails,
    undoes_every_step_that_fails_while_switched_off,
    survives_every_failed_allocation_of_creation,
    creations_race_with_load_and_unload,
    waits_for_vms_if_forced,
]

LAST_TESTS = [
    stays_in_memory_if_ftrace_died,
    stays_in_memory_if_ftrace_dies_amid_unload,
    stays_in_memory_if_ftrace_dies_amid_load,
]

# On a host whose processor lacks what is to be taken over
TESTS_WITHOUT_HARDWARE = [
    refuses_unknown_value,
    refuses_parameters_of_the_other_vendor,
    takes_over_nothing_if_asked,
    refuses_without_hardware,
]


def main(tests):
    wanted = sys.argv[2:] or ["all"]
    tests = [test for test in tests if {"all", test.__name__} & set(wanted)]
    tests += [test for test in LAST_TESTS if test.__name__ in wanted]
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


if __name__ == "__main__":
    sys.exit(main(TESTS if vendor.has_hardware() else TESTS_WITHOUT_HARDWARE))
