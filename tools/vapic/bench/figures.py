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
# 20 instructions: what counts there is the median of those of several seeds, and is
# uncertain by more.

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Sequence

from vapic.bench import cost, paired
from vapic.bench.boots import INTEL_PAIR, HackbenchBoot, StepsBoot
from vapic.files import read
from vapic.run.boot import About

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
    "broadcast_64": "exit of an IPI to 64, one of them just woken",
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
INTEL_PAIR_NOISE = 0.03
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

# What is measured of each machine's modes.
NAMES = {"amd": ["stock_avic0", "stock", "vapic"], "intel": ["stock", "vapic"]}


@dataclass(frozen=True)
class Group:
    """Steps of one kind: their titles by name, which of step_bench's figures of the ticks
    counts, and up to what share a difference is noise."""
    kind: str
    titles: dict[str, str]
    figure: str
    noise: float


GROUPS = {
    "amd": [
        Group("step", STEPS, "median", STEP_NOISE),
        Group("wake", WAKE_STEPS, "min", WAKE_NOISE),
        Group("apic", APIC_STEPS, "min", OPERATION_NOISE),
        Group("stock", STOCK_STEPS, "min", OPERATION_NOISE),
    ],
    "intel": [
        Group("step", INTEL_STEPS, "median", STEP_NOISE),
        Group("apic", APIC_STEPS, "min", OPERATION_NOISE),
        Group("stock", STOCK_STEPS, "min", OPERATION_NOISE),
        Group("wake", INTEL_WAKE_STEPS, "median", INTEL_WAKE_NOISE),
        Group("less", INTEL_WAKE_LESS_THREAD, "median", OPERATION_NOISE),
        Group("pair", INTEL_PAIR_STEPS, "median", INTEL_PAIR_NOISE),
    ],
}


def titles(machine: str) -> dict[str, str]:
    """Of all rows of a machine, by name; an operation's is NAME.TIME."""
    found = {name: title for group in GROUPS[machine] for name, title in group.titles.items()}
    return {**found, **{".".join(name): title for name, title in OPERATIONS.items()}}


# What a program printed: a line for each step or operation, by its name.
Lines = Mapping[str, Mapping[str, Any]]


def by_name(path: str) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in read(path).splitlines() if line.strip()]
    return {line["name"]: line for line in lines}


@dataclass(frozen=True)
class Measured:
    """Instructions, and what else was counted, by kind; nothing if there is no telling."""
    instructions: float
    counts: Mapping[str, float] | None = None

    def __sub__(self, other: Measured) -> Measured:
        counts = self.counts
        if counts:
            assert other.counts is not None
            counts = {kind: count - other.counts[kind] for kind, count in counts.items()}
        return Measured(self.instructions - other.instructions, counts)


def combined(how: Callable[[Iterable[float]], float], measured: Sequence[Measured]) -> Measured:
    """Each figure by itself. At least one; counts if each has some."""
    counts = [one.counts for one in measured if one.counts]
    return Measured(
        how(one.instructions for one in measured),
        {kind: how(each[kind] for each in counts) for kind in counts[0]}
        if len(counts) == len(measured) else None)


def counts(costs: Mapping[str, Mapping[str, float]], figure: str) -> dict[str, float]:
    """Where the least of the instructions counts, so does the least of these. Else the median: they
    are few and the same each time, and a mean would hold what interrupts add."""
    counted = "min" if figure == "min" else "median"
    return {kind: values[counted] for kind, values in costs.items()}


def step(mode: Lines, name: str, figure: str) -> Measured:
    return Measured(mode[name]["ticks"][figure], counts(mode[name]["costs"], figure))


def step_alone(mode: Lines, name: str, figure: str) -> Measured:
    """Less what measuring itself takes."""
    return step(mode, name, figure) - step(mode, "nothing", "median")


def operation(mode: Lines, name: str, time: str, figure: str) -> Measured:
    costs = mode[name].get("costs") if time == "ticks" else None
    return Measured(mode[name][time][figure], counts(costs, figure) if costs else None)


@dataclass(frozen=True)
class Row:
    """A path, as each mode went through it, and which is faster."""
    machine: str
    kind: str
    title: str
    noise: float
    # In the order of NAMES.
    measured: Mapping[str, Measured]
    verdict: str
    # Whether other prices would change the verdict; None where they have no part in it.
    sure: bool | None

    @property
    def stock(self) -> float:
        return self.measured["stock"].instructions

    @property
    def vapic(self) -> float:
        return self.measured["vapic"].instructions

    @property
    def stock_avic0(self) -> float | None:
        first = self.measured.get("stock_avic0")
        return first.instructions if first else None

    @property
    def ratio(self) -> float:
        return self.vapic / self.stock

    @property
    def counts(self) -> dict[str, Mapping[str, float]] | None:
        counts = {name: value.counts for name, value in self.measured.items() if value.counts}
        return counts if len(counts) == len(self.measured) else None

    @property
    def cycles(self) -> dict[str, float] | None:
        counts = self.counts
        if counts is None:
            return None
        return {name: cost.cycles(self.machine, value.instructions, counts[name])
                for name, value in self.measured.items()}

    def recorded(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": self.kind, "title": self.title,
            **{name: value.instructions for name, value in self.measured.items()},
            "ratio": self.ratio, "noise": self.noise, "verdict": self.verdict}
        if self.sure is not None:
            found["sure"] = self.sure
        if cycles := self.cycles:
            found.update(counts=self.counts, cycles=cycles,
                         cycles_ratio=cycles["vapic"] / cycles["stock"])
        return found


