# SPDX-License-Identifier: GPL-2.0-only
#
# One machine's figures as rows, one column per mode, for the table on the terminal
# and the ones in the page alike.

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Sequence

from vapic.demo.boots import title_of, vcpus_of
from vapic.demo.figures import GuestFigures, IpiFigures, Machine, ModeFigures

SCENARIOS = {
    "unicast_running": "unicast to a running vCPU",
    "unicast_blocked": "unicast to a blocked vCPU",
    "logical_flat": "logical, flat",
    "logical_cluster": "logical, cluster",
    "broadcast": "broadcast to all others",
    "self": "self-IPI",
    "x2apic_unicast_running": "x2APIC: unicast to a running vCPU",
    "x2apic_unicast_blocked": "x2APIC: unicast to a blocked vCPU",
    "x2apic_cluster": "x2APIC: logical, cluster",
    "x2apic_broadcast": "x2APIC: broadcast to all others",
    "x2apic_self": "x2APIC: self-IPI",
}

REASONS = {
    "npf": "nested page fault (APIC page and others)",
    "avic_incomplete_ipi": "IPI not completed (401h)",
    "avic_noaccel": "APIC access not accelerated (402h)",
    "hlt": "HLT",
    "intr": "interrupt of the host",
    "vintr": "window for a virtual interrupt",
    "msr": "MSR access (timer)",
    "ioio": "I/O port",
    "cpuid": "CPUID",
    "vmmcall": "hypercall",
    "pause": "PAUSE loop",
    "ept_violation": "EPT violation (APIC page and others)",
    "ept_misconfig": "access to a device",
    "apic_write": "APIC write left to KVM",
    "apic_access": "APIC access not virtualized",
    "external_interrupt": "interrupt of the host",
    "interrupt_window": "window for a virtual interrupt",
    "preemption_timer": "timer of the guest",
    "msr_read": "MSR read",
    "msr_write": "MSR write (timer)",
    "io_instruction": "I/O port",
    "pause_instruction": "PAUSE loop",
}

NOTES: dict[str, list[str]] = {
    "kvm_amd": [],
    "kvm_intel": [
        "Intel's IPI virtualization is for physical unicasts alone: logical and broadcast IPIs"
        " exit with it",
        "as well, under stock and vapic. Notifications are those that arrive; a wakeup is one for"
        " a blocked vCPU.",
    ],
}

# Reasons below this share of every mode's exits become "other".
SMALL = 0.01


@dataclass(frozen=True)
class Row:
    depth: int
    label: str
    # Text, a column each.
    values: list[str]


@dataclass
class Section:
    title: str
    note: str = ""
    rows: list[Row] = field(default_factory=list)

    def add(self, label: str, values: list[str], depth: int = 0) -> None:
        """A row without any value is left out."""
        if any(value not in ("", "–") for value in values):
            self.rows.append(Row(depth, label, values))


def ratio(value: float) -> str:
    return f"{value:.2f}"


def count(value: float) -> str:
    return f"{value:,}"


def reason_name(reason: str) -> str:
    return REASONS.get(reason, reason)


def notes(machine: Machine) -> list[str]:
    return NOTES[machine.modes[0].mode.module]


def is_intel(machine: Machine) -> bool:
    return machine.modes[0].mode.module == "kvm_intel"


def scenario_names(machine: Machine) -> list[str]:
    return [name for name in SCENARIOS if any(name in mode.ipis for mode in machine.modes)]


def guest_sizes(machine: Machine) -> list[str]:
    return sorted({size for mode in machine.modes for size in mode.guests},
                  key=lambda name: (vcpus_of(name), name))


