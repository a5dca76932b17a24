# SPDX-License-Identifier: GPL-2.0-only
#
# What a VM pays that is not accelerated because something inhibits it, as QEMU's default
# options do on AMD: figures, text and verdict.
#
# vapic must be no dearer there than stock with avic=1, nor than stock without AVIC, of which
# windows may differ by a tenth.

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from vapic.bench import cost, figures
from vapic.files import read

LABEL, COLUMN = 52, 14
ABOVE_AVIC0 = 1.1
GUEST = {"exits": "exits", "instructions": "instructions of host and guest"}


@dataclass(frozen=True)
class WindowRow:
    title: str
    # Of stock avic=0, stock avic=1 and vapic.
    values: list[float]
    # Of the row that decides; and whether other prices would change it.
    verdict: str | None = None
    sure: bool | None = None

    @property
    def stock(self) -> float:
        return self.values[1]

    @property
    def vapic(self) -> float:
        return self.values[2]

    def recorded(self) -> dict[str, Any]:
        judged = {"verdict": self.verdict, "sure": self.sure}
        return {"title": self.title, **dict(zip(figures.NAMES["amd"], self.values)),
                **{name: value for name, value in judged.items() if value is not None}}


@dataclass(frozen=True)
class GuestRow:
    title: str
    pairs: int
    stock: float
    vapic: float
    # Of pairs: the median, and where it lies.
    ratio: float
    low: float
    high: float
    verdict: str


# What each run of hackbench took, by mode.
Runs = Mapping[str, Sequence[Mapping[str, int]]]


@dataclass(frozen=True)
class Inhibited:
    window: list[WindowRow]
    guest: list[GuestRow]
    runs: Runs

    def recorded(self) -> dict[str, Any]:
        return {"window": [row.recorded() for row in self.window],
                "guest": [dataclasses.asdict(row) for row in self.guest], "runs": self.runs}


def is_dear(plain: float, stock: float, vapic: float) -> bool:
    return vapic > stock or vapic > plain * ABOVE_AVIC0


def window_cycles(measured: Sequence[figures.Measured], scale: float = 1) -> list[float]:
    return [cost.cycles("amd", window.instructions, window.counts or {}, scale)
            for window in measured]


def window_rows(modes: Sequence[figures.Lines]) -> list[WindowRow]:
    """`modes` holds the steps of stock avic=0, stock avic=1 and vapic, in this order.

    What KVM does for a window is the same every time; more than the least is the host's timer.
    Modelled cycles decide. To take and to give back a mutex, or a semaphore, is a locked operation
    each, and to make a request is one."""
    measured = [figures.step_alone(mode, "window", "min") for mode in modes]
    cycles = window_cycles(measured)
    dear = is_dear(*cycles)
    sure = all(is_dear(*window_cycles(measured, scale)) == dear for scale in (0.5, 2))
    verdict = "slower" if dear else "wins" if cycles[2] < cycles[1] else "same"
    instructions = [window.instructions for window in measured]
    locked = [(window.counts or {})["locked"] for window in measured]
    return [WindowRow("instructions", instructions),
            WindowRow("modelled cycles", cycles, verdict, sure),
            WindowRow("locked operations", locked)]


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median and where it lies with 95% confidence, by rank alone."""
    ordered, total = sorted(values), len(values)
    below, ways, tail = 0, 1, 0.0
    while tail + ways / 2 ** total <= 0.025:
        tail += ways / 2 ** total
        ways = ways * (total - below) // (below + 1)
        below += 1
    low = max(below - 1, 0)
    return statistics.median(ordered), ordered[low], ordered[total - 1 - low]


def guest_rows(runs: Runs) -> list[GuestRow]:
    """Of pairs: the n-th run under vapic with the n-th under each stock mode."""
    plain, stock, vapic = runs.values()
    rows = []
    for name, title in GUEST.items():
        for other, label in ((plain, "stock avic=0"), (stock, "stock avic=1")):
            ratio, low, high = median_interval(
                [mine[name] / theirs[name] for mine, theirs in zip(vapic, other)])
            rows.append(GuestRow(
                title=f"{title}, to {label}", pairs=len(vapic),
                stock=statistics.median(run[name] for run in other),
                vapic=statistics.median(run[name] for run in vapic),
                ratio=ratio, low=low, high=high,
                verdict="slower" if low > 1 else "wins" if high < 1 else "same"))
    return rows


def report(raw: str, amd: figures.Machine) -> Inhibited:
    runs = json.loads(read(f"{raw}/amd-guests/runs"))
    return Inhibited(window_rows([lines["steps"] for lines in amd.raw.values()]),
                     guest_rows(runs), runs)


def line(label: str, values: Sequence[str]) -> str:
    return (label.ljust(LABEL) + "".join(value.rjust(COLUMN) for value in values)).rstrip()


def text(found: Inhibited) -> str:
    out = [line("AMD, a VM that is inhibited",
                ["stock avic=0", "stock avic=1", "vapic avic=1", ""]),
           "an interrupt waits for its window, exits, is injected; least"]
    out += [line("  " + row.title, [*(f"{value:,}" for value in row.values),
                                    (row.verdict or "") + (" (?)" if row.sure is False else "")])
            for row in found.window]
    out += [line(f"a default guest's hackbench, {found.guest[0].pairs} pairs",
                 ["stock", "vapic", "ratio", "95%", ""])]
    out += [line("  " + row.title, [f"{row.stock:,.0f}", f"{row.vapic:,.0f}", f"{row.ratio:.3f}",
                                    f"{row.low:.3f}-{row.high:.3f}", row.verdict])
            for row in found.guest]
    return "\n".join(out)


def slower(found: Inhibited) -> list[str]:
    places: list[tuple[str, Sequence[WindowRow | GuestRow]]] = [("window", found.window),
                                                                ("guest", found.guest)]
    return [f"an inhibited VM: {place}: {row.title}: {row.vapic:,.0f},"
            f" stock {row.stock:,.0f}"
            for place, rows in places for row in rows if row.verdict == "slower"]
