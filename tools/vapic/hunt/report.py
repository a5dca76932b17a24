# SPDX-License-Identifier: GPL-2.0-only
#
# What became of each mutant, read from what tests/host/mutants prints.

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Iterable

# The module as it is, at the beginning and at the end of the list.
CONTROL, CONTROL_AGAIN = "none", "none-again"
# What the hunter says of an interrupt that is lost, comes twice or late, or that nobody sent. All
# else is a fault of the hunter or of the host.
FOUND = re.compile(
    r"is lost|does not fire|\b(the guests do|the traffic does|the schedule does) not come to"
    r"|comes while its target runs|\d+ sent, \d+ accepted, \d+ serviced"
    r"|more than its timer explains"
    r"|until (each vCPU sees that traffic becomes quiet|all guest functions return)"
    r"|guest assertion .*: (an? (IPI|interrupt|level interrupt) came|a periodic timer ticks too)")


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
        control = self.name in (CONTROL, CONTROL_AGAIN)
        return self.how == ("survived" if control else "caught")


def number(word: str) -> int:
    return int(word) if word.isdecimal() else 0


def read_fate(line: str) -> Fate | None:
    words = line.split(maxsplit=5)
    if len(words) < 2 or words[0] not in ("caught", "survived", "broken"):
        return None
    if words[0] == "broken":
        return Fate(words[1], "broken", what=" ".join(words[2:]))
    seconds, schedules, interrupts = [number(word) for word in [*words[2:5], "", "", ""]][:3]
    return judged(Fate(words[1], words[0], seconds, schedules, interrupts, " ".join(words[5:])))


def judged(fate: Fate) -> Fate:
    """Broken, unless schedules were run, and what it was caught by is what the hunter is for."""
    if not fate.schedules:
        return replace(fate, how="broken", what=f"no schedule was run: {fate.what}".rstrip(": "))
    if fate.how == "caught" and not FOUND.search(fate.what):
        return replace(fate, how="broken",
                       what=f"failed, but lost nothing: {fate.what}".rstrip(": "))
    return fate


def read_fates(lines: Iterable[str], crashed: str = "", ended: str = "") -> list[Fate]:
    """The first word on a mutant counts, but that it does not unload. If the host crashed while
    one was hunted, that one is caught, by what `crashed` says. If it ended for another reason
    (`ended`), as the limit that the whole list shares, that one was not put to the test. Those
    that follow are missing."""
    fates: dict[str, Fate] = {}
    running, hunted = "", False
    for line in lines:
        if line.startswith("mutant "):
            running, hunted = line.split()[1], False
        elif line.startswith("hunting "):
            hunted = True
        fate = read_fate(line)
        if fate and (fate.name not in fates or fate.how == "broken"):
            fates[fate.name] = fate
            running = ""
    if running and crashed:
        fates[running] = Fate(running, "caught" if hunted else "broken", what=crashed)
    elif running and ended:
        fates[running] = Fate(running, "broken", what=ended)
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