def ipi_section(machine: Machine, name: str) -> Section:
    columns = [mode.ipis.get(name) for mode in machine.modes]
    first = next(column for column in columns if column)
    targets = f", {first.targets} targets" if first.targets > 1 else ""
    section = Section(f"IPI: {SCENARIOS[name]}",
                      f"{first.ipis} IPIs in {first.rounds}"
                      f" round{'s' if first.rounds > 1 else ''}{targets}")

    def values(function: Callable[[IpiFigures], str]) -> list[str]:
        return [function(column) if column else "–" for column in columns]

    section.add("exits per IPI", values(lambda c: ratio(c.exits_per_ipi)))
    reasons = sorted({reason for column in columns if column
                      for reason in column.exits_per_ipi_by_reason})
    for reason in reasons:
        section.add(reason_name(reason), values(
            lambda c: ratio(c.exits_per_ipi_by_reason[reason])
            if reason in c.exits_per_ipi_by_reason else "–"), depth=1)
    section.add("host interrupts per IPI", values(lambda c: ratio(c.host_interrupts_per_ipi)))
    doorbells = "notifications" if is_intel(machine) else "doorbells"
    section.add(f"{doorbells} per IPI", values(lambda c: ratio(c.doorbells_per_ipi)))
    if any(column and column.wakeups_per_ipi for column in columns):
        section.add("wakeups by the processor per IPI",
                    values(lambda c: ratio(c.wakeups_per_ipi)))
    section.add("ticks, least", values(lambda c: count(c.ticks["min"])))
    section.add("ticks, median", values(lambda c: count(c.ticks["median"])))
    section.add("ticks, p99", values(lambda c: count(c.ticks["p99"])))
    return section


def shown_reasons(guests: Sequence[GuestFigures]) -> list[str]:
    """Reasons that matter in some mode, most frequent first."""
    total: dict[str, int] = {}
    matter = set()
    for guest in guests:
        for reason, number in guest.exits_by_reason.items():
            total[reason] = total.get(reason, 0) + number
            if number >= SMALL * guest.exits:
                matter.add(reason)
    return sorted(matter, key=lambda reason: -total[reason])


def other_exits(guest: GuestFigures, shown: Sequence[str]) -> int:
    return sum(number for reason, number in guest.exits_by_reason.items()
               if reason not in shown)


# A row's text in the column of each guest.
Values = Callable[[Callable[[GuestFigures], str]], list[str]]


def guest_section(machine: Machine, size: str) -> Section:
    columns = [mode.guests.get(size) for mode in machine.modes]
    section = Section(f"Linux guest, {title_of(size)}: hackbench {machine.boot.hackbench}",
                      f"{machine.boot.hackbench_runs} runs; exits and IPIs while they ran")

    def values(function: Callable[[GuestFigures], str]) -> list[str]:
        return [function(column) if column else "–" for column in columns]

    section.add("seconds, median", values(
        lambda c: "not finished" if c.median_seconds is None else f"{c.median_seconds:.3f}"))
    section.add("exits", values(lambda c: count(c.exits)))
    shown = shown_reasons([column for column in columns if column])
    for reason in shown:
        section.add(reason_name(reason), values(
            lambda c: count(c.exits_by_reason.get(reason, 0))), depth=1)
    section.add("other", values(lambda c: count(other_exits(c, shown))), depth=1)
    section.add("IPIs without exit", values(lambda c: count(c.ipis_without_exit)))
    if is_intel(machine):
        add_intel_ipis(section, machine.modes, size)
    else:
        add_amd_ipis(section, [column for column in columns if column], values)
    return section


def add_amd_ipis(section: Section, guests: Sequence[GuestFigures], values: Values) -> None:
    section.add("IPIs that exited", values(lambda c: count(c.ipis_that_exited)))
    for name in sorted({name for guest in guests for name in guest.incomplete_ipi}):
        section.add(name.replace("_", " "), values(
            lambda c: count(c.incomplete_ipi.get(name, 0))), depth=1)
    section.add("vapic: targets found asleep", values(
        lambda c: count(c.vapic.hackbench["woken"]) if c.vapic else "–"))
    section.add("doorbells by IPI", values(lambda c: count(c.doorbells["ipi"])))
    section.add("doorbells by KVM or vapic", values(lambda c: count(c.doorbells["msr"])))


def add_intel_ipis(section: Section, modes: Sequence[ModeFigures], size: str) -> None:
    def values(function: Callable[[GuestFigures], int]) -> list[str]:
        """Without APICv an IPI exits like any access to the APIC page, uncounted."""
        return [count(function(mode.guests[size]))
                if mode.mode.accelerated and size in mode.guests else "–" for mode in modes]

    section.add("IPIs that exited", values(lambda c: c.ipis_that_exited))
    section.add("notifications by IPIs", values(lambda c: c.notifications.get("sent", 0)))
    section.add("wakeups by IPIs", values(lambda c: c.notifications.get("sent.other", 0)))
    section.add("notifications taken without exit",
                values(lambda c: c.notifications.get("taken", 0)))


def sections(machine: Machine) -> list[Section]:
    return ([ipi_section(machine, name) for name in scenario_names(machine)] +
            [guest_section(machine, size) for size in guest_sizes(machine)])
