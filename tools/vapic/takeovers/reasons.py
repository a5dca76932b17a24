# SPDX-License-Identifier: GPL-2.0-only
#
# What is taken over, as the sources say it, and why, as takeover/reasons says it.

import re

from vapic import lists

OFTEN = {
    "entry": "each entry to the guest", "load": "each time a vCPU's thread is switched in or out",
    "block": "each time a vCPU blocks", "poll": "each block, each turn of a poll",
    "interrupt": "each interrupt that software delivers", "exit": "each such exit",
    "window": "each interrupt window", "route": "each change of an interrupt's route",
    "toggle": "each inhibit that comes or goes", "mode": "each switch of the APIC's mode",
    "nested": "exits of nested guests, after a toggle or mode", "wake-up": "each such interrupt",
    "ioctl": "save or restore", "INIT": "INIT, and when a vCPU is made",
    "assignment": "a device assigned", "processor": "a processor comes online",
    "vCPU": "each vCPU", "VM": "each VM", "once": "load of vapic",
}
TAKEN = ("redirect", "op", "wrap", "variable")
LEFT = ("stock", "unreached")
KEYS = ("often", "mends", "cheaper", "by", "text")
# What needs takeovers without being one.
CONSUMERS = {"status"}


class Entry:
    def __init__(self, module, how, name):
        self.module, self.how, self.name = module, how, name
        self.often, self.text = "", ""
        self.mends, self.cheaper, self.by = [], [], []

    @property
    def key(self):
        return self.module, self.how, self.name

    def __str__(self):
        return " ".join(self.key)


class Bad(Exception):
    """The reasons cannot be read."""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def taken(top):
    """(module, how, name) of every takeover."""
    return [(entry.module, entry.how, entry.name)
            for name in ("SVM", "VMX", "KVM") for entry in lists.takeovers(name, top)]


def read_all(path):
    """Entries by key, in the order of the file, and the heading above each."""
    entries, headings, entry, key, heading = {}, {}, None, None, ""
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
            entry, key = Entry(*section.groups()), None
            if entry.how not in TAKEN + LEFT:
                raise Bad(f"{where}: nothing is taken over as '{entry.how}'")
            if entry.key in entries:
                raise Bad(f"{where}: a second time {entry}")
            entries[entry.key], headings[entry.key] = entry, heading
            continue
        field = re.fullmatch(r"(\w+) = (.*)", line)
        if field:
            key, line = field.groups()
        if not entry or key not in KEYS or not (field or line.startswith("\t")):
            raise Bad(f"{where}: cannot be read: {line.strip()}")
        if key in ("often", "text"):
            setattr(entry, key, f"{getattr(entry, key)} {line.strip()}".strip())
        else:
            getattr(entry, key).extend(line.split())
    return entries, headings
