# SPDX-License-Identifier: GPL-2.0-only
#
# Attach an empty BPF program to the entry of a module's function: another direct user
# of its ftrace site.  Only bpf(2), so that no tool is needed.

import ctypes
import os
import struct

SYS_BPF = 321
PROG_LOAD, GET_INFO_BY_FD, RAW_TRACEPOINT_OPEN = 5, 15, 17
BTF_GET_FD_BY_ID, BTF_GET_NEXT_ID = 19, 23
PROG_TYPE_TRACING, TRACE_FENTRY = 26, 24
KIND_FUNC = 12

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(152, b"\0"), 152)
    result = libc.syscall(SYS_BPF, command, buffer, 152)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"bpf command {command}: {os.strerror(error)}")
    return result, buffer.raw


class Btf:
    """Names of functions in raw BTF; @base is the BTF it continues."""

    # Bytes after the 12 common ones, by kind: fixed, and for each member.
    EXTRA = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8),
             14: (4, 0), 15: (0, 12), 17: (4, 0), 19: (0, 12)}

    def __init__(self, path, base=None):
        with open(path, "rb") as file:
            data = file.read()
        _, _, _, header, types, types_size, strings, strings_size = \
            struct.unpack_from("<HBBIIIII", data)
        first_string = base.next_string if base else 0
        text = data[header + strings:header + strings + strings_size]
        self.next_id = base.next_id if base else 1
        self.next_string = first_string + strings_size
        self.functions = {}
        at = header + types
        while at < header + types + types_size:
            name, info, _ = struct.unpack_from("<III", data, at)
            kind, count = info >> 24 & 0x1f, info & 0xffff
            if kind == KIND_FUNC and name >= first_string:
                start = name - first_string
                self.functions[text[start:text.index(b"\0", start)].decode()] = self.next_id
            fixed, each = self.EXTRA.get(kind, (0, 0))
            at += 12 + fixed + each * count
            self.next_id += 1


def btf_object(module):
    """A descriptor of the module's BTF in the kernel."""
    last = 0
    while True:
        _, buffer = bpf(BTF_GET_NEXT_ID, struct.pack("<I", last))
        last, = struct.unpack_from("<I", buffer, 4)
        fd, _ = bpf(BTF_GET_FD_BY_ID, struct.pack("<I", last))
        name = ctypes.create_string_buffer(64)
        info = ctypes.create_string_buffer(
            struct.pack("<QIIQII", 0, 0, 0, ctypes.addressof(name), 64, 0), 32)
        bpf(GET_INFO_BY_FD, struct.pack("<IIQ", fd, 32, ctypes.addressof(info)))
        if name.value.decode() == module:
            return fd
        os.close(fd)


def attach(module, function):
    """Attach; the result is a descriptor that detaches when closed."""
    base = Btf("/sys/kernel/btf/vmlinux")
    identity = Btf(f"/sys/kernel/btf/{module}", base).functions[function]
    owner = btf_object(module)
    code = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"), 16)
    text = ctypes.create_string_buffer(b"GPL")
    program, _ = bpf(PROG_LOAD, struct.pack(
        "<IIQQIIQII16sIIIIQIIQIII", PROG_TYPE_TRACING, 2, ctypes.addressof(code),
        ctypes.addressof(text), 0, 0, 0, 0, 0, b"", 0, TRACE_FENTRY, 0, 0, 0, 0, 0, 0, 0,
        identity, owner))
    link, _ = bpf(RAW_TRACEPOINT_OPEN, struct.pack("<QI", 0, program))
    os.close(program)
    os.close(owner)
    return link
