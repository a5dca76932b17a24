# SPDX-License-Identifier: GPL-2.0-only
#
# Reads cyclictest's histograms, and makes a table.

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

SHARES = (0.5, 0.99, 0.999)


@dataclass(frozen=True)
class Latency:
    """Of all threads together, in microseconds."""
    samples: int
    least: int
    # By share of the samples that are at most so late.
    shares: Mapping[float, int]
    most: int
    # Samples that were later than the histogram is wide; they count in no figure.
    beyond: int


def read_histogram(text: str) -> Latency:
    """What `cyclictest -h` prints: a line for each microsecond, with each thread's count, and
    remarks. Raises ValueError if there is none."""
    counts: dict[int, int] = {}
    beyond = 0
    for line in text.splitlines():
        words = line.split()
        if words[:3] == ["#", "Histogram", "Overflows:"]:
            beyond = sum(map(int, words[3:]))
        if words and words[0].isdigit() and all(word.isdigit() for word in words):
            count = sum(map(int, words[1:]))
            if count:
                counts[int(words[0])] = count
    if not counts:
        raise ValueError("no histogram of cyclictest's")
    samples = sum(counts.values())
    found: dict[float, int] = {}
    seen = 0
    for value in sorted(counts):
        seen += counts[value]
        for share in SHARES:
            if share not in found and seen >= share * samples:
                found[share] = value
    return Latency(samples, min(counts), found, max(counts), beyond)


def table(rows: Mapping[str, Latency]) -> str:
    width = max(map(len, rows))
    head = f"{'':{width}}  {'least':>7}" + "".join(f"{f'{share:.1%}':>8}" for share in SHARES)
    lines = [f"{head}{'most':>8}{'samples':>10}{'beyond':>8}"]
    for title, row in rows.items():
        lines.append(f"{title:{width}}  {row.least:>7}" +
                     "".join(f"{row.shares[share]:>8}" for share in SHARES) +
                     f"{row.most:>8}{row.samples:>10}{row.beyond:>8}")
    return "\n".join(lines)
