# SPDX-License-Identifier: GPL-2.0-only
#
# The list of takeovers with their reasons, and what is wrong with it.

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Iterator

from vapic import lists
from vapic.bench import figures
from vapic.files import read
from vapic.takeovers import reasons
from vapic.takeovers.modules import Stock
from vapic.takeovers.reasons import Entry

REPORT = "build/bench/report.json"
HEADS = {"kvm_amd": ("kvm", "kvm_amd"), "kvm_intel": ("kvm", "kvm_intel")}


def rows() -> dict[str, str]:
    """Titles of the bench's rows by name."""
    return {f"{machine}.{name}": title for machine in figures.GROUPS
            for name, title in figures.titles(machine).items()}


class List:
    """Of the tree at top."""

    def __init__(self, top: str | Path) -> None:
        self.top = Path(top)
        self.entries, self.headings = reasons.read_all(self.top / "takeover/reasons")
        self.taken = reasons.taken(top)
        self.rows = rows()

    def of(self, *hows: str) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.how in hows]

    # What is wrong with it, a line each.

    def faults(self) -> Iterator[str]:
        for key in self.taken:
            if key not in self.entries:
                yield f"{key}: taken over without a reason in takeover/reasons"
        for entry in self.of(*reasons.TAKEN):
            if entry.key not in self.taken:
                yield f"{entry}: a reason in takeover/reasons, but not taken over"
            yield from self.faults_of(entry)
        left = {entry.name for entry in self.of("stock")}
        for name, shown in figures.LEFT_TO_STOCK.items():
            if name not in left:
                yield f"{name}: the bench says that it is left to stock: {', '.join(shown)}"
        for entry in self.of(*reasons.LEFT):
            if any(name == entry.name and how == "redirect" for _, how, name in self.taken):
                yield f"{entry}: taken over all the same"
        yield from self.groundless()

    def faults_of(self, entry: Entry) -> Iterator[str]:
        if entry.often not in reasons.OFTEN:
            yield f"{entry}: how often is '{entry.often}'?"
        for test in entry.mends:
            program, _, name = test.partition(".")
            path = self.top / "selftests" / f"{program}.c"
            if not path.exists() or not re.search(rf"TEST(_F\(guest, |\(){name}\)", read(path)):
                yield f"{entry}: there is no test {test}"
        for row in entry.cheaper:
            if row not in self.rows:
                yield f"{entry}: the bench has no row {row}"
            elif row.partition(".")[2] in figures.STOCK_STEPS:
                yield f"{entry}: in the row {row} the bench runs stock's code"

    def groundless(self) -> Iterator[str]:
        """Who is needed by others alone, none of which earns its place in the end."""
        ground = {entry.name for entry in self.of(*reasons.TAKEN) if entry.mends or entry.cheaper}
        ground |= reasons.CONSUMERS
        while True:
            more = {entry.name for entry in self.of(*reasons.TAKEN) if ground & set(entry.by)}
            if more <= ground:
                break
            ground |= more
        for entry in self.of(*reasons.TAKEN):
            if entry.name not in ground:
                yield f"{entry}: mends nothing, is not cheaper, and nobody in need of it is"
        names = {entry.name for entry in self.of(*reasons.TAKEN)} | reasons.CONSUMERS
        for entry in self.of(*reasons.TAKEN):
            for name in set(entry.by) - names:
                yield f"{entry}: needed by {name}, which is not taken over"

    # What the machine code says.

    def called(self, there: lists.There) -> set[str]:
        """Functions that vapic calls by name."""
        return {entry.name for entry in lists.imports(self.top)
                if entry.how == "call" and there(entry)}

    def stock_ops_called(self) -> set[str]:
        """Ops of which ours calls stock's, wrapped or not."""
        return {op for folder in ("avic", "vmx_apicv", "lapic")
                for path in (self.top / folder).iterdir() if path.suffix in (".c", ".h")
                for op in re.findall(r"vapic_\w+_stock\((\w+)\)", read(path))}

    def unreached_faults(self, stock: Stock) -> Iterator[str]:
        taken = reasons.taken(self.top, stock.there)
        redirected = {(module, name) for module, how, name in taken if how == "redirect"}
        for vendor, names in HEADS.items():
            ops = {name for module, how, name in taken
                   if how == "op" and module == vendor} - self.stock_ops_called()
            dead, callers = stock.unreached(vendor, redirected, ops, self.called(stock.there))
            for entry in self.of("unreached"):
                home = entry.module, entry.name
                if entry.module not in names or home in dead or not stock.has(*home):
                    continue
                # Of kvm's functions, with the module of the vendor that it is about.
                if entry.module == "kvm" and not callers.get(home):
                    continue
                by = sorted(f"{module}:{name or 'data or vapic'}"
                            for module, name in callers.get(home, set()) - dead)
                yield f"{entry}: over {vendor}, reached from {', '.join(by) or 'outside'}"

    def missing(self, stock: Stock) -> Iterator[str]:
        taken = reasons.taken(self.top, stock.there)
        for entry in self.entries.values():
            if entry.how == "redirect" and entry.key in self.taken and entry.key not in taken:
                continue
            if entry.how in ("redirect", "stock", "unreached") and \
                    stock.presence.fits(entry.where) and not stock.has(entry.module, entry.name):
                yield f"{entry}: the module has no such function"

    def all_faults(self, stock: Stock) -> list[str]:
        """With what the machine code of the modules says."""
        found = [*self.faults(), *self.missing(stock)]
        return found or [*self.unreached_faults(stock)]


class Bench:
    """Figures of the last run, by machine and title."""

    def __init__(self, path: str | Path) -> None:
        self.paths: dict[str, dict[str, dict[str, Any]]] = {}
        if not Path(path).exists():
            return
        report = json.loads(read(path))
        self.paths = {"amd": {row["title"]: row for row in report["paths"]},
                      "intel": {row["title"]: row for row in report["intel"]["paths"]}}

    def figure(self, row: str, title: str) -> str:
        machine = row.partition(".")[0]
        found = self.paths.get(machine, {}).get(title)
        if not found:
            return ""
        # Cycles are what the bench judges by, where it has some.
        stock, vapic = (found.get("cycles", found)[name] for name in ("stock", "vapic"))
        worse = "" if vapic < stock else ", which is not cheaper"
        unit = "cycles" if "cycles" in found else "instructions"
        return f"{stock:,} -> {vapic:,} {unit}{worse}"


def why(entry: Entry, listed: List, figure: Callable[[str, str], str]) -> list[str]:
    parts = [f"mends what {test} shows" for test in entry.mends]
    for row in entry.cheaper:
        count = figure(row, listed.rows[row])
        parts.append(f"cheaper: {listed.rows[row]}" + (f" ({count})" if count else ""))
    if entry.by:
        parts.append("needed by " + ", ".join(entry.by))
    return parts


def summary(listed: List) -> Iterator[str]:
    taken = listed.of(*reasons.TAKEN)
    for vendor, names in HEADS.items():
        here = [entry for entry in taken if entry.module in names and entry.how != "variable"]
        kinds = [entry.how for entry in here]
        some = sum(entry.key in reasons.in_some(listed.top) for entry in here)
        yield (f"{vendor}: {kinds.count('redirect')} functions redirected,"
               f" {kinds.count('op')} ops replaced, {kinds.count('wrap')} surrounded"
               + (f"; {some} of these in some kernels only" if some else ""))
