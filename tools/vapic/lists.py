# SPDX-License-Identifier: GPL-2.0-only
#
# What vapic replaces and calls, read from the lists that C reads (kvm/takeovers.h, kvm/imports.h).

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Collection, Iterator

from vapic.files import TOP, read
from vapic.presence import When

# A vendor's module, and the names that the data symbol has in which its ops start; KVM copies that.
VENDORS = {
    "svm": ("kvm_amd", ("svm_x86_ops",)),
    "vmx": ("kvm_intel", ("vt_x86_ops", "vmx_x86_ops")),
}


CONDITIONS = {"VAPIC_IF": True, "VAPIC_UNLESS": False}


class Unknown(Exception):
    """A list says what this does not know."""


@dataclass(frozen=True)
class Entry:
    how: str  # redirect, op, wrap, call, trace or variable
    module: str
    name: str  # of the function, op or variable
    replacement: str | None  # what has the prototype of our side, as C
    optional: bool  # in a list that some kernels have not
    when: When | None = None  # for kernels of which this is so


# Whether a kernel has an entry.
There = Callable[[Entry], bool]


def anywhere(_: Entry) -> bool:
    return True


@dataclass(frozen=True)
class Macro:
    """KIND(ARGUMENT, ...) in a list."""
    kind: str
    arguments: list[str]
    when: When | None = None


@dataclass(frozen=True)
class MacroList:
    """A list of a header: #define NAME(...) and its entries."""
    name: str
    entries: list[Macro]
    conditional: bool  # inside an #if


def lists_of(text: str) -> list[MacroList]:
    """Each list of a header."""
    text = re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\\\n]", " ", match[0]), text, flags=re.S)
    text = text.replace("\\\n", " ")
    # The header's own guard is one.
    depth = -1
    found: list[MacroList] = []
    for line in text.split("\n"):
        directive = re.match(r"\s*#\s*(\w+)", line)
        if directive:
            depth += {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}.get(directive[1], 0)
        head = re.match(r"#define (VAPIC_\w+)\([A-Z, ]+\)", line)
        if head:
            found.append(MacroList(head[1], list(entries_of(line[head.end():])), depth > 0))
    return found


def entries_of(body: str) -> Iterator[Macro]:
    at = 0
    while True:
        match = re.compile(r"\s*(\w+)\(").match(body, at)
        if not match:
            break
        arguments, at = arguments_from(body, match.end())
        if match[1] in CONDITIONS:
            when = When(arguments[0], CONDITIONS[match[1]])
            for entry in entries_of(" ".join(arguments[1:])):
                if entry.when:
                    raise Unknown(f"a condition within that of {when.name}")
                yield Macro(entry.kind, entry.arguments, when)
        else:
            yield Macro(match[1], arguments)
    if body[at:].strip():
        raise Unknown(f"a list has an entry that cannot be read: {body[at:].strip()[:60]}")


def arguments_from(text: str, start: int) -> tuple[list[str], int]:
    """The arguments of a macro whose parenthesis opens before start, and where it ends."""
    arguments: list[str] = []
    current, depth, quoted = "", 0, False
    for at in range(start, len(text)):
        char = text[at]
        if char == '"' and text[at - 1] != "\\":
            quoted = not quoted
        if not quoted:
            depth += {"(": 1, ")": -1}.get(char, 0)
            if depth < 0:
                return arguments + [" ".join(current.split())], at + 1
            if char == "," and depth == 0:
                arguments.append(" ".join(current.split()))
                current = ""
                continue
        current += char
    raise ValueError("a macro does not end: " + text[start:start + 60])


def of_list(header: str, name: str, kinds: Collection[str],
            top: str | Path = TOP) -> list[tuple[Macro, bool]]:
    """Entries of the lists of a header whose names end in name, and whether each is optional."""
    found = [(entry, each.conditional)
             for each in lists_of(read(Path(top) / "kvm" / header))
             if each.name.endswith(name) for entry in each.entries
             # A list of lists says nothing new.
             if not entry.kind.startswith("VAPIC_")]
    for entry, _ in found:
        if entry.kind not in kinds:
            raise Unknown(f"{header} has an entry {entry.kind}, which tools/vapic/lists.py does not"
                          " know")
    return found


def takeovers(name: str, top: str | Path = TOP) -> Iterator[Entry]:
    """Entries of the takeovers of "KVM", "SVM" or "VMX". GATE is a wrap at a step of its own."""
    module = {"KVM": "kvm", "SVM": "kvm_amd", "VMX": "kvm_intel"}[name]
    hows = {"REDIRECT": "redirect", "OP": "op", "WRAP": "wrap", "GATE": "wrap",
            "SWITCH": "variable"}
    for entry, optional in of_list("takeovers.h", f"_{name}_TAKEOVERS", hows, top):
        first, what = entry.arguments[:2]
        if entry.kind == "REDIRECT":
            yield Entry("redirect", first, what, f"vapic_hook_{what}", optional, entry.when)
        elif entry.kind == "SWITCH":
            yield Entry("variable", first, what, None, optional, entry.when)
        else:
            yield Entry(hows[entry.kind], module, what, op_pointer(what), optional, entry.when)


def op_pointer(op: str) -> str:
    return f"*((struct kvm_x86_ops *)0)->{op}"


def imports(top: str | Path = TOP) -> Iterator[Entry]:
    """Functions and tracepoints that vapic finds by name."""
    for entry, optional in of_list("imports.h", "_IMPORTS", ("FUNC", "DATA", "TRACE"), top):
        module = entry.arguments[0]
        if entry.kind == "FUNC":
            name = entry.arguments[2]
            yield Entry("call", module, name, f"vapic_proto_{name}", optional, entry.when)
        elif entry.kind == "TRACE":
            name = entry.arguments[1]
            yield Entry("trace", module, f"__traceiter_{name}", f"vapic_proto_{name}", optional,
                        entry.when)


def redirects() -> list[Entry]:
    """Functions redirected at their ftrace site, of all modules."""
    return [entry for name in ("KVM", "SVM", "VMX") for entry in takeovers(name)
            if entry.how == "redirect"]


def ops(vendor: str, there: There = anywhere) -> list[Entry]:
    """Ops that are replaced, surrounded or called, of one vendor and kernel; each once."""
    module, _ = VENDORS[vendor]
    found: dict[str, Entry] = {}
    for entry in [*takeovers(vendor.upper()), *takeovers("KVM")]:
        if entry.how in ("op", "wrap") and there(entry):
            found.setdefault(entry.name, replace(entry, module=module))
    for call, optional in of_list("imports.h", "_OP_CALLS", ("CALL",)):
        op, = call.arguments
        entry = Entry("call", module, op, op_pointer(op), optional, call.when)
        if there(entry):
            found.setdefault(op, entry)
    return list(found.values())
