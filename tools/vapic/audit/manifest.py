# SPDX-License-Identifier: GPL-2.0-only
#
# takeover/audited: a line for each body of a stock function that somebody has read beside ours,
# with the kernels that have it.

import re
from collections import namedtuple

from vapic.files import TOP

PATH = TOP / "takeover/audited"

Line = namedtuple("Line", "module name digest releases")


def read():
    """(comment at the head, [Line])"""
    head, lines = [], []
    for text in PATH.read_text().splitlines():
        words = text.split()
        if text.startswith("#") or not words:
            head.append(text)
        else:
            lines.append(Line(words[0], words[1], words[2], words[3:]))
    return head, lines


def write(manifest):
    head, lines = manifest
    PATH.write_text("\n".join(head) + "\n" + "".join(
        " ".join([f"{line.module:9} {line.name:40} {line.digest}", *line.releases]) + "\n"
        for line in sorted(lines, key=lambda line: (line.module, line.name,
                                                    version(line.releases[-1])))))


def find(manifest, function, digest):
    for line in manifest[1]:
        if line[:3] == (function.module, function.name, digest):
            return line
    return None


def note(manifest, function, digest, release):
    line = find(manifest, function, digest)
    if line is None:
        line = Line(function.module, function.name, digest, [])
        manifest[1].append(line)
    if release not in line.releases:
        line.releases.append(release)
        line.releases.sort(key=version)


def version(release):
    return [int(number) for number in re.findall(r"\d+", release)]


def nearest(manifest, function, release):
    """The audited kernel to compare with: the newest that is older, else the oldest."""
    releases = sorted((found for line in manifest[1] for found in line.releases
                       if line[:2] == (function.module, function.name)), key=version)
    older = [found for found in releases if version(found) <= version(release)]
    return (older or releases[:1] or [None])[-1]
