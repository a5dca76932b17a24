# SPDX-License-Identifier: GPL-2.0-only
#
# What became of each mutant, read from what tests/host/mutants prints.

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable

CONTROL = "none"


@dataclass(frozen=True)
class Fate:
    name: str
    # caught, survived, broken
    how: str
    seconds: int = 0
    schedules: int = 0
    interrupts: int = 0
    # By what it was caught, or why it was not put to the test.
    what: str = ""
    # Seconds on the machine that emulates the host; `seconds` are the host's own.
    took: int = 0

    @property
    def right(self) -> bool:
        """A mutant is to be caught; the module as it is, which is the control, is not."""
        return self.how == ("survived" if self.name == CONTROL else "caught")


def number(word: str) -> int:
    return int(word) if word.isdecimal() else 0


def read_fate(line: str) -> Fate | None:
    words = line.split(maxsplit=5)
    if len(words) < 2 or words[0] not in ("caught", "survived", "broken"):
        return None
    if words[0] == "broken":
        return Fate(words[1], "broken", what=" ".join(words[2:]))
    seconds, schedules, interrupts = [number(word) for word in [*words[2:5], "", "", ""]][:3]
    return Fate(words[1], words[0], seconds, schedules, interrupts, " ".join(words[5:]))


def read_fates(lines: Iterable[str], host_died: str = "") -> list[Fate]:
    """The first word on a mutant counts, but that it does not unload. If the host died of one,
    that one is caught, by what host_died says; those that follow are missing."""
    fates: dict[str, Fate] = {}
    running = ""
    for line in lines:
        if line.startswith("mutant "):
            running = line.split()[1]
        fate = read_fate(line)
        if fate and (fate.name not in fates or fate.how == "broken"):
            fates[fate.name] = fate
            running = ""
    if running and host_died:
        fates[running] = Fate(running, "caught", what=host_died)
    return list(fates.values())


def row(fate: Fate) -> list[str]:
    counts = (fate.took, fate.seconds, fate.schedules, fate.interrupts)
    return [fate.name, fate.how if fate.right else fate.how.upper(), *map(str, counts), fate.what]


def table(fates: Iterable[Fate]) -> str:
    rows = [["mutant", "", "seconds", "of host", "schedules", "interrupts", "by"],
            *map(row, fates)]
    widths = [max(len(words[column]) for words in rows) for column in range(6)]
    return "\n".join("  ".join(
        [*(words[column].ljust(widths[column]) for column in (0, 1)),
         *(words[column].rjust(widths[column]) for column in (2, 3, 4, 5)), words[6]]).rstrip()
        for words in rows)
