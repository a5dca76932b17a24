# SPDX-License-Identifier: GPL-2.0-only
#
# What a run of the demo leaves behind, made up: for both machines and all modes, of the form
# that demo/in_host.py records. All that must hold of the figures does.

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from vapic.demo.boots import BOOTS, DemoBoot, vcpus_of
from vapic.files import write
from vapic.run.modes import Mode

SCENARIOS = ("unicast_running", "unicast_blocked", "logical_flat", "logical_cluster", "broadcast",
             "self", "x2apic_unicast_running", "x2apic_unicast_blocked", "x2apic_cluster",
             "x2apic_broadcast", "x2apic_self")
WITHOUT_EXIT = ("unicast_running", "self", "x2apic_unicast_running", "x2apic_cluster",
                "x2apic_self")
RUNS = 200


def ipi_line(mode: Mode, name: str, round_: int) -> dict[str, Any]:
    """A line of ipi_bench."""
    amd = mode.module == "kvm_amd"
    place = SCENARIOS.index(name)
    exits = {} if not mode.ipis_exit and name in WITHOUT_EXIT else \
        {"npf" if amd else "ept_violation": RUNS, "hlt": 2 * place}
    if mode.accelerated and name == "self":
        exits = {}
    ticks = 1000 * (place + 1) + 7 * round_ + (50000 if exits else 0)
    line: dict[str, Any] = {
        "name": name, "ipis": RUNS, "targets": 1 if place in (0, 1, 5) else 3,
        "implementation": "vapic" if mode.vapic else "stock", "accelerated": mode.accelerated,
        "ticks": {"median": ticks, "p99": 3 * ticks, "mean": ticks + 1, "min": ticks // 2,
                  "max": 9 * ticks},
        "counted_by": "emulator",
        "sender": {"by_reason": {**exits, "intr": 3 + round_, "external_interrupt": 0},
                   "incomplete_ipi": {"not_running": place} if amd and place == 1 else {}},
        "doorbells": {"ipi": RUNS if amd and not mode.ipis_exit else 0, "msr": place},
        "notifications": {} if amd else {"taken": RUNS, "sent.other": place},
        "accelerated_ipis": {} if mode.ipis_exit else
        {"physical": RUNS, "targets": RUNS, "refused.mode": 0 if amd else place},
    }
    if name != "self":
        line["receivers"] = {"by_reason": {"hlt": 0 if name in WITHOUT_EXIT else place},
                             "incomplete_ipi": {}}
    return line


def counters(mode: Mode, time: int) -> dict[str, Any]:
    """Of the emulator and vapic at some time of a guest's life."""
    amd = mode.module == "kvm_amd"
    reasons = {"npf": 500, "hlt": 300, "intr": 40, "msr": 1, "avic_incomplete_ipi": 11,
               "avic_noaccel": 4} if amd else \
              {"ept_violation": 500, "hlt": 300, "external_interrupt": 40, "apic_write": 12,
               "apic_access": 2, "eoi_induced": 3, "io_instruction": 1}
    total = {f"exit.{name}": count * time for name, count in reasons.items()}
    total["exit"] = sum(total.values())
    if not mode.ipis_exit:
        total.update({"ipi.physical": 900 * time, "ipi.targets": 950 * time})
    if amd:
        total.update({"incomplete_ipi.not_running": 11 * time, "noaccel.read": 4 * time,
                      "doorbell.ipi": 700 * time, "doorbell.msr": 20 * time})
    else:
        total.update({"apic_write.0x300": 9 * time, "notification.taken": 600 * time,
                      "notification.sent": 700 * time, "notification.sent.other": 5 * time,
                      "ipi.refused.mode": 2 * time})
    sample: dict[str, Any] = {"emulator": {"total": total}}
    if mode.vapic:
        # vapic counts for a VM, the emulator for the machine, which was at this before.
        life = time - 1
        counts = (f"ipi_type=0 ipi_not_running={11 * life} ipi_target=0 ipi_vector=0"
                  f" access_trap={3 * life} access_fault={life}" if amd else
                  f"apic_write={12 * life} apic_access={2 * life} eoi_induced={3 * life}")
        sample["vapic"] = (f"pid=9 vcpu=0 active=1 inhibits=none woken={6 * life} {counts}\n"
                           "pid=9 vcpu=1 active=1 inhibits=none woken=0\nnothing of a vCPU\n")
    return sample


def guest(mode: Mode, cpus: int, boot: DemoBoot) -> dict[str, Any]:
    record: dict[str, Any] = {
        "cpus": cpus, "hackbench": boot.hackbench, "boot_seconds": 2.5, "status": 0,
        "output": "".join(f"Time: 0.{digit}25\n" for digit in range(1, boot.hackbench_runs + 1))}
    for time, name in enumerate(("before", "begin", "end", "after"), start=1):
        sample = counters(mode, time)
        if "vapic" in sample:
            sample["vapic"] += "".join(f"pid=9 vcpu={number} active=1 inhibits=none\n"
                                       for number in range(2, cpus))
        record[name] = sample
    return record


def machine(folder: Path, boot: DemoBoot) -> None:
    for mode in boot.modes:
        place = folder / mode.name
        place.mkdir(parents=True)
        for round_ in range(1, boot.rounds + 1):
            write(place / f"ipi_bench-{round_}",
                  "".join(json.dumps(ipi_line(mode, scenario, round_)) + "\n"
                          for scenario in SCENARIOS))
        for name in boot.guests:
            write(place / f"guest-{name}",
                  json.dumps(guest(mode, vcpus_of(name), boot)))
        if mode.vapic:
            write(place / "version", "1.0\n")
            write(place / "takeover", "op one\nwrap two\n")
    write(folder / "kernel", "Linux amd 6.12.0-test #1 SMP x86_64")
    write(folder / "cpuinfo", "processor\t: 0\nmodel name\t: AMD & Intel <\"both\">\n")
    write(folder / "about.json", json.dumps({"settings": boot.recorded(), "about": {
        "date": "2026-01-02 03:04:05 +0000", "command": "make demo",
        "machine": {"cpu": "A processor <it's one>", "cores": 2},
        "emulator": "QEMU 1.2 & so on", "source": "0123456789ab"}}))


def everything(folder: str | Path) -> None:
    machine(Path(folder) / "amd", replace(BOOTS["amd"], rounds=2, hackbench_runs=2))
    machine(Path(folder) / "intel", BOOTS["intel"])
