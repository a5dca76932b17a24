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

import json
import os
import re
import statistics

# vapic's counters of exits 401h, and the emulator's name for the same id.
EXIT_IDS = {"ipi_type": "type", "ipi_not_running": "not_running",
            "ipi_target": "target", "ipi_vector": "vector"}
# Exits for an interrupt of the host.
HOST_REASONS = ("intr", "external_interrupt")
# The interrupt command register, as it is named in counters.
ICR = "0x300"


def group(counts, prefix):
    return {name[len(prefix):]: value for name, value in counts.items()
            if name.startswith(prefix) and value}


def added(*groups):
    total = {}
    for counts in groups:
        for name, value in counts.items():
            total[name] = total.get(name, 0) + value
    return total


def per_ipi(counts, ipis):
    return {name: value / ipis for name, value in counts.items()}


def without_exit(ipis):
    """Of the counters ipi.*: a dot is in the names of Intel's details, of which some
    are exits."""
    return sum(value for name, value in ipis.items() if name != "targets" and "." not in name)


def refused(ipis):
    """IPIs that Intel's IPI virtualization left to KVM, by cause."""
    return group(ipis, "refused.")


# -- IPIs between vCPUs of the small guest -----------------------------------

def ipi_figures(rounds):
    """One scenario in all rounds; sender and receivers together, for one IPI."""
    if any(line["counted_by"] != "emulator" for line in rounds):
        raise SystemExit("demo: ipi_bench did not find the emulator's counters")
    sides = [line[side] for line in rounds for side in ("sender", "receivers") if side in line]
    ipis = sum(line["ipis"] for line in rounds)
    reasons = added(*(side["by_reason"] for side in sides))
    host = sum(reasons.pop(name, 0) for name in HOST_REASONS)
    doorbells = added(*(line["doorbells"] for line in rounds))
    notifications = added(*(line["notifications"] for line in rounds))
    ipi_counts = added(*(line["accelerated_ipis"] for line in rounds))
    # The round that was disturbed least.
    ticks = min((line["ticks"] for line in rounds), key=lambda ticks: ticks["median"])
    return {
        "ipis": ipis,
        "rounds": len(rounds),
        "targets": rounds[0]["targets"],
        "accelerated": all(line["accelerated"] for line in rounds),
        "exits_per_ipi": sum(reasons.values()) / ipis,
        "exits_per_ipi_by_reason": per_ipi(reasons, ipis),
        "incomplete_ipi_per_ipi": per_ipi(added(*(side["incomplete_ipi"] for side in sides)), ipis),
        "host_interrupts_per_ipi": host / ipis,
        "without_exit_per_ipi": without_exit(ipi_counts) / ipis,
        "refused_per_ipi": per_ipi(refused(ipi_counts), ipis),
        # KVM's notifications are seen only where they arrive.
        "doorbells_per_ipi": (doorbells.get("ipi", 0) + doorbells.get("msr", 0)
                              + notifications.get("taken", 0)
                              + notifications.get("root", 0)) / ipis,
        "wakeups_per_ipi": notifications.get("sent.other", 0) / ipis,
        "ticks": ticks,
        "ticks_of_rounds": [line["ticks"] for line in rounds],
    }


def ipis_of(texts):
    scenarios = {}
    for text in texts:
        for line in filter(str.strip, text.splitlines()):
            figures = json.loads(line)
            scenarios.setdefault(figures["name"], []).append(figures)
    return {name: ipi_figures(rounds) for name, rounds in scenarios.items()}


# -- the Linux guest ---------------------------------------------------------

def emulated(record, first, last):
    before, after = record[first]["emulator"]["total"], record[last]["emulator"]["total"]
    return {name: value - before.get(name, 0) for name, value in after.items()
            if value != before.get(name, 0)}


def vapic_counts(text):
    """Counters of /sys/kernel/vapic/vcpus, summed over vCPUs, and what it says of
    acceleration for each."""
    counts, vcpus = {}, []
    for line in text.splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        if "vcpu" not in fields:
            continue
        vcpus.append({"vcpu": int(fields["vcpu"]), "active": fields["active"] == "1",
                      "inhibits": fields["inhibits"]})
        counts = added(counts, {name: int(value) for name, value in fields.items()
                                if name not in ("pid", "vcpu", "active", "inhibits")})
    return counts, vcpus


def intel_agreement(counts, module):
    hardware = {"apic_write": counts.get("exit.apic_write", 0),
                "apic_access": counts.get("exit.apic_access", 0),
                "eoi_induced": counts.get("exit.eoi_induced", 0)}
    return {kind: {"emulator": count, "vapic": module.get(kind, 0)}
            for kind, count in hardware.items()}


