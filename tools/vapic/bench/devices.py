# SPDX-License-Identifier: GPL-2.0-only
#
# What an interrupt of an assigned device costs, remapped beside posted, under stock KVM and under
# vapic: figures, text and verdict.
#
# Exits are those of the target's processor, the host's own interrupts among them, which a remapped
# interrupt is one of if the host takes it there. Instructions are those of KVM: from VFIO's
# handler, which signals an eventfd, until the interrupt is delivered, or those of the handler of
# the wakeup vector. What is posted to a vCPU that runs takes none: the hardware does it all.
#
# A vCPU that sleeps is on a list, which the handler walks. Stock takes it off when its thread
# switches back in, vapic in the handler. So what the handler takes is shown, and what is compared
# is that with the thread's way to sleep and back.

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Mapping

from vapic.bench import cost, figures
from vapic.bench.boots import BOOTS
from vapic.bench.figures import Lines

LABEL, COLUMN = 52, 12
TITLES = {"amd": "AMD", "intel": "Intel"}
# The boots of each machine. What measuring itself takes is known from the last, what a thread's
# way to sleep takes from Intel's first.
FOLDERS = {"amd": ["amd-devices-iommu", "amd-devices"],
           "intel": ["intel", "intel-devices", "intel-devices-1"]}
# What is measured of each state of the target, remapped and posted.
EXITS = {
    "runs where the host takes the interrupt": ("remapped_running_at_target", "posted_running"),
    "runs elsewhere": ("remapped_running", "posted_running"),
    "sleeps": ("remapped_blocked", "posted_blocked"),
}
STEPS = {
    "runs": ("device_remapped_running", "device_posted_running"),
    "sleeps, its thread just woken": ("device_remapped_blocked", "device_posted_blocked"),
}
# The handler, and the thread switching out, blocking, unblocking and switching back in.
HANDLER, SLEEP = "device_posted_blocked", "sleep"
WITH_SLEEP = "sleeps, with the thread's way to sleep and back"
# It is the hardware that does it.
NOTHING = "device_posted_running"
# On Intel, with two CPUs, time advances in steps of some 20 instructions, by what both execute.
PAIR = ("intel", "device_remapped_running")
# The host's timer ticks are among the exits.
EXTRA_EXITS = 0.1


# What a mode's programs printed, by program.
Modes = Mapping[str, Lines]


@dataclass(frozen=True)
class Delivery:
    """Of one way, by which stock and vapic went."""
    stock: float
    vapic: float
    verdict: str


@dataclass(frozen=True)
class Row:
    """A state of the target; None: not measured, or not possible, in both modes."""
    what: str
    title: str
    remapped: Delivery | None
    posted: Delivery | None


@dataclass(frozen=True)
class Devices:
    rows: dict[str, list[Row]]
    raw: Mapping[str, Mapping[str, Modes]]

    def recorded(self) -> dict[str, Any]:
        return {"rows": {machine: [dataclasses.asdict(row) for row in rows]
                         for machine, rows in self.rows.items()}, "raw": self.raw}


def both(stock: Lines, vapic: Lines, name: str) -> bool:
    return name in stock and name in vapic


def exits(stock: Lines, vapic: Lines, name: str) -> Delivery | None:
    if not both(stock, vapic, name):
        return None
    before, after = (mode[name]["sender"]["exits"] / mode[name]["interrupts"]
                     for mode in (stock, vapic))
    return Delivery(before, after, "slower" if after > before + EXTRA_EXITS else
                    "wins" if after < before - EXTRA_EXITS else "same")


def steps(machine: str, stock: Lines, vapic: Lines, *names: str) -> Delivery | None:
    """Of what all of them take together, less what measuring takes."""
    if not all(both(stock, vapic, name) for name in names):
        return None
    noise = (figures.INTEL_PAIR_NOISE if (machine, *names) == PAIR else
             figures.OPERATION_NOISE)
    before, after = (
        figures.combined(sum, [figures.step_alone(mode, name, "median") for name in names])
        for mode in (stock, vapic))
    verdict, _ = cost.judge(machine, (before.instructions, before.counts or {}),
                            (after.instructions, after.counts or {}), noise)
    return Delivery(before.instructions, after.instructions, verdict)


def rows(machine: str, modes: Mapping[str, Modes]) -> list[Row]:
    """`modes` holds what stock and vapic printed, in this order."""
    stock, vapic = modes.values()
    found = [Row("exits", title, exits(stock["exits"], vapic["exits"], remapped),
                 exits(stock["exits"], vapic["exits"], posted))
             for title, (remapped, posted) in EXITS.items()]
    posts = any(row.posted for row in found)
    for title, (remapped, posted) in STEPS.items():
        of_posted = (steps(machine, stock["steps"], vapic["steps"], posted)
                     if posted != NOTHING else Delivery(0, 0, "same") if posts else None)
        if of_posted and posted == HANDLER:
            of_posted = dataclasses.replace(of_posted, verdict="a part")
        found.append(Row("instructions", title,
                         steps(machine, stock["steps"], vapic["steps"], remapped), of_posted))
    if with_sleep := steps(machine, stock["steps"], vapic["steps"], HANDLER, SLEEP):
        found.append(Row("instructions", WITH_SLEEP, None, with_sleep))
    return found


def printed(raw: str, machine: str, mode: str, program: str) -> Lines:
    """In all boots of the machine; those of a later one count."""
    found: dict[str, Mapping[str, Any]] = {}
    for folder in FOLDERS[machine]:
        path = f"{raw}/{folder}/{mode}/{program}"
        if os.path.exists(path):
            found.update(figures.by_name(path))
    return found


def report(raw: str) -> Devices:
    found = {machine: {mode.name: {program: printed(raw, machine, mode.name, program)
                                   for program in ("exits", "steps")}
                       for mode in BOOTS[folders[0]].modes}
             for machine, folders in FOLDERS.items()}
    return Devices({machine: rows(machine, modes) for machine, modes in found.items()}, found)


def line(label: str, remapped: list[str], posted: list[str]) -> str:
    return (label.ljust(LABEL) + "".join(word.rjust(COLUMN) for word in [*remapped, *posted])
            ).rstrip()


def words(delivery: Delivery | None, what: str) -> list[str]:
    if delivery is None:
        return ["-", "-", ""]
    shown = "{:.2f}" if what == "exits" else "{:,.0f}"
    return [shown.format(delivery.stock), shown.format(delivery.vapic), delivery.verdict]


def text(found: Devices) -> str:
    out = []
    for machine, of_machine in found.rows.items():
        out += ["", line(f"{TITLES[machine]}, an interrupt of a device, remapped and posted",
                         ["stock", "vapic", ""], ["stock", "vapic", ""])]
        what = ""
        for row in of_machine:
            if row.what != what:
                what = row.what
                out.append("exits per interrupt; its vCPU" if what == "exits" else
                           "instructions of KVM per interrupt; its vCPU")
            out.append(line("  " + row.title, words(row.remapped, what), words(row.posted, what)))
    return "\n".join(out[1:])


def slower(found: Devices) -> list[str]:
    return [f"{TITLES[machine]}, a device's interrupt that is {name}: {row.what}, its vCPU"
            f" {row.title}: {delivery.vapic:,.2f}, stock {delivery.stock:,.2f}"
            for machine, of_machine in found.rows.items() for row in of_machine
            for name, delivery in (("remapped", row.remapped), ("posted", row.posted))
            if delivery and delivery.verdict == "slower"]
