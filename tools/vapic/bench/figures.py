# SPDX-License-Identifier: GPL-2.0-only
#
# Makes figures of what in_host.py recorded, and says for each path whether
# vapic wins.
#
# Instructions and what else the emulators count make a modelled cost (cost.py), and that is what
# decides; instructions alone, where nothing else was counted: within a guest, and
# where more than one processor's time counts.
#
# A figure is a median of TSC ticks, and a tick is an instruction. Within one
# boot a single step takes the same number every time, so its noise is nothing
# but rounding; an operation that spans processors meets timer ticks. On Intel, with
# two CPUs that run, time advances by what both executed on average, in steps of some
# 20 instructions: the mean is what counts there, and is uncertain by more.

import dataclasses
import json

from vapic.bench import cost, paired

# What a vCPU's APIC is asked, and what becomes of its state; on either vendor's processors.
# KVM allocates and frees on the way, and how long that takes is a matter of luck: the least
# counts, which repeats as exactly as the median of the others.
APIC_STEPS = {
    "has_interrupt": "is an interrupt pending? (none is)",
    "restore": "APIC state restored",
    "restore_linux": "a Linux-like guest's state restored",
    "toggle": "acceleration off + on",
}
# The same of what runs stock's code under vapic as well: a verdict would be one about noise.
# The functions are those that do it; takeover/reasons says why they are left to stock.
STOCK_STEPS = {
    "injectable": "is one for KVM to inject? (none is)",
    "sync_to_vapic": "is the guest's memory to be told? (no)",
    "save": "APIC state saved",
    "save_linux": "a Linux-like guest's state saved",
}
LEFT_TO_STOCK = {
    "kvm_cpu_has_injectable_intr": ["injectable"],
    "kvm_lapic_sync_to_vapic": ["sync_to_vapic"],
    "kvm_apic_get_state": ["save", "save_linux"],
}
STEPS = {
    "load_put": "vCPU load + put",
    "switch": "vCPU's thread switched out + in",
    "block": "blocking + unblocking",
    "deliver_running": "delivery to a running vCPU",
    "deliver_blocked_again": "delivery to a vCPU just woken",
}
# What this takes depends on whether the other processor idles deeply or looks for work.
WAKE_STEPS = {"deliver_blocked": "delivery to a blocked vCPU"}
INTEL_STEPS = {
    "load_put": "vCPU load + put",
    "switch": "vCPU's thread switched out + in",
    "sleep": "the same, blocking + unblocking",
    "sync": "empty sync before an entry",
    "eoi_bitmap": "EOI bitmap load, as before",
    "new_eoi_bitmap": "EOI bitmap load, one word new",
    "wake_none_of_64": "wakeup, none due among 64 blocked vCPUs",
}
# What these take depends on the state of the host's scheduler, and differs by 2% or more from
# boot to boot.
INTEL_WAKE_STEPS = {
    "deliver_blocked": "delivery to a blocked vCPU",
    "wake_one_of_64": "wakeup of one among 64 blocked vCPUs",
}
# With a thread that is awake already KVM does the same nevertheless, and the scheduler, which
# has nothing to do then, takes the same every time: what it takes is known, and goes off.
INTEL_THREAD_WAKE = "wake_thread_again"
INTEL_WAKE_LESS_THREAD = {
    "deliver_blocked_again": "delivery, the thread awake",
    "wake_one_of_64_again": "wakeup of one among 64, the thread awake",
}
# In the boot with two CPUs.
INTEL_PAIR_STEPS = {"deliver_running": "delivery to a running vCPU"}
# Operations and which of path_bench's two times counts.
OPERATIONS = {
    ("vcpu_load_put", "ticks"): "ioctl KVM_GET_REGS",
    ("run_exit", "ticks"): "KVM_RUN to an exit for port I/O",
    ("deliver_running", "ticks"): "ioctl KVM_SIGNAL_MSI, target running",
    ("deliver_running", "end_to_end"): "the same, until its handler begins",
    ("deliver_blocked", "ticks"): "ioctl KVM_SIGNAL_MSI, target blocked",
    ("deliver_blocked", "end_to_end"): "the same, until the woken one's handler",
    ("ipi_blocked_round_trip", "ticks"): "a guest's IPI to a blocked vCPU",
    ("ipi_blocked_round_trip", "end_to_end"): "the same, and one back, both blocking",
}
# Differences up to this share are noise.
STEP_NOISE = 0.005
OPERATION_NOISE = 0.02
INTEL_PAIR_NOISE = 0.05
INTEL_WAKE_NOISE = 0.05
WAKE_NOISE = 0.25
# hackbench prints milliseconds, of some 100 to 200 that it takes.
HACKBENCH_NOISE = 0.02
# On AMD's machine one processor runs at a time. Now and then the turn of the woken one comes
# before the waker is done; then the one's time holds the other's, and the way to the handler is
# shorter by a fifth. Which figure counts for such operations, and its noise.
TURNS = {
    ("deliver_blocked", "ticks"): ("min", 0.05),
    ("deliver_blocked", "end_to_end"): ("median", 0.25),
    ("ipi_blocked_round_trip", "end_to_end"): ("median", 0.25),
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def by_name(path):
    lines = [json.loads(line) for line in read(path).splitlines() if line.strip()]
    return {line["name"]: line for line in lines}


# What is measured of each machine's modes.
NAMES = {"amd": ["stock_avic0", "stock", "vapic"], "intel": ["stock", "vapic"]}


class Measured:
    """Instructions, and what else was counted, by kind; nothing if there is no telling."""

    def __init__(self, instructions, counts=None):
        self.instructions = instructions
        self.counts = counts

    def __sub__(self, other):
        counts = self.counts and {kind: count - other.counts[kind]
                                  for kind, count in self.counts.items()}
        return Measured(self.instructions - other.instructions, counts)


def step(mode, name, figure):
    """Counts are few and the same each time; a mean would hold what interrupts add."""
    counted = "min" if figure == "min" else "median"
    return Measured(mode[name]["ticks"][figure],
                    {kind: values[counted] for kind, values in mode[name]["costs"].items()})


def step_alone(mode, name, figure):
    """Less what measuring itself takes."""
    return step(mode, name, figure) - step(mode, "nothing", "median")


def operation(mode, name, time, figure):
    return Measured(mode[name][time][figure],
                    mode[name].get("costs") if time == "ticks" else None)


def judged(machine, kind, noise, stock, vapic):
    if kind == "stock":
        return {"verdict": "stock's"}
    if not stock.counts or not vapic.counts:
        return {"verdict": cost.verdict(stock.instructions, vapic.instructions, noise)}
    verdict, sure = cost.judge(machine, (stock.instructions, stock.counts),
                               (vapic.instructions, vapic.counts), noise)
    return {"verdict": verdict, "sure": sure}


def path(machine, kind, title, noise, measured):
    """`measured` are in the order of NAMES."""
    by_mode = dict(zip(NAMES[machine], measured))
    instructions = {name: value.instructions for name, value in by_mode.items()}
    found = {"kind": kind, "title": title, **instructions,
             "ratio": instructions["vapic"] / instructions["stock"], "noise": noise,
             **judged(machine, kind, noise, by_mode["stock"], by_mode["vapic"])}
    if not all(value.counts for value in measured):
        return found
    cycles = {name: cost.cycles(machine, value.instructions, value.counts)
              for name, value in by_mode.items()}
    return {**found, "counts": {name: value.counts for name, value in by_mode.items()},
            "cycles": cycles, "cycles_ratio": cycles["vapic"] / cycles["stock"]}


def hackbench_report(raw):
    recorded = json.loads(read(f"{raw}/about.json"))
    taken = json.loads(read(f"{raw}/hackbench"))
    return {"arguments": recorded["settings"]["hackbench"],
            **paired.compare(taken["stock"], taken["vapic"], HACKBENCH_NOISE), "runs": taken}


def intel_report(raw):
    """Of the boots with one CPU and with two."""
    one, two = (json.loads(read(f"{raw}/{boot}/about.json")) for boot in ("intel", "intel-2"))
    modes = [mode["name"] for mode in one["settings"]["modes"]]
    alone = [by_name(f"{raw}/intel/{mode}/steps") for mode in modes]
    pair = [by_name(f"{raw}/intel-2/{mode}/steps") for mode in modes]
    operations = [by_name(f"{raw}/intel-2/{mode}/operations") for mode in modes]
    paths = [path("intel", kind, title, noise, [step_alone(mode, name, figure) for mode in alone])
             for kind, figure, noise, steps in (("step", "median", STEP_NOISE, INTEL_STEPS),
                                                ("apic", "min", OPERATION_NOISE, APIC_STEPS),
                                                ("stock", "min", OPERATION_NOISE, STOCK_STEPS),
                                                ("wake", "median", INTEL_WAKE_NOISE,
                                                 INTEL_WAKE_STEPS))
             for name, title in steps.items()]
    paths += [path("intel", "less", title, OPERATION_NOISE,
                   [step(mode, name, "median") - step(mode, INTEL_THREAD_WAKE, "median")
                    for mode in alone])
              for name, title in INTEL_WAKE_LESS_THREAD.items()]
    # What measuring takes is known from the boot with one CPU.
    paths += [path("intel", "pair", title, INTEL_PAIR_NOISE,
                   [step(mode, name, "mean") - step(one_cpu, "nothing", "median")
                    for mode, one_cpu in zip(pair, alone)])
              for name, title in INTEL_PAIR_STEPS.items()]
    paths += [path("intel", "operation", title, INTEL_PAIR_NOISE,
                   [operation(mode, name, time, "mean") for mode in operations])
              for (name, time), title in OPERATIONS.items()]
    return {
        **one["about"],
        "kernel": read(f"{raw}/intel/kernel").strip(),
        "samples": two["settings"]["samples"],
        "paths": paths,
        "hackbench": hackbench_report(f"{raw}/intel-hackbench"),
        "raw": {mode: {"steps": alone[index], "pair_steps": pair[index],
                       "operations": operations[index]}
                for index, mode in enumerate(modes)},
    }


def report(raw):
    prices = {machine: {kind: dataclasses.asdict(price) for kind, price in by_kind.items()}
              for machine, by_kind in cost.PRICES.items()}
    return {**amd_report(f"{raw}/amd"), "hackbench": hackbench_report(f"{raw}/amd-hackbench"),
            "intel": intel_report(raw), "prices": prices}


def amd_report(raw):
    recorded = json.loads(read(f"{raw}/about.json"))
    modes = [mode["name"] for mode in recorded["settings"]["modes"]]
    steps = [by_name(f"{raw}/{mode}/steps") for mode in modes]
    operations = [by_name(f"{raw}/{mode}/operations") for mode in modes]
    paths = [path("amd", kind, title, noise, [step_alone(mode, name, figure) for mode in steps])
             for kind, figure, noise, names in (("step", "median", STEP_NOISE, STEPS),
                                                ("wake", "min", WAKE_NOISE, WAKE_STEPS),
                                                ("apic", "min", OPERATION_NOISE, APIC_STEPS),
                                                ("stock", "min", OPERATION_NOISE, STOCK_STEPS))
             for name, title in names.items()]
    for (name, time), title in OPERATIONS.items():
        figure, noise = TURNS.get((name, time), ("median", OPERATION_NOISE))
        paths.append(path("amd", "operation", title, noise,
                          [operation(mode, name, time, figure) for mode in operations]))
    return {
        "format": 1,
        **recorded["about"],
        "kernel": read(f"{raw}/kernel").strip(),
        "samples": recorded["settings"]["samples"],
        "paths": paths,
        "raw": {mode: {"steps": steps[index], "operations": operations[index]}
                for index, mode in enumerate(modes)},
    }
