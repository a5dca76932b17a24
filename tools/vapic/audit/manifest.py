# SPDX-License-Identifier: GPL-2.0-only
#
# takeover/audited: a line for each body of a stock function that somebody has read beside ours,
# with the kernels that have it.

from __future__ import annotations

import re
from dataclasses import dataclass

from vapic.audit.stock import Stock
from vapic.files import TOP, read, write

PATH = TOP / "takeover/audited"


@dataclass(frozen=True)
class Line:
    module: str
    name: str
    digest: str
    releases: list[str]

    def is_of(self, function: Stock) -> bool:
        return (self.module, self.name) == (function.module, function.name)


@dataclass(frozen=True)
class Manifest:
    # The comment at its head
    head: list[str]
    lines: list[Line]

    @classmethod
    def read(cls) -> Manifest:
        found = cls([], [])
        for text in read(PATH).splitlines():
            words = text.split()
            if text.startswith("#") or not words:
                found.head.append(text)
            else:
                found.lines.append(Line(words[0], words[1], words[2], words[3:]))
        return found

    def write(self) -> None:
        write(PATH, "\n".join(self.head) + "\n" + "".join(
            " ".join([f"{line.module:9} {line.name:40} {line.digest}", *line.releases]) + "\n"
            for line in sorted(self.lines, key=lambda line: (line.module, line.name,
                                                             version(line.releases[-1])))))

    def knows(self, release: str) -> bool:
        """Whether somebody has looked at that kernel."""
        return any(release in line.releases for line in self.lines)

    def find(self, function: Stock, digest: str) -> Line | None:
        return next((line for line in self.lines
                     if line.is_of(function) and line.digest == digest), None)

    def note(self, function: Stock, digest: str, release: str) -> None:
        line = self.find(function, digest)
        if line is None:
            line = Line(function.module, function.name, digest, [])
            self.lines.append(line)
        if release not in line.releases:
            line.releases.append(release)
            line.releases.sort(key=version)

    def nearest(self, function: Stock, release: str) -> str | None:
        """The audited kernel to compare with: of those with the same compiler and configuration,
        if there are any, the newest that is older, else the oldest."""
        releases = sorted((found for line in self.lines if line.is_of(function)
                           for found in line.releases), key=version)
        releases = [found for found in releases if build(found) == build(release)] or releases
        older = [found for found in releases if version(found) <= version(release)]
        return older[-1] if older else releases[0] if releases else None


def version(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release)]


def build(release: str) -> str:
    """Of 6.12.118+deb13-rt-amd64 what follows the +."""
    return release.partition("+")[2]
