# SPDX-License-Identifier: GPL-2.0-only
#
# Bar plots as SVG text. Colours are CSS classes that the page defines, so that
# one drawing serves light and dark.

from __future__ import annotations

import math
from html import escape
from typing import Callable, Mapping, Sequence

# Text of a value.
Show = Callable[[float], str]

WIDTH, LABELS, VALUES = 720, 190, 90
BAR, GAP, GROUP_GAP, TOP = 14, 3, 16, 8


def svg(height: float, parts: Sequence[str], title: str) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
            + "".join(parts) + "</svg>")


def words(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">'
            f"{escape(text)}</text>")


def bar(x: float, y: float, width: float, css: str, tip: str) -> str:
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{BAR}"'
            f' class="{css}"><title>{escape(tip)}</title></rect>')


def grouped(title: str, groups: Sequence[tuple[str, Sequence[float | None]]],
            series: Sequence[str], show: Show) -> str:
    """One group of bars per (label, values), a bar per series; a value is a number
    or None. show(value) is its text."""
    largest = max([value for _, values in groups for value in values if value] or [1])
    room = WIDTH - LABELS - VALUES
    y, parts = TOP, []
    for label, values in groups:
        middle = y + (len(values) * (BAR + GAP) - GAP) / 2 + 4
        parts.append(words(LABELS - 10, middle, label, anchor="end"))
        for index, value in enumerate(values):
            if value is None:
                continue
            width = room * value / largest
            parts.append(bar(LABELS, y + index * (BAR + GAP), width, f"s{index}",
                             f"{label}, {series[index]}: {show(value)}"))
            parts.append(words(LABELS + width + 6, y + index * (BAR + GAP) + BAR - 3,
                               show(value), css="value"))
        y += len(values) * (BAR + GAP) + GROUP_GAP
    return svg(y, [f'<line x1="{LABELS}" x2="{LABELS}" y1="0" y2="{y - GROUP_GAP}" class="axis"/>']
               + parts, title)


def spans(title: str, groups: Sequence[tuple[str, Sequence[tuple[float, float] | None]]],
          series: Sequence[str], show: Show) -> str:
    """From median (the dot) to p99 (the end of the line) on a logarithmic axis."""
    points = [point for _, values in groups for value in values if value for point in value]
    low = 10 ** math.floor(math.log10(max(1, min(points))))
    high = 10 ** math.ceil(math.log10(max(points) + 1))

    def x(value: float) -> float:
        share = math.log10(max(value, low) / low) / math.log10(high / low)
        return LABELS + share * (WIDTH - LABELS - 30)

    y, parts = TOP, []
    for label, values in groups:
        middle = y + (len(values) * (BAR + GAP) - GAP) / 2 + 4
        parts.append(words(LABELS - 10, middle, label, anchor="end"))
        for index, value in enumerate(values):
            if not value:
                continue
            row = y + index * (BAR + GAP) + BAR / 2
            tip = f"{label}, {series[index]}: median {show(value[0])}, p99 {show(value[1])}"
            left, right = f"{x(value[0]):.1f}", f"{x(value[1]):.1f}"
            parts.append(f'<g><title>{escape(tip)}</title><line x1="{left}" x2="{right}" y1="{row}"'
                         f' y2="{row}" class="span l{index}"/><circle cx="{left}" cy="{row}" r="5"'
                         f' class="s{index}"/></g>')
        y += len(values) * (BAR + GAP) + GROUP_GAP
    grid = []
    decade = low
    while decade <= high:
        grid.append(f'<line x1="{x(decade):.1f}" x2="{x(decade):.1f}" y1="0" y2="{y - 8}"'
                    ' class="grid"/>')
        grid.append(words(x(decade), y + 8, show(decade), css="value", anchor="middle"))
        decade *= 10
    return svg(y + 16, grid + parts, title)


def stacked(title: str, bars: Sequence[tuple[str, Mapping[str, float]]],
            parts_of: Sequence[str], show: Show) -> str:
    """A bar per (label, {part: value}), cut into parts_of in that order."""
    largest = max([sum(values.values()) for _, values in bars] or [1]) or 1
    room = WIDTH - LABELS - VALUES
    y, drawn = TOP, []
    for label, values in bars:
        drawn.append(words(LABELS - 10, y + 18, label, anchor="end"))
        x: float = LABELS
        for index, part in enumerate(parts_of):
            value = values.get(part, 0)
            width = room * value / largest
            if value:
                tip = escape(f"{label}: {part}: {show(value)}")
                drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{max(width - 1, 0.5):.1f}"'
                             f' height="26" class="p{index}"><title>{tip}</title></rect>')
            x += width
        drawn.append(words(x + 6, y + 18, show(sum(values.values())), css="value"))
        y += 26 + 10
    return svg(y, drawn, title)
