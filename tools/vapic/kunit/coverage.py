# SPDX-License-Identifier: GPL-2.0-only
#
# Which lines of the module the suites have run: what the kernel has counted, put beside what the
# compiler left at the build, and read by gcov.

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

ROOMS = ("takeover/", "kvm/", "lapic/", "avic/", "vmx_apicv/")

# {file: {line: times}}
Counts = dict[str, dict[int, int]]


def gather(build: Path, counted: Path) -> list[Path]:
    """Put each file of counts, wherever the kernel shows it, beside its object's."""
    found = []
    for notes in sorted(build.rglob("*.gcno")):
        counts = notes.with_suffix(".gcda").relative_to(build)
        fitting = [path for path in counted.rglob(counts.name)
                   if path.parts[-len(counts.parts):] == counts.parts]
        if fitting:
            shutil.copy(fitting[0], build / counts)
            found.append(build / counts)
    return found


def read(text: str, top: Path) -> Counts:
    """What gcov says of one object, of files of the module. A line may be in several functions."""
    found: Counts = defaultdict(dict)
    for file in json.loads(text)["files"]:
        name = os.path.relpath(os.path.join(top, file["file"]), top)
        if not name.startswith(ROOMS) or "/generated/" in name:
            continue
        for line in file["lines"]:
            number = line["line_number"]
            found[name][number] = found[name].get(number, 0) + line["count"]
    return found


def measure(build: Path, counted: Path, gcov: str) -> Counts:
    total: Counts = defaultdict(dict)
    for counts in gather(build, counted):
        said = subprocess.run([gcov, "--json-format", "--stdout", str(counts)], cwd=build,
                              check=True, capture_output=True, text=True).stdout
        for name, lines in read(said, build).items():
            for number, times in lines.items():
                total[name][number] = total[name].get(number, 0) + times
    return total


def share(lines: dict[int, int]) -> tuple[int, int]:
    return sum(times > 0 for times in lines.values()), len(lines)


def of_glue(name: str) -> bool:
    """C that is compiled into the module; the rest is core, which tests/core covers."""
    return name.endswith((".c", ".h"))


def table(counts: Counts) -> list[str]:
    """A line for each file, and one for all of the glue."""
    rows, ran, all_of = [], 0, 0
    for name in sorted(counts):
        covered, there = share(counts[name])
        if not there:
            continue
        rows.append(f"{name:40} {covered:5} of {there:5} lines {100 * covered / there:5.1f} %")
        if of_glue(name):
            ran += covered
            all_of += there
    if all_of:
        rows.append(f"{'glue':40} {ran:5} of {all_of:5} lines {100 * ran / all_of:5.1f} %")
    return rows
