# SPDX-License-Identifier: GPL-2.0-only
#
# What load and unload have to do with ftrace, which redirects functions for vapic, and for
# tracers besides.

import contextlib
import errno
import fcntl
import re
import subprocess

import kernel_state
from loading import (KVM_GET_REGS, Kvm, check, check_all_ours, check_equal, check_loads,
                     check_refused, check_unchanged, check_unloads, ftrace_fault, picture, put,
                     vendor)


SWITCH = "kernel.ftrace_enabled"


def why_not_off():
    """What sysctl says to who switches ftrace off; nothing if it has done it."""
    return subprocess.run(["sysctl", "-q", f"{SWITCH}=0"], stderr=subprocess.PIPE, text=True,
                          check=False).stderr


@contextlib.contextmanager
def ftrace_off():
    """By force where the kernel no longer lets anybody do it."""
    said = why_not_off()
    try:
        if said:
            check("not supported" in said, f"sysctl said {said!r}")
            with ftrace_fault():
                pass
        yield
    finally:
        subprocess.run(["sysctl", "-q", f"{SWITCH}=1"], check=True)


def refuses_with_ftrace_off():
    with ftrace_off():
        check_refused(errno.EAGAIN, r"ftrace is off: run sysctl kernel.ftrace_enabled=1")


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


def keeps_ftrace_on_while_loaded():
    refused = why_not_off()
    check(not refused or "not supported" in refused, f"sysctl said {refused!r}")
    subprocess.run(["sysctl", "-q", f"{SWITCH}=1"], check=True)
    check_loads()
    said = why_not_off()
    check(said == refused if refused else "busy" in said, f"sysctl said {said!r}")
    check_equal(kernel_state.read("/proc/sys/kernel/ftrace_enabled").strip(), "1", SWITCH)
    check_all_ours()
    check_unloads()


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
