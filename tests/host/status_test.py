#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# /sys/kernel/vapic and the parameters of the stock modules: who sees what, that it is
# whole, and that it is true.  Run as takeover_test.py is:
#
#   testbed/run amd --stock --dir FOLDER -- /mnt/status_test.py /mnt/vapic.ko

import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import kernel_state  # noqa: E402
import loading  # noqa: E402
from loading import Kvm, check, check_equal, check_loads, check_unloads, libc  # noqa: E402

VCPUS = "/sys/kernel/vapic/vcpus"
USER, OTHER_USER = 1000, 1001
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_IRQ_ROUTING_MSI = 0x4008ae6a, 0x4020ae76, 2
CAPABILITY_VERSION_3 = 0x20080522
INTEL = loading.vendor.module == "kvm_intel"
READERS, ROUNDS = 64, 2 if INTEL else 8


def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def become_root_of_a_user_namespace(uid):
    become(uid)
    # Not dumpable after a change of user, and its /proc files are root's.
    libc.prctl(4, 1, 0, 0, 0)
    check(libc.unshare(CLONE_NEWUSER) == 0, "no user namespace for a user")
    with open("/proc/self/uid_map", "w", encoding="ascii") as file:
        file.write(f"0 {uid} 1")
    check_equal(os.getuid(), 0, "user in the namespace")


def become_root_without_capabilities():
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    check(libc.capset(header, (ctypes.c_uint32 * 6)()) == 0, "capset fails")


