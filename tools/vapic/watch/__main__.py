# SPDX-License-Identifier: GPL-2.0-only
#
# Fetches the newest point release of each kernel that vapic supports, builds vapic for it, and
# compares the stock functions that vapic replaces or calls with those that somebody has audited.
# Prints for each kernel what is known and what is to be done, and leaves logs and differences in
# build/watch. The status is 1 if there is something to do.
#
# usage: watch [NAME...]     of testbed/kernels; all that vapic supports if there is none

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from vapic import kernels
from vapic.audit import stock
from vapic.audit.__main__ import REFUSALS, differences, exit_with, unaudited
from vapic.audit.manifest import Manifest
from vapic.check import tap
from vapic.files import TOP, write

OUT = Path("build/watch")
FETCHED = re.compile(r"is fetched \((\S+)\)$")
# What the audit below says better.
AUDITED = "stock functions are audited"


@dataclass(frozen=True)
class Change:
    """A function whose body nobody has audited."""
    function: stock.Stock
    # The audited kernel to compare with, if there is one.
    nearest: str | None
    # What differs from it; if it is not on this machine, why not.
    lines: Sequence[str] | str

    @property
    def brief(self) -> str:
        if self.nearest is None:
            return "audited in no other kernel"
        if isinstance(self.lines, str):
            return f"compare with {self.nearest}: {self.lines}"
        counts = [sum(line.startswith(sign) and not line.startswith(3 * sign)
                      for line in self.lines) for sign in "+-"]
        return f"+{counts[0]} -{counts[1]} instructions from {self.nearest}"


@dataclass(frozen=True)
class Seen:
    """What is known of a kernel."""
    name: str
    # Nothing if it could not be had.
    release: str | None
    results: Sequence[tap.Result]
    changes: Sequence[Change]
    # Whether the manifest has the release.
    known: bool

    @property
    def failed(self) -> list[tap.Result]:
        return [result for result in self.results if not result.passed]

    @property
    def to_do(self) -> bool:
        return bool(self.failed or self.changes or self.release and not self.known)


def changes_of(kernel: stock.Kernel) -> list[Change]:
    manifest = Manifest.read()
    # Each reads its modules once.
    find_kernel = functools.cache(stock.find_kernel)
    found = []
    for function in unaudited(kernel):
        nearest = manifest.nearest(function, kernel.release)
        lines: Sequence[str] | str = []
        if nearest:
            try:
                lines = differences(function.name, find_kernel(nearest), kernel)
            except stock.Refused as error:
                lines = str(error)
        found.append(Change(function, nearest, lines))
    return found


def look_at(name: str, folder: Path) -> Seen:
    done = subprocess.run(
        ["tools/check.d/kernel", name, str(folder), str(folder / "tree")],
        env={**os.environ, "VAPIC_NEWEST": "yes"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, errors="replace")
    results = [result for line in done.stdout.splitlines()
               if (result := tap.read(line, name)) and AUDITED not in result.text]
    if done.returncode or not re.search(r"^1\.\.\d+$", done.stdout, re.M):
        results.append(tap.Result(False, f"{name}: tools/check.d/kernel ended with status "
                                         f"{done.returncode}, before all was tried"))
    release = next((match[1] for result in results if (match := FETCHED.search(result.text))),
                   None)
    if release is None:
        return Seen(name, None, results, [], False)
    changes: Sequence[Change] = []
    try:
        changes = changes_of(stock.find_kernel(name))
    except REFUSALS as error:
        results.append(tap.Result(False, f"{name}: {error}"))
    return Seen(name, release, results, changes, Manifest.read().knows(release))


def report(seen: Seen, folder: Path) -> list[str]:
    lines = [f"{seen.name}: {seen.release or 'not fetched'}"]
    lines += [f"  {result}" for result in seen.results]
    if seen.release is None:
        return lines
    if not seen.changes and not seen.failed:
        lines.append("  all stock functions are as somebody has audited them")
        if not seen.known:
            lines.append(f"  to do: tools/audit add {seen.name}, which says so")
    if not seen.changes:
        return lines
    for change in seen.changes:
        function = change.function
        lines.append(f"  {function.module}:{function.name} ({function.how}): {change.brief}")
        if change.lines and not isinstance(change.lines, str):
            write(folder / f"{function.name}.diff", "".join(f"{line}\n" for line in change.lines))
    names = " ".join(dict.fromkeys(change.function.name for change in seen.changes))
    lines += [f"  differences: {folder}/FUNCTION.diff",
              "  to do: read them, and the sources, beside ours (Documentation/updates.rst);"
              f" then tools/audit add {seen.name} {names}"]
    return lines


def run(names: Sequence[str]) -> int:
    os.chdir(TOP)
    known = kernels.listed()
    for name in names:
        kernels.find(name)
    to_do = False
    shutil.rmtree(OUT, ignore_errors=True)
    for kernel in known:
        if names and kernel.name not in names:
            continue
        if not kernel.supported:
            print(f"{kernel.name}: not supported")
            continue
        folder = OUT / kernel.name
        folder.mkdir(parents=True)
        print(f"{kernel.name}: fetching, building, comparing; takes a minute",
              file=sys.stderr, flush=True)
        seen = look_at(kernel.name, folder)
        print("\n".join(report(seen, folder)), flush=True)
        to_do |= seen.to_do
    print("something is to be done" if to_do else "nothing is to be done")
    return 1 if to_do else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tools/watch", description="What Debian ships today of the kernels that vapic"
        " supports, and what is to be done about it; the status is 1 if anything is.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of testbed/kernels; else all")
    options = parser.parse_args()
    try:
        exit_with("watch", lambda: run(options.names))
    except kernels.Bad as error:
        sys.exit(f"watch: error: {error}")


if __name__ == "__main__":
    main()
