# SPDX-License-Identifier: GPL-2.0-only
#
# The report as text for a terminal.

from __future__ import annotations

from typing import Sequence

from vapic.demo import rows
from vapic.demo.figures import Machine, Report
from vapic.demo.verdict import Check

LABEL, COLUMN = 46, 15


def line(label: str, values: Sequence[str]) -> str:
    return label.ljust(LABEL) + "".join(value.rjust(COLUMN) for value in values)


def machine_text(machine: Machine) -> list[str]:
    titles = [mode.mode.title for mode in machine.modes]
    out = [f"{machine.title}: {machine.cpu}, {machine.boot.host_cpus} CPUs, emulated by"
           f" {machine.about.emulator}",
           f"kernel {machine.kernel.split()[2]}",
           "",
           line("", titles),
           line("", ["-" * len(title) for title in titles])]
    for section in rows.sections(machine):
        out.append(f"{section.title}  ({section.note})")
        out += [line("  " * (row.depth + 1) + row.label, row.values) for row in section.rows]
        out.append("")
    return out + ([*rows.notes(machine), ""] if rows.notes(machine) else [])


def text(report: Report, checks: Sequence[Check]) -> str:
    computer = report.about.machine
    out: list[str] = []
    for machine in report.machines:
        out += machine_text(machine)
    out += [
        "Exits, IPIs and doorbells are the emulator's counts; exits per IPI leave out host"
        " interrupts.",
        "Ticks are of the round with the least median. Ticks and seconds are those of an emulated"
        " machine;",
        "on AMD they are longer when this one is busy, on Intel they count instructions: compare"
        " columns,",
        f"not machines. Measured on {computer.cpu}, {computer.cores} cores.",
        "",
    ]
    out += [f"{'ok    ' if check.ok else 'NOT OK'}  {check.what}  ({check.found})"
            for check in checks]
    return "\n".join(out)
