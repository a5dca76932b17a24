# SPDX-License-Identifier: GPL-2.0-only
#
# What vapic replaces and calls, read from the lists that C reads (kvm/takeovers.h, kvm/imports.h).

import re
from collections import namedtuple
from pathlib import Path

from vapic.files import TOP

# A vendor's module and the data symbol that its ops start from; KVM copies that.
VENDORS = {
    "svm": ("kvm_amd", "svm_x86_ops"),
    "vmx": ("kvm_intel", "vt_x86_ops"),
}


class Unknown(Exception):
    """A list says what this does not know."""


# how: redirect, op, wrap, call, trace or variable. name: of the function, op or variable. ours:
# what has the prototype of our side, as C. optional: in a list that some kernels have not.
Entry = namedtuple("Entry", "how module name ours optional")


def lists_of(text):
    """[(name of the list, [(kind, [arguments])], inside an #if)] for each list of a header."""
    text = re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\\\n]", " ", match[0]), text, flags=re.S)
    text = text.replace("\\\n", " ")
    # The header's own guard is one.
    depth, found = -1, []
    for line in text.split("\n"):
        directive = re.match(r"\s*#\s*(\w+)", line)
        if directive:
            depth += {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}.get(directive[1], 0)
        head = re.match(r"#define (VAPIC_\w+)\([A-Z, ]+\)", line)
        if head:
            found.append((head[1], list(entries_of(line[head.end():])), depth > 0))
    return found


def entries_of(body):
    at = 0
    while True:
        match = re.compile(r"\s*(\w+)\(").match(body, at)
        if not match:
            break
        arguments, at = arguments_from(body, match.end())
        yield match[1], arguments
    if body[at:].strip():
        raise Unknown(f"a list has an entry that cannot be read: {body[at:].strip()[:60]}")


def arguments_from(text, start):
    """The arguments of a macro whose parenthesis opens before start, and where it ends."""
    arguments, current, depth, quoted = [], "", 0, False
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


def of_list(header, name, kinds, top=TOP):
    """[(kind, arguments, optional)] of the lists of a header whose names end in name."""
    found = [(kind, arguments, optional)
             for each, entries, optional in lists_of((Path(top) / "kvm" / header).read_text())
             if each.endswith(name) for kind, arguments in entries
             # A list of lists says nothing new.
             if not kind.startswith("VAPIC_")]
    for kind, _, _ in found:
        if kind not in kinds:
            raise Unknown(f"{header} has an entry {kind}, which tools/vapic/lists.py does not know")
    return found


def takeovers(name, top=TOP):
    """Entries of the takeovers of "KVM", "SVM" or "VMX". GATE is a wrap at a step of its own."""
    module = {"KVM": "kvm", "SVM": "kvm_amd", "VMX": "kvm_intel"}[name]
    hows = {"REDIRECT": "redirect", "OP": "op", "WRAP": "wrap", "GATE": "wrap",
            "SWITCH": "variable"}
    for kind, (first, what, *_), optional in of_list("takeovers.h", f"VAPIC_{name}_TAKEOVERS",
                                                     hows, top):
        if kind == "REDIRECT":
            yield Entry("redirect", first, what, f"vapic_hook_{what}", optional)
        elif kind == "SWITCH":
            yield Entry("variable", first, what, None, optional)
        else:
            yield Entry(hows[kind], module, what, op_pointer(what), optional)


def op_pointer(op):
    return f"*((struct kvm_x86_ops *)0)->{op}"


def imports(top=TOP):
    """Functions and tracepoints that vapic finds by name."""
    for kind, arguments, optional in of_list("imports.h", "_IMPORTS", ("FUNC", "DATA", "TRACE"),
                                             top):
        module = arguments[0]
        if kind == "FUNC":
            yield Entry("call", module, arguments[2], f"vapic_proto_{arguments[2]}", optional)
        elif kind == "TRACE":
            yield Entry("trace", module, f"__traceiter_{arguments[1]}",
                        f"vapic_proto_{arguments[1]}", optional)


def redirects():
    """Functions redirected at their ftrace site, of all modules."""
    return [entry for name in ("KVM", "SVM", "VMX") for entry in takeovers(name)
            if entry.how == "redirect"]


def ops(vendor):
    """Ops that are replaced, surrounded or called, of one vendor; each once."""
    module, _ = VENDORS[vendor]
    found = {}
    for entry in [*takeovers(vendor.upper()), *takeovers("KVM")]:
        if entry.how in ("op", "wrap"):
            found.setdefault(entry.name, entry._replace(module=module))
    for _, (op,), optional in of_list("imports.h", "_OP_CALLS", ("CALL",)):
        found.setdefault(op, Entry("call", module, op, op_pointer(op), optional))
    return list(found.values())
