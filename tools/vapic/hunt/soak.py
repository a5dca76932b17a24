# SPDX-License-Identifier: GPL-2.0-only
#
# What a long hunt has covered: read from the lines of the hunter, kept in a file, so that the next
# hunt goes on where this one ended.

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from vapic.files import read, write

# ok 17: traffic xapic 5+1 ipi 4001/4001/4001 device 80/80/80; pin 31 kick 22; 815 ms
LINE = re.compile(r"^(ok|not ok) (\d+): (\w+) (\w+) \d+\+1([^;]*);([^;]*); (\d+) ms$")
SOURCE = re.compile(r"(\w+) (\d+)/(\d+)/(\d+)")
ACTION = re.compile(r"(\w+) (\d+)")


@dataclass(frozen=True)
class Schedule:
    passed: bool
    seed: int
    kind: str
    mode: str
    # By kind of interrupt: sent, accepted, serviced
    interrupts: dict[str, tuple[int, int, int]]
    actions: dict[str, int]
    milliseconds: int

    @classmethod
    def of(cls, line: str) -> Self | None:
        found = LINE.match(line.rstrip())
        if not found:
            return None
        result, seed, kind, mode, sources, actions, milliseconds = found.groups()
        return cls(result == "ok", int(seed), kind, mode,
                   {name: (int(sent), int(accepted), int(serviced))
                    for name, sent, accepted, serviced in SOURCE.findall(sources)},
                   {name: int(count) for name, count in ACTION.findall(actions)},
                   int(milliseconds))


@dataclass
class Covered:
    """On one machine, since the first hunt."""
    next_seed: int = 1
    schedules: int = 0
    seconds: float = 0
    kinds: Counter[str] = field(default_factory=Counter)
    interrupts: dict[str, list[int]] = field(default_factory=dict)
    actions: Counter[str] = field(default_factory=Counter)
    lost: list[int] = field(default_factory=list)

    def add(self, schedule: Schedule) -> None:
        self.next_seed = schedule.seed + 1
        self.schedules += 1
        self.kinds[f"{schedule.kind} {schedule.mode}"] += 1
        for source, counts in schedule.interrupts.items():
            sums = self.interrupts.setdefault(source, [0, 0, 0])
            for n, count in enumerate(counts):
                sums[n] += count
        self.actions.update(schedule.actions)
        if not schedule.passed:
            self.lost.append(schedule.seed)

    @property
    def serviced(self) -> int:
        return sum(sums[2] for sums in self.interrupts.values())

    def shown(self, machine: str) -> str:
        lines = [f"{machine}: {self.schedules:,} schedules, {self.serviced:,} interrupts serviced, "
                 f"{self.seconds / 3600:.2f} hours of hosts"]
        lines += [f"  {source}: {sent:,} sent, {accepted:,} accepted, {serviced:,} serviced"
                  for source, (sent, accepted, serviced) in self.interrupts.items()]
        lines.append("  guests: " + ", ".join(f"{kind} {count:,}"
                                              for kind, count in sorted(self.kinds.items())))
        lines.append("  actions: " + ", ".join(f"{name} {count:,}" for name, count in
                                               self.actions.most_common()))
        if self.lost:
            lines.append(f"  FAILED: seeds {', '.join(map(str, self.lost))}")
        return "\n".join(lines)

    def recorded(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def of(cls, recorded: dict[str, Any]) -> Self:
        counters = {name: Counter(recorded[name]) for name in ("kinds", "actions")}
        return cls(**{**recorded, **counters})


class State:
    """The file in which hunts go on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        recorded = json.loads(read(path)) if path.exists() else {}
        self.machines = {name: Covered.of(what) for name, what in recorded.items()}

    def on(self, machine: str) -> Covered:
        return self.machines.setdefault(machine, Covered())

    @property
    def schedules(self) -> int:
        return sum(covered.schedules for covered in self.machines.values())

    def keep(self) -> None:
        """Whole, whatever ends this meanwhile."""
        new = self.path.with_suffix(".new")
        write(new, json.dumps({name: what.recorded() for name, what in self.machines.items()},
                              indent=1))
        new.rename(self.path)

    def shown(self) -> str:
        return "\n".join(what.shown(name) for name, what in sorted(self.machines.items()))
