# SPDX-License-Identifier: GPL-2.0-only
#
# What is taken over, as the sources say it, and why, as takeover/reasons says it.

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vapic import lists
from vapic.files import read
from vapic.presence import When

OFTEN = {
    "entry": "each entry to the guest", "load": "each time a vCPU's thread is switched in or out",
    "block": "each time a vCPU blocks", "poll": "each block, each turn of a poll",
    "interrupt": "each interrupt that software delivers", "exit": "each such exit",
    "window": "each interrupt window", "route": "each change of an interrupt's route",
    "toggle": "each inhibit that comes or goes", "mode": "each switch of the APIC's mode",
    "nested": "exits of nested guests, after a toggle or mode", "wake-up": "each such interrupt",
    "ioctl": "save or restore", "INIT": "INIT, and when a vCPU is made",
    "assignment": "a device assigned", "processor": "a processor comes online",
    "tick": "each tick of a VM's PIT", "vCPU": "each vCPU", "VM": "each VM",
    "once": "init of vapic",
}
TAKEN = ("redirect", "op", "wrap", "variable")
LEFT = ("stock", "unreached")
KEYS = ("often", "mends", "cheaper", "by", "where", "text")
# What needs takeovers without being one.
CONSUMERS = {"status"}


class Key(NamedTuple):
    """What is taken over, or is not."""
    module: str
    how: str
    name: str

    def __str__(self) -> str:
        return " ".join(self)


@dataclass
class Entry:
    """Of takeover/reasons."""
    key: Key
    often: str = ""
    text: str = ""
    # Tests, rows of the bench, and other takeovers.
    mends: list[str] = field(default_factory=list)
    cheaper: list[str] = field(default_factory=list)
    by: list[str] = field(default_factory=list)
    # Of a function that not every kernel has.
    where: When | None = None

    @property
    def module(self) -> str:
        return self.key.module

    @property
    def how(self) -> str:
        return self.key.how

    @property
    def name(self) -> str:
        return self.key.name

    def __str__(self) -> str:
        return str(self.key)


class Bad(Exception):
    """The reasons cannot be read."""


def taken(top: str | Path, there: lists.There = lists.anywhere) -> list[Key]:
    """Every takeover, each once; of kernels that have it in different modules, the first counts."""
    found: dict[tuple[str, str, str], Key] = {}
    for name in ("SVM", "VMX", "KVM"):
        for entry in filter(there, lists.takeovers(name, top)):
            found.setdefault((name, entry.how, entry.name),
                             Key(entry.module, entry.how, entry.name))
    return list(found.values())


def in_some(top: str | Path) -> set[Key]:
    """Takeovers that are not for every kernel."""
    return {Key(entry.module, entry.how, entry.name) for name in ("SVM", "VMX", "KVM")
            for entry in lists.takeovers(name, top) if entry.when}


def read_all(path: str | Path) -> tuple[dict[Key, Entry], dict[Key, str]]:
    """Entries by key, in the order of the file, and the heading above each."""
    entries: dict[Key, Entry] = {}
    headings: dict[Key, str] = {}
    entry, key, heading = None, "", ""
    for number, line in enumerate(read(path).splitlines(), start=1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        if line.startswith("#"):
            title = re.fullmatch(r"# ---- (.*) ----", line)
            heading = title[1] if title else heading
            continue
        section = re.fullmatch(r"\[(\w+) (\w+) (\w+)\]", line)
        if section:
            entry, key = Entry(Key(*section.groups())), ""
            if entry.how not in TAKEN + LEFT:
                raise Bad(f"{where}: nothing is taken over as '{entry.how}'")
            if entry.key in entries:
                raise Bad(f"{where}: a second time {entry}")
            entries[entry.key], headings[entry.key] = entry, heading
            continue
        begins = re.fullmatch(r"(\w+) = (.*)", line)
        key, value = begins.groups() if begins else (key, line.strip())
        if not entry or key not in KEYS or not (begins or line.startswith("\t")):
            raise Bad(f"{where}: cannot be read: {line.strip()}")
        if key == "where":
            entry.where = When(value.split()[-1], value.split()[0] != "not")
        elif key in ("often", "text"):
            setattr(entry, key, f"{getattr(entry, key)} {value.strip()}".strip())
        else:
            getattr(entry, key).extend(value.split())
    return entries, headings
