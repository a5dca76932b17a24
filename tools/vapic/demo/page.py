# SPDX-License-Identifier: GPL-2.0-only
#
# The report as one HTML file without any reference outside itself.

from __future__ import annotations

from html import escape
from typing import Sequence

from vapic.demo import plots, rows
from vapic.demo.figures import Machine, Report
from vapic.demo.verdict import Check

STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfb; --ink: #1d1f22; --soft: #62666d; --rule: #dcdee1;
  --s0: #8a9099; --s1: #2f6fde; --s2: #d9621e; --ok: #1c7c3c; --bad: #b3261e;
  --p0: #2f6fde; --p1: #d9621e; --p2: #2b9a78; --p3: #a855c7; --p4: #c9a21d; --p5: #d14a7c;
  --p6: #4fa9c9; --p7: #7d8f3a; --p8: #8a9099; }
@media (prefers-color-scheme: dark) { :root { --paper: #17181b; --ink: #e8e9eb; --soft: #a2a7ae;
  --rule: #35383d; --s0: #7d838c; --s1: #6c9cf5; --s2: #f08a4b; --ok: #63c584; --bad: #f2857c;
  --p0: #6c9cf5; --p1: #f08a4b; --p2: #52bd9b; --p3: #c487e0; --p4: #dcbc4c; --p5: #e57ba3;
  --p6: #78c3df; --p7: #a5b762; --p8: #7d838c; } }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 56rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
/* Of more modes, vapic's is still the last. */
.intel { --s2: var(--p2); --s3: var(--p1); }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.35rem; margin: 3.4rem 0 .3rem; }
h3 { font-size: 1.1rem; margin: 2.4rem 0 .3rem; }
p { margin: .3rem 0 .8rem; } .soft, .legend, dt, caption span { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem; }
dd { margin: 0; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; } text { fill: var(--ink); font-size: 12.5px; }
text.value { fill: var(--soft); font-variant-numeric: tabular-nums; }
.axis { stroke: var(--soft); } .grid { stroke: var(--rule); } .span { stroke-width: 3; opacity: .55; }
.legend { font-size: .88rem; } .legend span { margin-right: 1.2rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; margin: 0 0 1.6rem; }
caption { text-align: left; font-weight: 600; padding-bottom: .2rem; } caption span { font-weight: 400; }
th, td { padding: .15rem .5rem; border-bottom: 1px solid var(--rule); text-align: right;
  font-variant-numeric: tabular-nums; } th:first-child { text-align: left; font-weight: 400; }
thead th { color: var(--soft); } .in { padding-left: 1.7rem; color: var(--soft); }
.scroll { overflow-x: auto; } ul.checks { list-style: none; padding: 0; font-size: .92rem; }
.ok b { color: var(--ok); } .bad b { color: var(--bad); } li span { color: var(--soft); }
"""


def style() -> str:
    colours = []
    for index in range(4):
        colours.append(f".s{index} {{ fill: var(--s{index}); background: var(--s{index}); }}"
                       f" .l{index} {{ stroke: var(--s{index}); }}")
    for index in range(9):
        colours.append(f".p{index} {{ fill: var(--p{index}); background: var(--p{index}); }}")
    return STYLE + "\n".join(colours)


def facts(report: Report) -> str:
    about = report.about
    return listed([
        ("date", about.date),
        ("command", about.command),
        ("source", about.source),
        ("running on", f"{about.machine.cpu}, {about.machine.cores} cores"),
    ])


def machine_facts(machine: Machine) -> str:
    vapic = next((mode.version for mode in machine.modes if mode.version is not None), None)
    return listed([
        ("emulated host", f"{machine.cpu}, {machine.boot.host_cpus} CPUs"),
        ("emulator", machine.about.emulator),
        ("kernel", machine.kernel),
        ("vapic", vapic or "not loaded"),
    ])


def listed(pairs: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
                            for name, value in pairs if value) + "</dl>"


def checked(checks: Sequence[Check]) -> str:
    items = "".join(
        f'<li class="{"ok" if check.ok else "bad"}"><b>{"✓" if check.ok else "✗ does not hold:"}</b>'
        f' {escape(check.what)} <span>({escape(check.found)})</span></li>'
        for check in checks)
    return f'<h2>What had to hold</h2><ul class="checks">{items}</ul>'


def ipi_plots(machine: Machine) -> list[str]:
    names = rows.scenario_names(machine)
    modes = machine.modes
    series = [mode.mode.title for mode in modes]
    exits = [(rows.SCENARIOS[name], [mode.ipis[name].exits_per_ipi if name in mode.ipis
                                     else None for mode in modes]) for name in names]
    ticks = [(rows.SCENARIOS[name], [(mode.ipis[name].ticks["median"], mode.ipis[name].ticks["p99"])
                                     if name in mode.ipis else None for mode in modes])
             for name in names]
    return [
        "<h3>Exits per IPI</h3>",
        '<p class="soft">Sender and receivers together, counted by the emulator; interrupts of the'
        " host are left out.</p>",
        plots.legend(series, "s"),
        plots.grouped("Exits per IPI", exits, series, rows.ratio),
        "<h3>Ticks per IPI</h3>",
        '<p class="soft">From before the send to the last handler: dot at the median, line to the'
        f" 99th percentile, logarithmic; of the round with the least median. {clock(machine)}:"
        " compare modes, not machines.</p>",
        plots.legend(series, "s"),
        plots.spans("Ticks per IPI", ticks, series, short),
    ]


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


def guest_plots(machine: Machine) -> list[str]:
    sizes = rows.guest_sizes(machine)
    bars: list[tuple[str, dict[str, int]]] = []
    seconds: list[tuple[str, list[float | None]]] = []
    guests = [guest for mode in machine.modes for guest in mode.guests.values()]
    # As many reasons as there are colours, less one for the rest.
    shown = rows.shown_reasons(guests)[:8]
    series = [mode.mode.title for mode in machine.modes]
    for size in sizes:
        for mode in machine.modes:
            guest = mode.guests.get(size)
            if guest:
                parts = {rows.reason_name(reason): guest.exits_by_reason.get(reason, 0)
                         for reason in shown}
                parts["other"] = rows.other_exits(guest, shown)
                bars.append((f"{size} vCPUs, {mode.mode.title}", parts))
        seconds.append((f"{size} vCPUs", [mode.guests[size].median_seconds
                                          if size in mode.guests else None
                                          for mode in machine.modes]))
    names = [rows.reason_name(reason) for reason in shown] + ["other"]
    arguments, runs = machine.boot.hackbench, machine.boot.hackbench_runs
    return [
        "<h3>A Linux guest running hackbench: exits by reason</h3>",
        f'<p class="soft">hackbench {escape(arguments)}, {runs} runs, under QEMU with KVM; counted by'
        " the emulator while it ran.</p>",
        plots.legend(names, "p"),
        plots.stacked("Exits by reason", bars, names, rows.count),
        "<h3>A Linux guest running hackbench: seconds</h3>",
        f'<p class="soft">Median of {runs} runs, as hackbench prints it, in time of the emulated'
        " machine.</p>",
        plots.legend(series, "s"),
        plots.grouped("hackbench seconds", seconds, series, lambda value: f"{value:.3f}"),
    ]


def tables(machine: Machine) -> list[str]:
    head = "".join(f"<th>{escape(mode.mode.title)}</th>" for mode in machine.modes)
    out = ["<h3>All figures</h3>"]
    for section in rows.sections(machine):
        body = "".join(
            f'<tr><th{" class=in" if row.depth else ""}>{escape(row.label)}</th>'
            + "".join(f"<td>{escape(value)}</td>" for value in row.values) + "</tr>"
            for row in section.rows)
        out.append(f'<div class="scroll"><table><caption>{escape(section.title)}'
                   f" <span>{escape(section.note)}</span></caption>"
                   f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>")
    if rows.notes(machine):
        out.append(f'<p class="soft">{escape(" ".join(rows.notes(machine)))}</p>')
    return out


INTRODUCTIONS = {
    "amd": "Stock KVM without AVIC, stock KVM with AVIC, and vapic over a KVM that was loaded"
           " without AVIC, measured in one boot of an emulated AMD host.",
    "intel": "Stock KVM without APICv, with it but without IPI virtualization, and with both, and"
             " vapic over a KVM that was loaded without APICv, measured in one boot of an emulated"
             " Intel host.",
}


def machine_part(machine: Machine) -> list[str]:
    return [f'<section class="{machine.name}"><h2>{escape(machine.title)}</h2>',
            f'<p class="soft">{escape(INTRODUCTIONS[machine.name])}</p>', machine_facts(machine),
            *ipi_plots(machine), *guest_plots(machine), *tables(machine), "</section>"]


def html(report: Report, checks: Sequence[Check]) -> str:
    parts = [
        "<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>vapic: IPIs with and without exits</title>",
        f"<style>{style()}</style></head><body>",
        "<h1>IPIs with and without exits</h1>",
        facts(report), checked(checks),
        *(part for machine in report.machines for part in machine_part(machine)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"