class Child:
    """A process that becomes somebody, runs a function, which returns a value for JSON and
    descriptors to pass on, and stays, with what it made, until the block ends."""

    def __init__(self, function, become_who=lambda: None, pid_namespace=False):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if not self.pid:
            # Neither returns nor raises, whatever happens.
            try:
                self._serve(theirs, function, become_who, pid_namespace)
            finally:
                os._exit(1)
        theirs.close()

    @staticmethod
    def _serve(theirs, function, become_who, pid_namespace):
        if pid_namespace:
            check(libc.unshare(CLONE_NEWPID) == 0, "no PID namespace")
            inner = os.fork()
            if inner:
                os.waitpid(inner, 0)
                return
        fds = []
        try:
            become_who()
            value, fds = function()
            answer = {"value": value}
        except Exception:  # a test that breaks is a test that fails
            answer = {"error": traceback.format_exc()}
        socket.send_fds(theirs, [json.dumps(answer).encode()], fds)
        theirs.recv(1)

    def result(self):
        data, fds, _, _ = socket.recv_fds(self.socket, 1 << 20, 4)
        check(data, "a child ended without a word")
        answer = json.loads(data)
        check("error" not in answer, answer.get("error"))
        return answer["value"], fds

    def has_answered(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.send(b".")
        os.waitpid(self.pid, 0)
        self.socket.close()
        Kvm.last_end = time.monotonic()


def asked(function, *who, **options):
    """What the function returns if run by somebody else."""
    with Child(lambda: (function(), []), *who, **options) as child:
        return child.result()[0]


def read(path=VCPUS):
    return kernel_state.read(path)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def make_vm(kvm, vcpus=1):
    vm = kvm.accelerated_vm()
    for number in range(vcpus):
        kvm.vcpu(vm, number)


def make_and_read():
    """A VM that goes with the process, what that sees, and its PID."""
    make_vm(Kvm().__enter__(), 2)
    return (read(), os.getpid()), []


def user():
    become(USER)


def other_user():
    become(OTHER_USER)


def root_of_a_container():
    become_root_of_a_user_namespace(USER)


def pids(text):
    return sorted({int(number) for number in re.findall(r"^pid=(\d+) ", text, re.MULTILINE)})


def check_whole(text):
    """VMs, each with its vCPUs in order and nothing cut. One that is being destroyed has lost
    those from 0 on."""
    check(text == "" or text.endswith("\n"), f"the end is cut: {text[-200:]!r}")
    pid = expected = None
    for line in text.splitlines():
        new = re.fullmatch(r"pid=(\d+) vm active=[01] inhibits=[\w,-]+ off=[\w,-]+", line)
        if new:
            pid, expected = new[1], None
            continue
        fields = re.fullmatch(
            rf"pid={pid} vcpu=(\d+) active=[01] inhibits=[\w,-]+( \w+=\d+){{6,11}}", line)
        check(fields, f"a line is torn: {line!r} in {text!r}")
        number = int(fields[1])
        check_equal(number, number if expected is None else expected, "vCPU")
        expected = number + 1


def ensure_loaded():
    """By the test before, most times: a load is long."""
    if not os.path.exists("/sys/module/vapic"):
        check_loads()


# The tests, in the order they run.

def nobody_but_root_sees_the_vms_of_root():
    ensure_loaded()
    with Kvm() as kvm:
        make_vm(kvm)
        text = read()
        check_whole(text)
        check_equal(pids(text), [os.getpid()], "PIDs that root sees")
        for who, options in ((user, {}), (root_of_a_container, {}),
                             (become_root_without_capabilities, {"pid_namespace": True})):
            check_equal(asked(read, who, **options), "", f"VMs that {who.__name__} sees")
            for name in ("version", "takeover"):
                path = f"/sys/kernel/vapic/{name}"
                check_equal(asked(lambda path=path: read(path), who, **options), read(path),
                            f"{name} for {who.__name__}")


def users_see_their_own_vms():
    os.chmod("/dev/kvm", 0o666)
    ensure_loaded()
    with Kvm() as kvm, Child(make_and_read, user) as owner:
        make_vm(kvm)
        (mine, number), _ = owner.result()
        check_whole(mine)
        check_equal(pids(mine), [number], "PIDs that the owner sees")
        check(re.search(r" woken=\d+", mine), mine)
        check_equal(asked(read, user), mine, "what another process of the owner sees")
        check_equal(asked(read, root_of_a_container), mine,
                    "what root of the owner's container sees")
        check_equal(asked(read, other_user), "", "what another user sees")
        check_equal(pids(read()), sorted([os.getpid(), number]), "PIDs that root sees")


def file_says_what_its_opener_may_see():
    ensure_loaded()
    with Kvm() as kvm, Child(lambda: (None, [os.open(VCPUS, os.O_RDONLY)]), user) as child:
        make_vm(kvm)
        with open(VCPUS, "rb", buffering=0) as file:
            check_equal(pids(asked(lambda: file.read(4096).decode(), user)), [os.getpid()],
                        "PIDs in root's file that a user reads")
        _, (theirs,) = child.result()
        with open(theirs, "rb", buffering=0) as file:
            check_equal(file.read(4096), b"", "a user's file that root reads")


def pids_are_those_of_the_readers_namespace():
    ensure_loaded()
    with Child(make_and_read, pid_namespace=True) as inner:
        (mine, number), _ = inner.result()
        check_equal(number, 1, "PID in the namespace")
        check_equal(pids(mine), [1], "PIDs there")
        check(pids(read()) not in ([], [0], [1]), f"PIDs outside: {read()}")
        check_equal(pids(asked(read, pid_namespace=True)), [0], "PIDs in another namespace")


def process_that_has_ended_has_no_pid():
    def make():
        kvm = Kvm().__enter__()
        make_vm(kvm)
        return None, kvm.fds

    ensure_loaded()
    with Kvm() as kvm:
        with Child(make) as child:
            kvm.fds += child.result()[1]
        check_equal(pids(read()), [0], "PIDs")


def reader():
    """Reads in pieces, each time from a file of its own."""
    for _ in range(ROUNDS):
        pieces = []
        with open(VCPUS, "rb", buffering=0) as file:
            while piece := file.read(200):
                pieces.append(piece)
        text = b"".join(pieces).decode()
        check_whole(text)
        check(text.count("vcpu=") >= 24, f"the VM that stays is missing: {text!r}")
    return None, []


def many_readers_see_whole_texts():
    """While VMs come and go: the second is gone before the third, so that lines move."""
    ensure_loaded()
    made = 0
    with Kvm() as staying, contextlib.ExitStack() as stack:
        make_vm(staying, 24)
        readers = [stack.enter_context(Child(reader)) for _ in range(READERS)]
        passing = contextlib.ExitStack()
        while not all(child.has_answered() for child in readers):
            with passing:
                passing = contextlib.ExitStack()
                make_vm(passing.enter_context(Kvm()), 3 + made % 2 * 2)
            made += 1
        passing.close()
        for child in readers:
            child.result()
    check(made > 1, "no VM came and went")
    print(f"# {READERS} readers, {ROUNDS} times each; {made} VMs came and went")


def open_file_outlives_the_module():
    ensure_loaded()
    fd = os.open(VCPUS, os.O_RDONLY)
    unread = os.open(VCPUS, os.O_RDONLY)
    with Kvm() as kvm:
        kvm.vcpu(kvm.accelerated_vm())
        switch = os.open(glob.glob(f"/sys/kernel/vapic/vms/{os.getpid()}-*/acceleration")[0],
                         os.O_RDWR)
        os.write(switch, b"0\n")
    os.read(fd, 10)
    check_unloads()
    try:
        os.write(switch, b"1\n")
        raise AssertionError("a VM that is gone can be switched")
    except OSError as error:
        check_equal(error.errno, errno.ENODEV, "errno")
    for file in (fd, unread, switch):
        try:
            os.pread(file, 10, 0)
            raise AssertionError("a file of an unloaded module can be read")
        except OSError as error:
            check_equal(error.errno, errno.ENODEV, "errno")
        os.close(file)


def parameters_tell_what_is_so():
    def shown():
        return [kernel_state.parameter(loading.vendor.module, name)
                for name in loading.vendor.parameters]

    def cycle():
        before = shown()
        for parameters, wanted in ((f"{loading.vendor.switch}=1", ["Y" for _ in before]),
                                   *([("enable_ipiv=0", ["Y", "N"])] if INTEL else []),
                                   (f"{loading.vendor.switch}=0", before)):
            check_loads(parameters)
            check_equal(shown(), wanted, f"parameters while loaded with {parameters}")
            check_unloads()
            check_equal(shown(), before, "parameters afterwards")

    loading.unload()
    for parameters in loading.vendor.settings:
        loading.with_stock(parameters, cycle)


@contextlib.contextmanager
def traced(event):
    """The lines of the tracepoint that are recorded in the block, once it has ended."""
    tracing = "/sys/kernel/tracing"
    lines = []
    if not os.path.exists(f"{tracing}/instances"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", tracing], check=True)
    os.mkdir(f"{tracing}/instances/test")
    try:
        write(f"{tracing}/instances/test/events/{event}/enable", "1")
        yield lines
        lines += [line for line in read(f"{tracing}/instances/test/trace").splitlines()
                  if not line.startswith("#")]
    finally:
        os.rmdir(f"{tracing}/instances/test")


def interrupt_that_cannot_be_posted_stays_remapped():
    """On AMD, by a device whose interrupt chip refuses."""
    folder = os.path.dirname(loading.module_file)
    # Some kernels find out once whether there is what posts, and vapic does when it is loaded.
    loading.unload()
    subprocess.run(["insmod", f"{folder}/fake_device.ko", "posts=1"], check=True)
    try:
        ensure_loaded()
        with Kvm() as kvm, traced("kvm/kvm_pi_irte_update") as lines:
            vm = kvm.accelerated_vm()
            kvm.vcpu(vm)
            kvm.fds.append(os.eventfd(0))
            # The MSI of vector 51h to the APIC with ID 0, as GSI 24.
            fcntl.ioctl(vm, KVM_SET_GSI_ROUTING, struct.pack("<II" "IIII" "IIIIIIII", 1, 0, 24,
                        KVM_IRQ_ROUTING_MSI, 0, 0, 0xfee00000, 0, 0x51, *[0] * 5))
            fcntl.ioctl(vm, KVM_IRQFD, struct.pack("<IIII16x", kvm.fds[-1], 24, 0, 0))
            irq = read("/sys/module/fake_device/parameters/irq").strip()
            write("/sys/module/fake_device/parameters/eventfd", str(kvm.fds[-1]))
            check(" posted=0 " in read(), f"an interrupt is posted: {read()}")
            write("/sys/module/fake_device/parameters/eventfd", "-1")
    finally:
        subprocess.run(["rmmod", "fake_device"], check=True)
    # Older kernels speak of VT-d on AMD, too.
    said = [re.sub("0x[0-9a-f]+$", "PAGE", line.split(": ", 2)[-1].removeprefix("VT-d "))
            for line in lines]
    wanted = [f"PI is {what} for irq {irq}, vcpu 0, gsi: 0x18, gvec: 0x51, pi_desc_addr: PAGE"
              for what in ("enabled and being updated", "disabled")]
    if "pi_desc_addr" not in read("/sys/kernel/tracing/events/kvm/kvm_pi_irte_update/format"):
        # There KVM itself traces, and at the end knows neither vCPU nor vector.
        wanted = [f"PI is enabled and being updated for irq {irq}, vcpu 0, gsi: 0x18, gvec: PAGE",
                  f"PI is disabled for irq {irq}, vcpu -1, gsi: 0x18, gvec: PAGE"]
    check_equal(said, wanted, "trace")


def events_that_are_on_end_with_the_module():
    """Whoever has left one on does not keep vapic from going, and finds it off after the next
    load."""
    instance = "/sys/kernel/tracing/instances/test"
    ensure_loaded()
    with traced("vapic/vapic_mode"):
        with Kvm() as kvm:
            kvm.vcpu(kvm.accelerated_vm())
            said = read(f"{instance}/trace")
            check(f"vapic_mode: pid={os.getpid()} vcpu=0 mode=" in said, f"trace is {said}")
        check_unloads()
        check(not os.path.exists(f"{instance}/events/vapic"), "events outlive the module")
        check_loads()
        check_equal(read(f"{instance}/events/vapic/vapic_mode/enable").strip(), "0", "event")


TESTS = [
    nobody_but_root_sees_the_vms_of_root,
    users_see_their_own_vms,
    file_says_what_its_opener_may_see,
    pids_are_those_of_the_readers_namespace,
    process_that_has_ended_has_no_pid,
    many_readers_see_whole_texts,
    # On Intel a vCPU that never runs has no event of its mode.
    *([] if INTEL else [interrupt_that_cannot_be_posted_stays_remapped,
                        events_that_are_on_end_with_the_module]),
    open_file_outlives_the_module,
    parameters_tell_what_is_so,
]


if __name__ == "__main__":
    status = loading.run(TESTS)
    loading.unload()
    sys.exit(status)
