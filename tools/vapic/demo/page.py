# SPDX-License-Identifier: GPL-2.0-only
#
# The report as one HTML file without any reference outside itself: what page.html.j2 shows.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vapic.demo import plots, rows
from vapic.demo.boots import title_of
from vapic.demo.figures import Machine, Report
from vapic.demo.verdict import Check

INTRODUCTIONS = {
    "amd": "Stock KVM without AVIC, stock KVM with AVIC, and vapic over a KVM that was loaded"
           " without AVIC, measured in one boot of an emulated AMD host.",
    "intel": "Stock KVM without APICv, with it but without IPI virtualization, and with both, and"
             " vapic over a KVM that was loaded without APICv, measured in one boot of an emulated"
             " Intel host.",
}


@dataclass(frozen=True)
class Part:
    """What the page shows of one machine. Plots are SVG."""
    machine: Machine
    introduction: str
    version: str  # of vapic
    clock: str  # what a tick is
    series: list[str]  # titles of the modes
    reasons: list[str]  # for exits, of which the plot has a colour each
    exits: Markup
    ticks: Markup
    exits_by_reason: Markup
    seconds: Markup
    sections: list[rows.Section]
    notes: str


def clock(machine: Machine) -> str:
    if rows.is_intel(machine):
        return "A tick is an instruction"
    return "Time of an emulated machine, longer when the one below is busy"


def short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            scaled = value / limit
            return f"{scaled:g}{unit}" if value % limit == 0 else f"{scaled:.1f}{unit}"
    return f"{value:g}"


def shown_reasons(machine: Machine) -> list[str]:
    """As many as there are colours, less one for the rest."""
    return rows.shown_reasons([guest for mode in machine.modes
                               for guest in mode.guests.values()])[:8]


def exits_plot(machine: Machine, series: list[str]) -> Markup:
    groups = [(rows.SCENARIOS[name], [mode.ipis[name].exits_per_ipi if name in mode.ipis else None
                                      for mode in machine.modes])
              for name in rows.scenario_names(machine)]
    return Markup(plots.grouped("Exits per IPI", groups, series, rows.ratio))


def ticks_plot(machine: Machine, series: list[str]) -> Markup:
    groups = [(rows.SCENARIOS[name],
               [(mode.ipis[name].ticks["median"], mode.ipis[name].ticks["p99"])
                if name in mode.ipis else None for mode in machine.modes])
              for name in rows.scenario_names(machine)]
    return Markup(plots.spans("Ticks per IPI", groups, series, short))


def reasons_plot(machine: Machine, shown: list[str], named: list[str]) -> Markup:
    bars = []
    for size in rows.guest_sizes(machine):
        for mode in machine.modes:
            guest = mode.guests.get(size)
            if guest:
                parts = {rows.reason_name(reason): guest.exits_by_reason.get(reason, 0)
                         for reason in shown}
                parts["other"] = rows.other_exits(guest, shown)
                bars.append((f"{title_of(size)}, {mode.mode.title}", parts))
    return Markup(plots.stacked("Exits by reason", bars, named, rows.count))


def seconds_plot(machine: Machine, series: list[str]) -> Markup:
    groups = [(title_of(size), [mode.guests[size].median_seconds if size in mode.guests else None
                                for mode in machine.modes])
              for size in rows.guest_sizes(machine)]
    return Markup(plots.grouped("hackbench seconds", groups, series,
                                lambda value: f"{value:.3f}"))


def part_of(machine: Machine) -> Part:
    series = [mode.mode.title for mode in machine.modes]
    shown = shown_reasons(machine)
    reasons = [*map(rows.reason_name, shown), "other"]
    return Part(
        machine=machine,
        introduction=INTRODUCTIONS[machine.name],
        version=next((mode.version for mode in machine.modes if mode.version), "not loaded"),
        clock=clock(machine),
        series=series,
        reasons=reasons,
        exits=exits_plot(machine, series),
        ticks=ticks_plot(machine, series),
        exits_by_reason=reasons_plot(machine, shown, reasons),
        seconds=seconds_plot(machine, series),
        sections=rows.sections(machine),
        notes=" ".join(rows.notes(machine)),
    )


def html(report: Report, checks: Sequence[Check]) -> str:
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True,
                              keep_trailing_newline=True)
    return environment.get_template("page.html.j2").render(
        about=report.about, checks=checks, parts=[part_of(machine) for machine in report.machines])