def agreement(record):
    """The APIC's exits by kind in the guest's whole life, as the emulator and vapic count."""
    counts = emulated(record, "before", "after")
    module, _ = vapic_counts(record["after"]["vapic"])
    if "apic_write" in module:
        return intel_agreement(counts, module)
    hardware = group(counts, "incomplete_ipi.")
    kinds = {vapic: {"emulator": hardware.pop(name, 0), "vapic": module.get(vapic, 0)}
             for vapic, name in EXIT_IDS.items()}
    # What vapic has no counter for must not have happened.
    kinds.update({f"ipi_{name}": {"emulator": count, "vapic": 0}
                  for name, count in hardware.items()})
    kinds["access"] = {"emulator": sum(group(counts, "noaccel.").values()),
                       "vapic": module.get("access_trap", 0) + module.get("access_fault", 0)}
    return kinds


def vapic_figures(record):
    begin, _ = vapic_counts(record["begin"]["vapic"])
    end, vcpus = vapic_counts(record["end"]["vapic"])
    return {
        "vcpus": vcpus,
        "hackbench": {name: value - begin.get(name, 0) for name, value in end.items()},
        "life": vapic_counts(record["after"]["vapic"])[0],
        "exits_in_life": agreement(record),
    }


def guest_figures(record):
    counts = emulated(record, "begin", "end")
    times = [float(time) for time in re.findall(r"^Time: ([0-9.]+)", record["output"], re.M)]
    ipis = group(counts, "ipi.")
    figures = {
        "hackbench": record["hackbench"],
        "status": record["status"],
        "seconds": times,
        "median_seconds": statistics.median(times) if times else None,
        "boot_seconds": record["boot_seconds"],
        "exits": counts.get("exit", 0),
        "exits_by_reason": group(counts, "exit."),
        "incomplete_ipi": group(counts, "incomplete_ipi."),
        "noaccel": group(counts, "noaccel."),
        "apic_write": group(counts, "apic_write."),
        "ipis_without_exit": without_exit(ipis),
        "ipis_that_exited": counts.get("exit.avic_incomplete_ipi", 0)
                            + counts.get(f"apic_write.{ICR}", 0),
        "ipis_refused": refused(ipis),
        "ipi_targets": ipis.get("targets", 0),
        "doorbells": {"ipi": counts.get("doorbell.ipi", 0), "msr": counts.get("doorbell.msr", 0),
                      "lost": counts.get("doorbell.lost", 0)},
        "notifications": group(counts, "notification."),
    }
    if "vapic" in record["after"]:
        figures["vapic"] = vapic_figures(record)
    return figures


# -- all of it ---------------------------------------------------------------

def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def mode_figures(folder, mode, settings):
    texts = [read(f"{folder}/ipi_bench-{number + 1}") for number in range(settings["rounds"])]
    figures = {**mode, "ipis": ipis_of(texts), "guests": {}}
    for cpus in settings["guests"]:
        figures["guests"][str(cpus)] = guest_figures(json.loads(read(f"{folder}/guest-{cpus}")))
    if os.path.exists(f"{folder}/takeover"):
        figures["takeover"] = read(f"{folder}/takeover").splitlines()
        figures["version"] = read(f"{folder}/version").strip()
    return figures


def machine_figures(raw):
    """None if this machine was not booted."""
    if not os.path.exists(f"{raw}/about.json"):
        return None
    recorded = json.loads(read(f"{raw}/about.json"))
    settings = recorded["settings"]
    emulated_cpu = re.search(r"^model name\s*: (.*)$", read(f"{raw}/cpuinfo"), re.M).group(1)
    return {
        **recorded["about"],
        "kernel": read(f"{raw}/kernel").strip(),
        "host": {"cpu": emulated_cpu, "cpus": settings["host_cpus"]},
        "hackbench": {"arguments": settings["hackbench"], "runs": settings["hackbench_runs"]},
        "modes": [mode_figures(f"{raw}/{mode['name']}", mode, settings)
                  for mode in settings["modes"]],
    }


def report(raw):
    amd, intel = machine_figures(f"{raw}/amd"), machine_figures(f"{raw}/intel")
    if not amd and not intel:
        raise SystemExit(f"demo: nothing was measured: {raw} is empty")
    common = {name: (amd or intel)[name] for name in ("date", "command", "machine", "source")}
    return {"format": 1, **common, **(amd or {"modes": []}), **({"intel": intel} if intel else {})}


def machines(report):
    """(name, title, figures) of each machine that was measured."""
    found = [("amd", "AMD", report)] if report["modes"] else []
    return found + ([("intel", "Intel", report["intel"])] if "intel" in report else [])
