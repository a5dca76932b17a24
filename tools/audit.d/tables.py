# SPDX-License-Identifier: GPL-2.0-only
#
# What vapic replaces and calls, read from the tables that C reads (kvm/*.def).

import re
from collections import namedtuple
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
KVM = TOP / "kvm"

# A vendor's module and the data symbol that its ops start from; KVM copies that.
VENDORS = {
    "svm": ("kvm_amd", "svm_x86_ops"),
    "vmx": ("kvm_intel", "vt_x86_ops"),
}


class Unknown(Exception):
    """A table says what this does not know."""


# how: redirect, op, wrap, call or trace. name: of the function or op. ours: what has the
# prototype of our side, as C. optional: within an #if, so some kernels have none.
Entry = namedtuple("Entry", "how module name ours optional")


def entries_of(text):
    """(macro, [arguments], inside an #if) for each use of a VAPIC_ macro."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    # Directives go, but how deep a line is in them is kept.
    depth, lines = 0, []
    for line in text.split("\n"):
        directive = re.match(r"\s*#\s*(\w+)", line)
        if directive:
            depth += {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}.get(directive[1], 0)
            line = ""
        lines.append((line, depth > 0))
    flat = "\n".join(line for line, _ in lines)
    for match in re.finditer(r"^\s*(VAPIC_\w+)\(", flat, flags=re.M):
        inside = lines[flat.count("\n", 0, match.end())][1]
        yield match[1], arguments_from(flat, match.end()), inside


def arguments_from(text, start):
    """The arguments of a macro whose parenthesis ends at start."""
    arguments, current, depth, quoted = [], "", 0, False
    for at in range(start, len(text)):
        char = text[at]
        if char == '"' and text[at - 1] != "\\":
            quoted = not quoted
        if not quoted:
            depth += {"(": 1, ")": -1}.get(char, 0)
            if depth < 0:
                return arguments + [" ".join(current.split())]
            if char == "," and depth == 0:
                arguments.append(" ".join(current.split()))
                current = ""
                continue
        current += char
    raise ValueError("a macro does not end: " + text[start:start + 60])


def op_pointer(op):
    return f"*((struct kvm_x86_ops *)0)->{op}"


def table(name, module):
    """Entries of one table of takeovers; module is whose functions it redirects."""
    how_of = {"VAPIC_REDIRECT": "redirect", "VAPIC_OP": "op", "VAPIC_WRAP": "wrap",
              "VAPIC_CALL": "call"}
    for macro, arguments, optional in entries_of((KVM / name).read_text()):
        if macro not in how_of:
            raise Unknown(f"{name} uses {macro}, which tools/audit.d/tables.py does not know")
        how, what = how_of[macro], arguments[0]
        ours = f"vapic_hook_{what}" if how == "redirect" else op_pointer(what)
        yield Entry(how, module, what, ours, optional)


def imports():
    for macro, arguments, optional in entries_of((KVM / "imports.def").read_text()):
        module = arguments[0]
        if macro == "VAPIC_IMPORT_FUNC":
            yield Entry("call", module, arguments[2], f"vapic_proto_{arguments[2]}", optional)
        elif macro == "VAPIC_IMPORT_TRACE":
            yield Entry("trace", module, f"__traceiter_{arguments[1]}",
                        f"vapic_proto_{arguments[1]}", optional)


def redirects():
    """Functions redirected at their ftrace site, of all modules."""
    found = list(table("lapic_table.def", "kvm"))
    for name, (module, _) in VENDORS.items():
        found += table(f"{name}_table.def", module)
    return [entry for entry in found if entry.how == "redirect"]


def ops(vendor):
    """Ops that are replaced, surrounded or called, of one vendor; each once."""
    module, _ = VENDORS[vendor]
    found = {}
    for entry in [*table(f"{vendor}_table.def", module), *table("lapic_table.def", module),
                  # The gate's, takeover/gate.c
                  Entry("wrap", module, "vm_init", op_pointer("vm_init"), False)]:
        if entry.how != "redirect":
            found.setdefault(entry.name, entry)
    return list(found.values())
