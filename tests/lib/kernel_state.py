# SPDX-License-Identifier: GPL-2.0-only
#
# A picture of everything that loading vapic changes in KVM, taken from kernel memory:
# instructions, ops, static calls, variables, ftrace sites, module references.

import collections
import functools
import hashlib
import os
import struct
import subprocess

import vendors

TRACING = "/sys/kernel/tracing"


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


class Memory:
    """Kernel memory through /proc/kcore."""

    def __init__(self):
        self.file = open("/proc/kcore", "rb", buffering=0)
        header = os.pread(self.file.fileno(), 64, 0)
        offset, = struct.unpack_from("<Q", header, 32)
        count, = struct.unpack_from("<H", header, 56)
        table = os.pread(self.file.fileno(), 56 * count, offset)
        self.segments = []
        for i in range(count):
            kind, _, start, address, _, size = struct.unpack_from("<IIQQQQ", table, 56 * i)
            if kind == 1:
                self.segments.append((address, size, start))

    def __getitem__(self, span):
        for address, size, start in self.segments:
            if address <= span.start and span.stop <= address + size:
                data = os.pread(self.file.fileno(), span.stop - span.start,
                                start + span.start - address)
                if len(data) == span.stop - span.start:
                    return data
        raise LookupError(f"kernel memory {span.start:#x}..{span.stop:#x} cannot be read")


@functools.cache
def memory():
    return Memory()


@functools.cache
def symbol_table(bases):
    """{module: [(address, type, name)]}, by address, of the KVM modules, and of the kernel
    under "" what vendors.py names.  Remembered, as /proc/kallsyms is long and slow to
    make; @bases tells a reload."""
    del bases
    pattern = "|".join([r"\[kvm(_amd|_intel)?\]$",
                        *(f" {name}$" for name in vendors.HERE.kernel_variables)])
    lines = subprocess.run(["grep", "-E", pattern, "/proc/kallsyms"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    table = collections.defaultdict(list)
    for line in lines:
        address, kind, name, *module = line.split()
        table["".join(module).strip("[]")].append((int(address, 16), kind, name))
    return {module: sorted(found) for module, found in table.items()}


def symbols(module):
    """[(address, type, name)] of one module, by address; "" for the kernel."""
    bases = tuple(read(f"/sys/module/{name}/sections/.text")
                  for name in ("kvm", vendors.HERE.module))
    return symbol_table(bases)[module]


def parameter(module, name):
    return read(f"/sys/module/{module}/parameters/{name}").strip()


def module_state(module):
    state = {}
    table = symbols(module)
    code = [address for address, kind, _ in table if kind in "tT"]
    state["code"] = hashlib.sha256(memory()[code[0]:code[-1]]).hexdigest()
    for index, (address, _, name) in enumerate(table):
        if name.startswith("__SCK__kvm_x86_"):
            state[name] = memory()[address:address + 8].hex()
        elif name in ("kvm_x86_ops", *vendors.HERE.variables):
            end = next(a for a, _, _ in table[index:] if a > address)
            state[name] = memory()[address:end].hex()
    state["references"] = read(f"/sys/module/{module}/refcnt").strip()
    for name in os.listdir(f"/sys/module/{module}/parameters"):
        state[f"parameter {name}"] = parameter(module, name)
    return state


def state():
    """{what: value}; equal pictures mean that KVM is in the same state."""
    if not os.path.exists(f"{TRACING}/enabled_functions"):
        os.system(f"mount -t tracefs tracefs {TRACING}")
    result = {"ftrace": read(f"{TRACING}/enabled_functions")}
    for module in ("kvm", vendors.HERE.module):
        for what, value in module_state(module).items():
            result[f"{module}: {what}"] = value
    for name in vendors.HERE.kernel_variables:
        address = next(a for a, _, symbol in symbols("") if symbol == name)
        result[f"kernel: {name}"] = memory()[address:address + 8].hex()
    return result


def differences(before, after):
    return [f"{what}: {before.get(what)} -> {after.get(what)}"
            for what in sorted(before.keys() | after.keys())
            if before.get(what) != after.get(what)]


if __name__ == "__main__":
    for name, content in sorted(state().items()):
        print(name, content)