def judged(machine: str, kind: str, noise: float, stock: Measured,
           vapic: Measured) -> tuple[str, bool | None]:
    if kind == "stock":
        return "stock's", None
    if not stock.counts or not vapic.counts:
        return cost.verdict(stock.instructions, vapic.instructions, noise), None
    return cost.judge(machine, (stock.instructions, stock.counts),
                      (vapic.instructions, vapic.counts), noise)


def row(machine: str, kind: str, title: str, noise: float, measured: Sequence[Measured]) -> Row:
    """`measured` are in the order of NAMES."""
    by_mode = dict(zip(NAMES[machine], measured))
    verdict, sure = judged(machine, kind, noise, by_mode["stock"], by_mode["vapic"])
    return Row(machine, kind, title, noise, by_mode, verdict, sure)


@dataclass(frozen=True)
class Hackbench:
    arguments: str
    compared: paired.Comparison
    # Seconds of each run.
    runs: dict[str, list[float]]

    def recorded(self) -> dict[str, Any]:
        return {"arguments": self.arguments, **dataclasses.asdict(self.compared),
                "runs": self.runs}


@dataclass(frozen=True)
class Machine:
    """What was measured on one."""
    about: About
    kernel: str
    samples: int
    rows: list[Row]
    hackbench: Hackbench
    # Lines of the programs by mode, and what they are of.
    raw: dict[str, dict[str, Lines]]

    def recorded(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self.about), "kernel": self.kernel, "samples": self.samples,
                "paths": [each.recorded() for each in self.rows]}


@dataclass(frozen=True)
class Report:
    amd: Machine
    intel: Machine

    def recorded(self) -> dict[str, Any]:
        """AMD's figures at the top, Intel's in a field."""
        return {
            "format": 1,
            **self.amd.recorded(), "raw": self.amd.raw,
            "hackbench": self.amd.hackbench.recorded(),
            "intel": {**self.intel.recorded(), "hackbench": self.intel.hackbench.recorded(),
                      "raw": self.intel.raw},
            "prices": {machine: {kind: dataclasses.asdict(price)
                                 for kind, price in by_kind.items()}
                       for machine, by_kind in cost.PRICES.items()},
        }


def asked(folder: str) -> tuple[StepsBoot, About]:
    """What was measured in a boot, and on what."""
    recorded = json.loads(read(f"{folder}/about.json"))
    return StepsBoot.of(recorded["settings"]), About.of(recorded["about"])


def hackbench_of(folder: str) -> Hackbench:
    boot = HackbenchBoot.of(json.loads(read(f"{folder}/about.json"))["settings"])
    taken = json.loads(read(f"{folder}/hackbench"))
    return Hackbench(boot.hackbench,
                     paired.compare(taken["stock"], taken["vapic"], HACKBENCH_NOISE), taken)


def intel_machine(raw: str) -> Machine:
    """Of the boots with one CPU and with two."""
    one, about = asked(f"{raw}/intel")
    modes = [mode.name for mode in one.modes]
    alone = [by_name(f"{raw}/intel/{mode}/steps") for mode in modes]
    # By mode, of each seed.
    pair, operations = ([[by_name(f"{raw}/{boot}/{mode}/{program}") for boot in INTEL_PAIR]
                         for mode in modes] for program in ("steps", "operations"))

    def measured(group: Group, name: str) -> list[Measured]:
        if group.kind == "less":
            return [step(mode, name, group.figure) - step(mode, INTEL_THREAD_WAKE, group.figure)
                    for mode in alone]
        if group.kind == "pair":
            # What measuring takes is known from the boot with one CPU.
            return [combined(statistics.median,
                             [step(seed, name, group.figure) for seed in mode])
                    - step(one_cpu, "nothing", "median")
                    for mode, one_cpu in zip(pair, alone)]
        return [step_alone(mode, name, group.figure) for mode in alone]

    rows = [row("intel", group.kind, title, group.noise, measured(group, name))
            for group in GROUPS["intel"] for name, title in group.titles.items()]
    rows += [row("intel", "operation", title, INTEL_PAIR_NOISE,
                 [combined(statistics.median,
                           [operation(seed, name, time, "median") for seed in mode])
                  for mode in operations])
             for (name, time), title in OPERATIONS.items()]
    return Machine(
        about, read(f"{raw}/intel/kernel").strip(), one.samples, rows,
        hackbench_of(f"{raw}/intel-hackbench"),
        {mode: {"steps": alone[index],
                **{f"{boot} {program}": of_modes[index][number]
                   for program, of_modes in (("steps", pair), ("operations", operations))
                   for number, boot in enumerate(INTEL_PAIR)}}
         for index, mode in enumerate(modes)})


def amd_machine(raw: str) -> Machine:
    boot, about = asked(f"{raw}/amd")
    modes = [mode.name for mode in boot.modes]
    steps = [by_name(f"{raw}/amd/{mode}/steps") for mode in modes]
    operations = [by_name(f"{raw}/amd/{mode}/operations") for mode in modes]
    rows = [row("amd", group.kind, title, group.noise,
                [step_alone(mode, name, group.figure) for mode in steps])
            for group in GROUPS["amd"] for name, title in group.titles.items()]
    for (name, time), title in OPERATIONS.items():
        figure, noise = TURNS.get((name, time), ("median", OPERATION_NOISE))
        rows.append(row("amd", "operation", title, noise,
                        [operation(mode, name, time, figure) for mode in operations]))
    return Machine(
        about, read(f"{raw}/amd/kernel").strip(), boot.samples, rows,
        hackbench_of(f"{raw}/amd-hackbench"),
        {mode: {"steps": steps[index], "operations": operations[index]}
         for index, mode in enumerate(modes)})


def report(raw: str) -> Report:
    return Report(amd_machine(raw), intel_machine(raw))
