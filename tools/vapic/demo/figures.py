# SPDX-License-Identifier: GPL-2.0-only
#
# Makes the report's figures of what in_host.py recorded. Nothing here judges
# or formats; nothing else computes.
#
# All exits, IPIs and doorbells are the emulator's counts. A window is the
# difference of two readings over all CPUs of the host.
#
# The AMD machine's figures are at the report's top, the Intel one's in its field
# "intel", under the same names. What AMD calls a doorbell is on Intel a notification
# of posted interrupts; what each has that the other lacks is empty or zero there.

from __future__ import annotations

import dataclasses
import json
import os
import re
import statistics
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from vapic.demo.boots import DemoBoot
from vapic.files import read
from vapic.run.boot import About
from vapic.run.modes import Mode

# vapic's counters of exits 401h, and the emulator's name for the same id.
EXIT_IDS = {"ipi_type": "type", "ipi_not_running": "not_running",
            "ipi_target": "target", "ipi_vector": "vector"}
# Exits for an interrupt of the host.
HOST_REASONS = ("intr", "external_interrupt")
# The interrupt command register, as it is named in counters.
ICR = "0x300"


# A count by name.
Counts = dict[str, int]
# What a program recorded, as it came.
Line = Mapping[str, Any]


def group(counts: Counts, prefix: str) -> Counts:
    return {name[len(prefix):]: value for name, value in counts.items()
            if name.startswith(prefix) and value}


def added(*groups: Counts) -> Counts:
    total: Counts = {}
    for counts in groups:
        for name, value in counts.items():
            total[name] = total.get(name, 0) + value
    return total


def per_ipi(counts: Counts, ipis: int) -> dict[str, float]:
    return {name: value / ipis for name, value in counts.items()}


def without_exit(ipis: Counts) -> int:
    """Of the counters ipi.*: a dot is in the names of Intel's details, of which some
    are exits."""
    return sum(value for name, value in ipis.items() if name != "targets" and "." not in name)


def refused(ipis: Counts) -> Counts:
    """IPIs that Intel's IPI virtualization left to KVM, by cause."""
    return group(ipis, "refused.")


# -- IPIs between vCPUs of the small guest -----------------------------------

@dataclass(frozen=True)
class IpiFigures:
    """One scenario in all rounds; sender and receivers together, for one IPI."""
    ipis: int
    rounds: int
    targets: int
    accelerated: bool
    exits_per_ipi: float
    exits_per_ipi_by_reason: dict[str, float]
    incomplete_ipi_per_ipi: dict[str, float]
    host_interrupts_per_ipi: float
    without_exit_per_ipi: float
    refused_per_ipi: dict[str, float]
    doorbells_per_ipi: float
    wakeups_per_ipi: float
    # Of the round that was disturbed least: the median and others by name.
    ticks: Counts
    ticks_of_rounds: list[Counts]


def ipi_figures(rounds: Sequence[Line]) -> IpiFigures:
    if any(line["counted_by"] != "emulator" for line in rounds):
        raise SystemExit("demo: ipi_bench did not find the emulator's counters")
    sides = [line[side] for line in rounds for side in ("sender", "receivers") if side in line]
    ipis = sum(line["ipis"] for line in rounds)
    reasons = added(*(side["by_reason"] for side in sides))
    host = sum(reasons.pop(name, 0) for name in HOST_REASONS)
    doorbells = added(*(line["doorbells"] for line in rounds))
    notifications = added(*(line["notifications"] for line in rounds))
    ipi_counts = added(*(line["accelerated_ipis"] for line in rounds))
    return IpiFigures(
        ipis=ipis,
        rounds=len(rounds),
        targets=rounds[0]["targets"],
        accelerated=all(line["accelerated"] for line in rounds),
        exits_per_ipi=sum(reasons.values()) / ipis,
        exits_per_ipi_by_reason=per_ipi(reasons, ipis),
        incomplete_ipi_per_ipi=per_ipi(added(*(side["incomplete_ipi"] for side in sides)), ipis),
        host_interrupts_per_ipi=host / ipis,
        without_exit_per_ipi=without_exit(ipi_counts) / ipis,
        refused_per_ipi=per_ipi(refused(ipi_counts), ipis),
        # KVM's notifications are seen only where they arrive.
        doorbells_per_ipi=(doorbells.get("ipi", 0) + doorbells.get("msr", 0)
                           + notifications.get("taken", 0)
                           + notifications.get("root", 0)) / ipis,
        wakeups_per_ipi=notifications.get("sent.other", 0) / ipis,
        ticks=min((line["ticks"] for line in rounds), key=lambda ticks: ticks["median"]),
        ticks_of_rounds=[line["ticks"] for line in rounds],
    )


