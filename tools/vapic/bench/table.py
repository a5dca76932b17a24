# SPDX-License-Identifier: GPL-2.0-only
#
# The report as text for a terminal.

from __future__ import annotations

import itertools
from typing import Sequence

from vapic.bench.figures import Hackbench, Machine, Report, Row

LABEL, COLUMN, NARROW = 42, 14, 10
COLUMNS = {
    "amd": ["stock avic=0", "stock avic=1", "vapic avic=1", "vapic/stock", ""],
    "intel": ["", "stock ipiv=1", "vapic ipiv=1", "vapic/stock", ""],
}
# Modelled; after them what was counted, where it differs.
CYCLES = ["stock", "vapic", "ratio"]
HEADINGS = {
    "step": "single steps of KVM",
    "apic": "what KVM asks of an APIC and does with its state, least",
    "stock": "the same, left to stock: no verdict on what is one code",
    "wake": "single steps of KVM that wake a thread",
    "less": "the same less the wake-up of a thread",
    "pair": "single steps of KVM between two CPUs",
    "operation": "whole operations that hold them",
}


def line(label: str, values: Sequence[str], cycles: Sequence[str] = ("", "", ""),
         rest: str = "") -> str:
    return (label.ljust(LABEL) + "".join(value.rjust(COLUMN) for value in values)
            + "".join(value.rjust(NARROW) for value in cycles) + "  " + rest).rstrip()


def differences(row: Row) -> list[str]:
    """Of the counts: stock's, and vapic's."""
    counts = row.counts
    if not counts:
        return []
    return [f"{kind} {count} > {counts['vapic'][kind]}" for kind, count in counts["stock"].items()
            if count != counts["vapic"][kind]]


def row_text(row: Row, noise: float) -> str:
    """`noise` is that of the heading."""
    rest = differences(row)
    if row.noise != noise:
        rest.insert(0, f"({row.noise:.0%})")
    cycles = row.cycles
    return line(
        "  " + row.title,
        [f"{row.stock_avic0:,}" if row.stock_avic0 is not None else "",
         f"{row.stock:,}", f"{row.vapic:,}", f"{row.ratio:.3f}",
         row.verdict + (" (?)" if row.sure is False else "")],
        [f"{cycles['stock']:,}", f"{cycles['vapic']:,}",
         f"{cycles['vapic'] / cycles['stock']:.3f}"] if cycles else ["", "", ""],
        ", ".join(rest))


def hackbench_text(hackbench: Hackbench) -> str:
    found = hackbench.compared
    return (f"hackbench {hackbench.arguments} in a Linux guest, {found.pairs} pairs: stock"
            f" {found.stock:.4f} s, vapic {found.vapic:.4f} s, difference"
            f" {found.difference:+.4f} s, with 95 % confidence {found.low:+.4f} to"
            f" {found.high:+.4f} s (noise {found.noise:.0%}): {found.verdict}")


def machine_text(name: str, title: str, machine: Machine) -> list[str]:
    out = [f"{title}: kernel {machine.kernel.split()[2]}, emulated by {machine.about.emulator};"
           " time counts instructions", "",
           line("", [""] * 5, ["cycles,", "modelled", ""], "counted: stock > vapic"),
           line(f"instructions (of {machine.samples})", COLUMNS[name], CYCLES)]
    for kind, group in itertools.groupby(machine.rows, lambda row: row.kind):
        rows = list(group)
        out.append(f"{HEADINGS[kind]} (noise {rows[0].noise:.1%})")
        out += [row_text(row, rows[0].noise) for row in rows]
    names = {word: [row.title.strip() for row in machine.rows
                    if row.kind != "operation" and row.verdict == word]
             for word in ("wins", "same", "slower")}
    out += ["", hackbench_text(machine.hackbench), "",
            f"ratios and verdict compare vapic with {COLUMNS[name][1]}; the verdict is by cycles"
            " where there are some, with (?) if it is another with prices half or twice as high"]
    out += [f"vapic {word}: {', '.join(titles)}" for word, titles in
            (("wins", names["wins"]), ("is as fast", names["same"]), ("is slower", names["slower"]))
            if titles]
    return out


def slower(machine: Machine) -> list[str]:
    """A line for each thing in which vapic is."""
    out = [f"{row.title}: {row.vapic} instructions, stock {row.stock}"
           + (f"; {row.cycles['vapic']} cycles, stock {row.cycles['stock']}" if row.cycles else "")
           for row in machine.rows if row.verdict == "slower"]
    if machine.hackbench.compared.verdict == "slower":
        out.append(hackbench_text(machine.hackbench))
    return out


def text(report: Report) -> str:
    return "\n".join([*machine_text("amd", "AMD", report.amd), "",
                      *machine_text("intel", "Intel", report.intel)])
