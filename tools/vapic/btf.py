# SPDX-License-Identifier: GPL-2.0-only
#
# Prototypes and members from BTF, by the library that pahole uses for it (libbpf).

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any, Callable, Iterator, TypeVar
from typing import Type as Kind  # both of its names are taken here

KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION, KIND_FWD, KIND_FUNC = 2, 3, 4, 5, 7, 12
KIND_ENUM, KIND_ENUM64 = 6, 19
# typedef, volatile, const, restrict, type tag: what they are of follows.
KINDS_THROUGH = (8, 9, 10, 11, 18)


class Type(ctypes.Structure):
    """struct btf_type"""
    _fields_ = [("name", ctypes.c_uint32), ("info", ctypes.c_uint32), ("type", ctypes.c_uint32)]

    @property
    def kind(self) -> int:
        return int(self.info) >> 24 & 0x1f


class Member(ctypes.Structure):
    """struct btf_member"""
    _fields_ = [("name", ctypes.c_uint32), ("type", ctypes.c_uint32), ("offset", ctypes.c_uint32)]


class Enumerator(ctypes.Structure):
    """struct btf_enum"""
    _fields_ = [("name", ctypes.c_uint32), ("value", ctypes.c_int32)]


class Enumerator64(ctypes.Structure):
    """struct btf_enum64"""
    _fields_ = [("name", ctypes.c_uint32), ("low", ctypes.c_uint32), ("high", ctypes.c_uint32)]


class Array(ctypes.Structure):
    """struct btf_array"""
    _fields_ = [("type", ctypes.c_uint32), ("index", ctypes.c_uint32), ("count", ctypes.c_uint32)]


class Parameter(ctypes.Structure):
    """struct btf_param"""
    _fields_ = [("name", ctypes.c_uint32), ("type", ctypes.c_uint32)]


class DeclOptions(ctypes.Structure):
    """struct btf_dump_emit_type_decl_opts"""
    _fields_ = [("sz", ctypes.c_size_t), ("field_name", ctypes.c_char_p),
                ("indent_level", ctypes.c_int), ("strip_mods", ctypes.c_bool)]


class NoBtf(Exception):
    pass


Follows = TypeVar("Follows", Member, Array, Parameter, Enumerator, Enumerator64)
# The path of names of a member, and the structure that it points to, if it does.
Reached = tuple[str, str | None]

PRINT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


def library() -> ctypes.CDLL:
    try:
        bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise NoBtf("libbpf is missing, which comes with pahole: apt install pahole") from error
    for name, result, arguments in (
            ("btf__parse", ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_void_p]),
            ("btf__parse_split", ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_void_p]),
            ("btf__type_cnt", ctypes.c_uint32, [ctypes.c_void_p]),
            ("btf__type_by_id", ctypes.POINTER(Type), [ctypes.c_void_p, ctypes.c_uint32]),
            ("btf__name_by_offset", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_uint32]),
            ("btf__find_by_name_kind", ctypes.c_int32,
             [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]),
            ("btf__resolve_size", ctypes.c_int64, [ctypes.c_void_p, ctypes.c_uint32]),
            ("btf_dump__new", ctypes.c_void_p, [ctypes.c_void_p, PRINT] + 2 * [ctypes.c_void_p]),
            ("btf_dump__emit_type_decl", ctypes.c_int,
             [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(DeclOptions)])):
        function = getattr(bpf, name)
        function.restype, function.argtypes = result, arguments
    bpf.libbpf_set_print(None)
    return bpf


