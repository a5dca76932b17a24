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
from typing import Sequence

ROOMS = ("takeover/", "kvm/", "lapic/", "avic/", "vmx_apicv/")

# {file: {function: {line: times}}}. What several objects have compiled is one function.
Counts = dict[str, dict[str, dict[int, int]]]


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


def add(total: Counts, text: str, top: Path) -> None:
    """What gcov says of one object, of files of the module."""
    for file in json.loads(text)["files"]:
        name = os.path.relpath(os.path.join(top, file["file"]), top)
        if not name.startswith(ROOMS) or "/generated/" in name:
            continue
        for line in file["lines"]:
            function = total[name][line.get("function_name", "")]
            function[line["line_number"]] = (function.get(line["line_number"], 0)
                                             + line["count"])


def nothing() -> Counts:
    return defaultdict(lambda: defaultdict(dict))


def measure(build: Path, counted: Path, gcov: str) -> Counts:
    total = nothing()
    for counts in gather(build, counted):
        said = subprocess.run([gcov, "--json-format", "--stdout", str(counts)], cwd=build,
                              check=True, capture_output=True, text=True).stdout
        add(total, said, build)
    return total


def share(functions: dict[str, dict[int, int]]) -> tuple[int, int]:
    """How many lines ran, of how many. A line may be in several functions, as those of macros."""
    lines: dict[int, int] = {}
    for function in functions.values():
        for number, times in function.items():
            lines[number] = lines.get(number, 0) + times
    return sum(times > 0 for times in lines.values()), len(lines)


def left(functions: dict[str, dict[int, int]]) -> list[str]:
    """What did not run: the names of functions, then those with some lines of which."""
    never, partly = [], []
    for name, lines in sorted(functions.items()):
        unrun = [str(line) for line, times in sorted(lines.items()) if not times]
        if len(unrun) == len(lines):
            never.append(name)
        elif unrun:
            partly.append(f"{name} ({', '.join(unrun)})")
    return [f"    {what}: {', '.join(names)}"
            for what, names in (("never", never), ("not lines", partly)) if names]


def of_glue(name: str) -> bool:
    """C that is compiled into the module; the rest is core, which tests/core covers."""
    return name.endswith((".c", ".h"))


def table(counts: Counts, leave_out: Sequence[str] = ()) -> list[str]:
    """A line for each file, with what of the glue is left below, and one for all of the glue. Files
    whose names begin with one of these are left out."""
    rows, ran, all_of = [], 0, 0
    for name in sorted(counts):
        covered, there = share(counts[name])
        if not there or name.startswith(tuple(leave_out)):
            continue
        rows.append(f"{name:40} {covered:5} of {there:5} lines {100 * covered / there:5.1f} %")
        if of_glue(name):
            rows += left(counts[name])
            ran += covered
            all_of += there
    if all_of:
        rows.append(f"{'glue':40} {ran:5} of {all_of:5} lines {100 * ran / all_of:5.1f} %")
    return rows
