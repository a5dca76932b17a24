# SPDX-License-Identifier: GPL-2.0-only
#
# What the figures must show for the demo to succeed. Each check says what must
# hold, whether it does, and what was found.
#
# Nothing is asked of Intel's logical and broadcast IPIs: they exit in any mode.

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from vapic.demo.boots import DEFAULTS, title_of, vcpus_of
from vapic.demo.figures import GuestFigures, Machine, ModeFigures, Report
from vapic.run.modes import MACHINES


@dataclass(frozen=True)
class Check:
    what: str
    ok: bool
    found: str

    def recorded(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def self_ipi_checks(mode: ModeFigures, name: str) -> list[Check]:
    own = mode.ipis.get("self")
    if not own or not mode.mode.accelerated:
        return []
    return [Check(f"{name}: 0.00 exits per self-IPI", own.exits_per_ipi < 0.005,
                  f"{own.exits_per_ipi:.4f}")]


def x2apic_checks(mode: ModeFigures, name: str) -> list[Check]:
    kinds = {"x2apic_unicast_running": "unicast IPI to a running vCPU in x2APIC mode"}
    # Intel virtualizes physical IPIs alone.
    if mode.mode.module == "kvm_amd":
        kinds["x2apic_cluster"] = "IPI to a cluster of running vCPUs in x2APIC mode"
    results = []
    for scenario, what in kinds.items():
        ipis = mode.ipis.get(scenario)
        results.append(Check(f"{name}: 0.00 exits per {what}",
                             ipis is not None and ipis.exits_per_ipi < 0.005,
                             f"{ipis.exits_per_ipi:.4f}" if ipis else "it was not measured"))
    return results


def ipi_checks(mode: ModeFigures, name: str) -> list[Check]:
    running = mode.ipis.get("unicast_running")
    if not running:
        return [Check(f"{name}: unicast to a running vCPU was measured", False, "it was not")]
    exits = running.exits_per_ipi
    results = [Check(f"{name}: APIC accelerated: {'yes' if mode.mode.accelerated else 'no'}",
                     running.accelerated == mode.mode.accelerated,
                     "yes" if running.accelerated else "no")]
    if not mode.mode.ipis_exit:
        results.append(Check(f"{name}: 0.00 exits per unicast IPI to a running vCPU",
                             exits < 0.005, f"{exits:.4f}"))
        results += x2apic_checks(mode, name)
        results.append(Check(f"{name}: these IPIs went through the emulated processor",
                             running.without_exit_per_ipi >= 0.995,
                             f"{running.without_exit_per_ipi:.4f} of each"))
    else:
        results.append(Check(f"{name}: at least 1.00 exits per unicast IPI to a running vCPU",
                             exits >= 1, f"{exits:.4f}"))
    return results + self_ipi_checks(mode, name)


def has_avic_off(mode: ModeFigures, guest: str) -> bool:
    """Stock AVIC is off in a guest whose PIT reinjects."""
    return guest.endswith(DEFAULTS) and mode.mode.vapic is None


def guest_checks(mode: ModeFigures, name: str, title: str, guest: GuestFigures,
                 runs: int) -> list[Check]:
    what = f"{name}: Linux guest, {title_of(title)}"
    results = [Check(f"{what}, finishes hackbench",
                     guest.status == 0 and len(guest.seconds) == runs,
                     f"status {guest.status}, {len(guest.seconds)} of {runs} runs")]
    if not mode.mode.ipis_exit and not has_avic_off(mode, title):
        results.append(Check(f"{what}, sends IPIs without exits",
                             guest.ipis_without_exit > 0, f"{guest.ipis_without_exit}"))
    vapic = guest.vapic
    if not vapic:
        return results
    active = [vcpu for vcpu in vapic.vcpus if vcpu.active]
    results.append(Check(f"{what}: every vCPU is accelerated", len(active) == vcpus_of(title),
                         "; ".join(f"vCPU {vcpu.vcpu}: {vcpu.inhibits}"
                                   for vcpu in vapic.vcpus if not vcpu.active)
                         or f"{len(active)} of {vcpus_of(title)}"))
    # Of those that an exit completes, what hardware leaves to KVM for good reason.
    if mode.mode.module == "kvm_intel":
        expected, left, reason = "mode", guest.ipis_refused, "unless they are physical unicasts"
    else:
        expected, left, reason = ("not_running", guest.incomplete_ipi,
                                  "only for targets that do not run")
    others = {name: count for name, count in left.items() if name != expected}
    results.append(Check(f"{what}: hackbench's IPIs exit {reason}", not others,
                         ", ".join(f"{name}: {count}" for name, count in others.items())
                         or f"{left.get(expected, 0)} such exits"))
    pairs = vapic.exits_in_life
    results.append(Check(f"{what}: emulator and vapic count the same APIC exits from boot to end",
                         all(pair.emulator == pair.vapic for pair in pairs.values()),
                         ", ".join(f"{name} {pair.emulator}/{pair.vapic}"
                                   for name, pair in pairs.items() if pair.emulator or pair.vapic)
                         + f"; woken: {vapic.life.get('woken', 0)}"))
    return results


def machine_checks(machine: Machine) -> list[Check]:
    measured = [mode.mode.name for mode in machine.modes]
    results = [Check(f"{machine.title}, {mode.title}: was measured", False, "it was not")
               for mode in MACHINES[machine.name] if mode.name not in measured]
    for mode in machine.modes:
        name = f"{machine.title}, {mode.mode.title}"
        results += ipi_checks(mode, name)
        for title, guest in mode.guests.items():
            results += guest_checks(mode, name, title, guest, machine.boot.hackbench_runs)
    return results


def checks(report: Report) -> list[Check]:
    return [found for machine in report.machines for found in machine_checks(machine)]
