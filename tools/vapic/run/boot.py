# SPDX-License-Identifier: GPL-2.0-only
#
# What is asked of one boot of an emulated host: settings that the program inside reads, and
# that are kept beside what it records.

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self, Sequence

from vapic.files import read
from vapic.run.modes import Mode


@dataclass(frozen=True)
class Boot:
    # What runs inside, a module of this package.
    PROGRAM: ClassVar[str]
    # Files of the tree that it imports besides.
    LIBRARIES: ClassVar[Sequence[str]] = ()

    machine: str
    # Measured in turn; the host boots with the first one's KVM.
    modes: list[Mode]
    host_cpus: int

    def recorded(self) -> dict[str, Any]:
        return {**vars(self), "modes": [mode.recorded() for mode in self.modes]}

    @classmethod
    def of(cls, recorded: dict[str, Any]) -> Self:
        known = {field.name: recorded[field.name] for field in fields(cls)}
        known["modes"] = [Mode.of(mode) for mode in recorded["modes"]]
        return cls(**known)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        return cls.of(json.loads(read(path)))


@dataclass(frozen=True)
class Computer:
    """The one below the emulated host."""
    cpu: str
    cores: int


@dataclass(frozen=True)
class About:
    """What was measured on what, for a report."""
    date: str
    command: str
    machine: Computer
    emulator: str
    source: str

    @classmethod
    def of(cls, recorded: dict[str, Any]) -> About:
        known: dict[str, Any] = {**recorded, "machine": Computer(**recorded["machine"])}
        return cls(**known)