def ipis_of(texts: Sequence[str]) -> dict[str, IpiFigures]:
    scenarios: dict[str, list[Line]] = {}
    for text in texts:
        for line in filter(str.strip, text.splitlines()):
            figures = json.loads(line)
            scenarios.setdefault(figures["name"], []).append(figures)
    return {name: ipi_figures(rounds) for name, rounds in scenarios.items()}


# -- the Linux guest ---------------------------------------------------------

@dataclass(frozen=True)
class Vcpu:
    vcpu: int
    active: bool
    inhibits: str


@dataclass(frozen=True)
class Pair:
    """Of one kind of exits, as the emulator and vapic counted them."""
    emulator: int
    vapic: int


@dataclass(frozen=True)
class VapicFigures:
    """What vapic said of a guest: of each vCPU, and its counters, summed over them."""
    vcpus: list[Vcpu]
    hackbench: Counts
    life: Counts
    exits_in_life: dict[str, Pair]


@dataclass(frozen=True)
class GuestFigures:
    """Of a Linux guest while hackbench ran."""
    hackbench: str
    status: int
    seconds: list[float]
    median_seconds: float | None
    boot_seconds: float
    exits: int
    exits_by_reason: Counts
    incomplete_ipi: Counts
    noaccel: Counts
    apic_write: Counts
    ipis_without_exit: int
    ipis_that_exited: int
    ipis_refused: Counts
    ipi_targets: int
    doorbells: Counts
    notifications: Counts
    vapic: VapicFigures | None

    def recorded(self) -> dict[str, Any]:
        found = dataclasses.asdict(self)
        if self.vapic is None:
            del found["vapic"]
        return found


def emulated(record: Line, first: str, last: str) -> Counts:
    before, after = record[first]["emulator"]["total"], record[last]["emulator"]["total"]
    return {name: value - before.get(name, 0) for name, value in after.items()
            if value != before.get(name, 0)}


def vapic_counts(text: str) -> tuple[Counts, list[Vcpu]]:
    """Counters of /sys/kernel/vapic/vcpus, summed over vCPUs, and what it says of
    acceleration for each."""
    counts: Counts = {}
    vcpus: list[Vcpu] = []
    for line in text.splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        if "vcpu" not in fields:
            continue
        vcpus.append(Vcpu(int(fields["vcpu"]), fields["active"] == "1", fields["inhibits"]))
        counts = added(counts, {name: int(value) for name, value in fields.items()
                                if name not in ("pid", "vcpu", "active", "inhibits")})
    return counts, vcpus


def intel_agreement(counts: Counts, module: Counts) -> dict[str, Pair]:
    hardware = {"apic_write": counts.get("exit.apic_write", 0),
                "apic_access": counts.get("exit.apic_access", 0),
                "eoi_induced": counts.get("exit.eoi_induced", 0)}
    return {kind: Pair(count, module.get(kind, 0)) for kind, count in hardware.items()}


def agreement(record: Line) -> dict[str, Pair]:
    """The APIC's exits by kind in the guest's whole life, as the emulator and vapic count."""
    counts = emulated(record, "before", "after")
    module, _ = vapic_counts(record["after"]["vapic"])
    if "apic_write" in module:
        return intel_agreement(counts, module)
    hardware = group(counts, "incomplete_ipi.")
    kinds = {vapic: Pair(hardware.pop(name, 0), module.get(vapic, 0))
             for vapic, name in EXIT_IDS.items()}
    # What vapic has no counter for must not have happened.
    kinds.update({f"ipi_{name}": Pair(count, 0) for name, count in hardware.items()})
    kinds["access"] = Pair(sum(group(counts, "noaccel.").values()),
                           module.get("access_trap", 0) + module.get("access_fault", 0))
    return kinds


def vapic_figures(record: Line) -> VapicFigures:
    begin, _ = vapic_counts(record["begin"]["vapic"])
    end, vcpus = vapic_counts(record["end"]["vapic"])
    return VapicFigures(
        vcpus=vcpus,
        hackbench={name: value - begin.get(name, 0) for name, value in end.items()},
        life=vapic_counts(record["after"]["vapic"])[0],
        exits_in_life=agreement(record),
    )


