# SPDX-License-Identifier: GPL-2.0-only
#
# Reads cyclictest's histograms, and makes a table.

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Mapping, Sequence

SHARES = (0.5, 0.99, 0.999)


@dataclass(frozen=True)
class Histogram:
    """Of all threads together: samples by how many microseconds they were late."""
    counts: Mapping[int, int]
    # Samples that were later than the histogram is wide; they count in no figure.
    beyond: int = 0

    @property
    def samples(self) -> int:
        return sum(self.counts.values())

    def share(self, wanted: float) -> int:
        """So late at most are so many of the samples."""
        seen = 0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= wanted * self.samples:
                return value
        raise ValueError(f"no share of {wanted}")


def read_histogram(text: str) -> Histogram:
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
    return Histogram(counts, beyond)


def together(rounds: Sequence[Histogram]) -> Histogram:
    counts: Counter[int] = Counter()
    for one in rounds:
        counts.update(one.counts)
    return Histogram(counts, sum(one.beyond for one in rounds))


def table(rows: Mapping[str, Sequence[Histogram]]) -> str:
    """A row for all rounds of each. Last come 99 % of each round: how far they lie apart says
    what a difference between rows is worth."""
    width = max(map(len, rows))
    head = f"{'':{width}}  {'least':>7}" + "".join(f"{f'{share:.1%}':>8}" for share in SHARES)
    lines = [f"{head}{'most':>8}{'samples':>10}{'beyond':>8}  99.0% of each round"]
    for title, rounds in rows.items():
        row = together(rounds)
        lines.append(f"{title:{width}}  {min(row.counts):>7}" +
                     "".join(f"{row.share(share):>8}" for share in SHARES) +
                     f"{max(row.counts):>8}{row.samples:>10}{row.beyond:>8}  " +
                     " ".join(str(one.share(0.99)) for one in rounds))
    return "\n".join(lines)