class Btf:
    """That of a file; with a base, of a module of the kernel which that is of."""

    def __init__(self, path: str | Path, base: Btf | None = None) -> None:
        self.bpf: ctypes.CDLL = base.bpf if base else library()
        self.base = base
        self.libc = ctypes.CDLL(None)
        self.libc.vsnprintf.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                        ctypes.c_void_p]
        self.handle: int | None
        if base:
            self.handle = self.bpf.btf__parse_split(str(path).encode(), base.handle)
        else:
            self.handle = self.bpf.btf__parse(str(path).encode(), None)
        if not self.handle:
            raise NoBtf(f"no BTF in {path}")
        self.printed: list[str] = []
        self.printer = PRINT(self.print)
        self.dump = self.bpf.btf_dump__new(self.handle, self.printer, None, None)
        self.functions: dict[str, int] | None = None
        self.enums: dict[str, dict[str, int]] | None = None
        self.structures: dict[str, int | None] = {}
        self.layouts: dict[int, list[tuple[str, int, int]]] = {}

    def print(self, _: Any, pattern: bytes, arguments: Any) -> None:
        text = ctypes.create_string_buffer(1024)
        self.libc.vsnprintf(text, len(text), pattern, arguments)
        self.printed.append(text.value.decode())

    def type(self, number: int) -> Type:
        found: Type = self.bpf.btf__type_by_id(self.handle, number).contents
        return found

    def name(self, offset: int) -> str:
        found: bytes = self.bpf.btf__name_by_offset(self.handle, offset)
        return found.decode()

    def function(self, name: str) -> int | None:
        """Number of the prototype of a function of this very file, None if there is none."""
        if self.functions is None:
            first = self.bpf.btf__type_cnt(self.base.handle) if self.base else 1
            self.functions = {}
            for number in range(first, self.bpf.btf__type_cnt(self.handle)):
                found = self.type(number)
                if found.kind == KIND_FUNC:
                    self.functions[self.name(found.name)] = found.type
        return self.functions.get(name)

    def after(self, number: int, kind: Kind[Follows]) -> ctypes._Pointer[Follows]:
        """What follows a type's head: members, parameters, or an array's numbers."""
        pointer = self.bpf.btf__type_by_id(self.handle, number)
        return ctypes.cast(ctypes.byref(pointer[1]), ctypes.POINTER(kind))

    def structure(self, name: str) -> int | None:
        """Number of a structure, None if there is none of that name."""
        if name not in self.structures:
            number = self.bpf.btf__find_by_name_kind(self.handle, name.encode(), KIND_STRUCT)
            self.structures[name] = number if number > 0 else None
        return self.structures[name]

    def size(self, structure: str) -> int | None:
        number = self.structure(structure)
        return self.type(number).type if number else None

    def size_of(self, number: int) -> int:
        return int(self.bpf.btf__resolve_size(self.handle, number))

    def list_of_members(self, number: int) -> list[tuple[str, int, int]]:
        """[(name, offset in bits, number of its type)] of a structure or union."""
        if number not in self.layouts:
            head = self.type(number)
            first = self.after(number, Member)
            # With bit-fields, the upper byte is a size.
            mask = 0xffffff if head.info >> 31 else 0xffffffff
            self.layouts[number] = [(self.name(first[i].name), first[i].offset & mask,
                                     first[i].type) for i in range(head.info & 0xffff)]
        return self.layouts[number]

    def members(self, structure: str) -> dict[str, tuple[int, int]]:
        """{name: (offset in bytes, number of its type)} of a structure."""
        number = self.structure(structure)
        if number is None:
            raise NoBtf(f"no struct {structure} in BTF")
        return {name: (offset // 8, type_) for name, offset, type_ in self.list_of_members(number)}

    def find(self, number: int, path: str) -> tuple[int, int] | None:
        """(offset in bytes, number of its type) of a member of a structure, by its name or, if
        it is in a member, the names of both with a dot; None if there is none."""
        name, _, rest = path.partition(".")
        for member, bits, type_ in self.list_of_members(number):
            inner = self.through(type_)
            if member == name and not rest:
                return bits // 8, type_
            if member not in ("", name) or \
                    self.type(inner).kind not in (KIND_STRUCT, KIND_UNION):
                continue
            found = self.find(inner, rest if member else path)
            if found:
                return bits // 8 + found[0], found[1]
        return None

    def enumerators(self, enum: str | None = None) -> dict[str, int]:
        """{name: value} of an enum, empty if there is none of that name; or of all enums."""
        if self.enums is None:
            self.enums = {**self.base.all_enums()} if self.base else {}
            self.enums.update(self.own_enums())
        if enum is not None:
            return self.enums.get(enum, {})
        return {name: value for values in self.enums.values() for name, value in values.items()}

    def all_enums(self) -> dict[str, dict[str, int]]:
        self.enumerators()
        return self.enums or {}

    def own_enums(self) -> Iterator[tuple[str, dict[str, int]]]:
        first = self.bpf.btf__type_cnt(self.base.handle) if self.base else 1
        for number in range(first, self.bpf.btf__type_cnt(self.handle)):
            head = self.type(number)
            count = head.info & 0xffff
            if head.kind == KIND_ENUM:
                short = self.after(number, Enumerator)
                values = {self.name(short[i].name): int(short[i].value) for i in range(count)}
            elif head.kind == KIND_ENUM64:
                long = self.after(number, Enumerator64)
                values = {self.name(long[i].name): int(long[i].high) << 32 | int(long[i].low)
                          for i in range(count)}
            else:
                continue
            # One without a name has a number instead.
            yield self.name(head.name) or str(number), values

    def through(self, number: int) -> int:
        """A type without names and qualifiers."""
        while number and self.type(number).kind in KINDS_THROUGH:
            number = self.type(number).type
        return number

    def pointee(self, number: int) -> str | None:
        """Name of the structure that a pointer is to; None if it is to something else."""
        number = self.through(number)
        if not number or self.type(number).kind != KIND_PTR:
            return None
        number = self.through(self.type(number).type)
        if not number or self.type(number).kind not in (KIND_STRUCT, KIND_FWD):
            return None
        return self.name(self.type(number).name) or None

    def parameters(self, prototype: int) -> list[str | None]:
        """Names of the structures that the parameters point to, None for others."""
        first = self.after(prototype, Parameter)
        return [self.pointee(first[i].type) for i in range(self.type(prototype).info & 0xffff)]

    def member_at(self, structure: str, offset: int) -> Reached | None:
        """(path of names, name of the structure that it points to) of what lies at an offset."""
        number = self.structure(structure)
        return self.inside(number, offset, structure) if number else None

    def inside(self, number: int, offset: int, path: str) -> Reached | None:
        number = self.through(number)
        head = self.type(number)
        if head.kind == KIND_ARRAY:
            array = self.after(number, Array)[0]
            size = self.size_of(array.type)
            if size <= 0 or offset >= size * array.count:
                return None
            return self.inside(array.type, offset % size, f"{path}[{offset // size}]")
        if head.kind not in (KIND_STRUCT, KIND_UNION):
            return (f"{path}+{offset}", None) if offset else (path, self.pointee(number))
        for name, bits, type_ in self.list_of_members(number):
            start = bits // 8
            size = self.size_of(type_)
            if start <= offset < start + max(size, 1) and (size or offset == start):
                found = self.inside(type_, offset - start, f"{path}.{name}" if name else path)
                if found:
                    return found
        return None

    def pointed_to(self, number: int) -> int | None:
        found = self.type(number)
        return found.type if found.kind == KIND_PTR else None

    def declaration(self, number: int) -> str:
        """A type in C, without a name."""
        self.printed.clear()
        options = DeclOptions(ctypes.sizeof(DeclOptions), b"", 0, False)
        if self.bpf.btf_dump__emit_type_decl(self.dump, number, ctypes.byref(options)):
            raise NoBtf(f"cannot write type {number} of BTF in C")
        # libbpf writes (void) so, too, and numbers structures of which BTF has several.
        text = re.sub(r"\b(\w+?)___\d+\b", r"\1", "".join(self.printed))
        return text.strip().replace("()", "(void)")


class Kernel:
    """BTF of vmlinux and of its modules, each read when somebody asks for it."""

    def __init__(self, vmlinux: str | Path, path: Callable[[str], Path]) -> None:
        self.path = path
        self.found = {"vmlinux": Btf(vmlinux)}

    def of(self, module: str) -> Btf:
        if module not in self.found:
            self.found[module] = Btf(self.path(module), self.found["vmlinux"])
        return self.found[module]
