# SPDX-License-Identifier: GPL-2.0-only
#
# What load refuses: parameters, another KVM, a VM that is alive. Each refusal has its errno and
# exactly one line of log.

import errno
import os
import time

import bpf_fentry
import kernel_state
from loading import Kvm, check_refused, patched, vendor, with_stock


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


def refuses_without_hardware():
    check_refused(errno.ENODEV, rf"this processor has no {vendor.what}")


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
