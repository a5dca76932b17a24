# SPDX-License-Identifier: GPL-2.0-only
#
# The list of takeovers as text for a terminal, and as Documentation/takeovers.rst.

from __future__ import annotations

from typing import Iterator

from vapic.takeovers import reasons
from vapic.takeovers.listing import REPORT, Bench, List, summary, why


def print_list(listed: List, bench: Bench) -> None:
    if bench.paths:
        print("Figures: stock with acceleration -> vapic, modelled cycles or, where nothing else"
              f" is counted, instructions; {REPORT}")
    else:
        print(f"No figures: there is no {REPORT}, which make bench writes")
    heading = None
    for entry in listed.entries.values():
        if entry.how not in reasons.TAKEN:
            continue
        if listed.headings[entry.key] != heading:
            heading = listed.headings[entry.key]
            print(f"\n{heading}")
        print(f"  {entry.how:8} {entry.module}:{entry.name}  ({reasons.OFTEN[entry.often]})")
        for part in why(entry, listed, bench.figure):
            print(f"             {part}")
    print("\nLeft to stock: " + ", ".join(entry.name for entry in listed.of("stock")))
    print("Reached by nothing any more: " +
          ", ".join(entry.name for entry in listed.of("unreached")))
    print()
    for line in summary(listed):
        print(line)


INTRODUCTION = """\
.. SPDX-License-Identifier: GPL-2.0-only
.. Written by tools/takeovers --write from takeover/reasons; do not edit.

======================
What vapic takes over
======================

Every function, op and variable of KVM that vapic replaces, surrounds or sets, how often it runs, and why. ``make
takeovers`` prints the list with the figures of the last ``make bench``; ``make check`` fails if it differs from the
list (``kvm/takeovers.h``).

*redirect*: a function, at its ftrace site. Its caller pays 8 instructions and one return that the processor mispredicts,
some 20 cycles. *op*: a member of ``kvm_x86_ops`` that ours replaces, reached by a static call at no cost. *wrap*: one
that ours surrounds. *variable*: set while vapic is loaded.
"""  # noqa: E501, the document's lines are as long as those of the others


def paragraph(entry: reasons.Entry, listed: List) -> Iterator[str]:
    yield f"``{entry.name}`` ({entry.module}, {entry.how})"
    words = [reasons.OFTEN[entry.often]] if entry.often else []
    words += why(entry, listed, lambda row, title: "")
    text = f"    {'; '.join(words)}." if words else "   "
    yield f"{text[:4]}{text[4:5].upper()}{text[5:]} {entry.text}".rstrip()


def document(listed: List) -> str:
    out = [INTRODUCTION]
    out += [f"- {line}" for line in summary(listed)]
    heading = None
    for entry in listed.of(*reasons.TAKEN):
        if listed.headings[entry.key] != heading:
            heading = listed.headings[entry.key]
            title = heading[:1].upper() + heading[1:]
            out += ["", title, "=" * len(title), ""]
        out += paragraph(entry, listed)
    for how, title in (("stock", "Left to stock"), ("unreached", "Reached by nothing any more")):
        out += ["", title, "=" * len(title), ""]
        if how == "unreached":
            out += ["``make check`` proves it from the machine code of the modules.", ""]
        for entry in listed.of(how):
            out += [f"``{entry.name}`` ({entry.module})",
                    f"    {entry.text or 'As the others.'}"]
    return "\n".join(out) + "\n"