def guest_figures(record: Line) -> GuestFigures:
    counts = emulated(record, "begin", "end")
    times = [float(time) for time in re.findall(r"^Time: ([0-9.]+)", record["output"], re.M)]
    ipis = group(counts, "ipi.")
    return GuestFigures(
        hackbench=record["hackbench"],
        status=record["status"],
        seconds=times,
        median_seconds=statistics.median(times) if times else None,
        boot_seconds=record["boot_seconds"],
        exits=counts.get("exit", 0),
        exits_by_reason=group(counts, "exit."),
        incomplete_ipi=group(counts, "incomplete_ipi."),
        noaccel=group(counts, "noaccel."),
        apic_write=group(counts, "apic_write."),
        ipis_without_exit=without_exit(ipis),
        ipis_that_exited=(counts.get("exit.avic_incomplete_ipi", 0)
                          + counts.get(f"apic_write.{ICR}", 0)),
        ipis_refused=refused(ipis),
        ipi_targets=ipis.get("targets", 0),
        doorbells={name: counts.get(f"doorbell.{name}", 0) for name in ("ipi", "msr", "lost")},
        notifications=group(counts, "notification."),
        vapic=vapic_figures(record) if "vapic" in record["after"] else None,
    )


# -- all of it ---------------------------------------------------------------

@dataclass(frozen=True)
class ModeFigures:
    mode: Mode
    # By scenario of ipi_bench, and by the guest's name.
    ipis: dict[str, IpiFigures]
    guests: dict[str, GuestFigures]
    # What vapic said of itself, where it was loaded.
    takeover: list[str] | None
    version: str | None

    def recorded(self) -> dict[str, Any]:
        said = {"takeover": self.takeover, "version": self.version}
        return {**self.mode.recorded(),
                "ipis": {name: dataclasses.asdict(ipis) for name, ipis in self.ipis.items()},
                "guests": {name: guest.recorded() for name, guest in self.guests.items()},
                **{name: value for name, value in said.items() if value is not None}}


@dataclass(frozen=True)
class Machine:
    """What was measured on one."""
    name: str
    title: str
    about: About
    kernel: str
    # The emulated processor.
    cpu: str
    boot: DemoBoot
    modes: list[ModeFigures]

    def recorded(self) -> dict[str, Any]:
        return {
            **dataclasses.asdict(self.about),
            "kernel": self.kernel,
            "host": {"cpu": self.cpu, "cpus": self.boot.host_cpus},
            "hackbench": {"arguments": self.boot.hackbench, "runs": self.boot.hackbench_runs},
            "modes": [mode.recorded() for mode in self.modes],
        }


@dataclass(frozen=True)
class Report:
    # Those that were measured, AMD's before Intel's.
    machines: list[Machine]

    @property
    def about(self) -> About:
        return self.machines[0].about

    def recorded(self) -> dict[str, Any]:
        found = {machine.name: machine.recorded() for machine in self.machines}
        about = dataclasses.asdict(self.about)
        return {"format": 1, **{name: about[name] for name in ("date", "command", "machine",
                                                               "source")},
                **found.pop("amd", {"modes": []}), **found}


def mode_figures(folder: str, mode: Mode, boot: DemoBoot) -> ModeFigures:
    loaded = os.path.exists(f"{folder}/takeover")
    return ModeFigures(
        mode,
        ipis_of([read(f"{folder}/ipi_bench-{number + 1}") for number in range(boot.rounds)]),
        {name: guest_figures(json.loads(read(f"{folder}/guest-{name}")))
         for name in boot.guests},
        read(f"{folder}/takeover").splitlines() if loaded else None,
        read(f"{folder}/version").strip() if loaded else None)


def machine_figures(raw: str, name: str, title: str) -> Machine:
    recorded = json.loads(read(f"{raw}/about.json"))
    boot = DemoBoot.of(recorded["settings"])
    cpu = re.search(r"^model name\s*: (.*)$", read(f"{raw}/cpuinfo"), re.M)
    assert cpu
    return Machine(name, title, About.of(recorded["about"]), read(f"{raw}/kernel").strip(), cpu[1],
                   boot, [mode_figures(f"{raw}/{mode.name}", mode, boot) for mode in boot.modes])


def report(raw: str) -> Report:
    machines = [machine_figures(f"{raw}/{name}", name, title)
                for name, title in (("amd", "AMD"), ("intel", "Intel"))
                if os.path.exists(f"{raw}/{name}/about.json")]
    if not machines:
        raise SystemExit(f"demo: nothing was measured: {raw} is empty")
    return Report(machines)
