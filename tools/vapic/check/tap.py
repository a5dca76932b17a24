# SPDX-License-Identifier: GPL-2.0-only
#
# Results of tests: lines as TAP has them, from whoever runs tests, and what all of them come to.

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Sequence

# A program that does not know what it is a part of numbers its tests.
RESULT = re.compile(r"(not )?ok (\d+ (?:- )?)?(.*)")
# GoogleTest's own words.
GOOGLE = re.compile(r"\[ +(OK|FAILED) +\] ([^ ]+) \(")


@dataclass(frozen=True)
class Result:
    passed: bool
    # Its name, and what was said of it.
    text: str
    # What was said after it failed.
    remarks: list[str] = field(default_factory=list, compare=False)

    def __str__(self) -> str:
        return f"{'ok' if self.passed else 'not ok'} {self.text}"

    @property
    def skipped(self) -> bool:
        return self.passed and "# SKIP" in self.text

    @property
    def failed_as_expected(self) -> bool:
        return self.passed and "# XFAIL" in self.text


def read(line: str, program: str) -> Result | None:
    """The result in a line of the program's, if there is one. A number gives way to the program's
    name."""
    found = RESULT.match(line)
    if not found:
        return None
    return Result(not found[1], (f"{program}: " if found[2] else "") + found[3])


def read_google(text: str, program: str) -> list[Result]:
    """Of each case that GoogleTest ran."""
    found = (GOOGLE.match(line) for line in text.splitlines())
    return [Result(case[1] == "OK", f"{program}: {case[2]}") for case in found if case]


def passed(results: Sequence[Result]) -> bool:
    """None failed, and at least one did not skip."""
    return (all(result.passed for result in results) and
            any(not result.skipped for result in results))


def lists(results: Sequence[Result]) -> list[str]:
    """Lines that name what a reader wants to know of."""
    lines: list[str] = []
    for title, them in (
            ("defects of stock KVM, seen as expected (they count as passed):",
             [result for result in results if result.failed_as_expected]),
            ("skipped:", [result for result in results if result.skipped]),
            # Last, where who sees only the end of it sees them.
            ("failed:", [result for result in results if not result.passed])):
        if them:
            lines += ["", title]
            for result in them:
                lines += [str(result), *result.remarks]
    return lines


def count(results: Sequence[Result]) -> str:
    failed = sum(not result.passed for result in results)
    skipped = sum(result.skipped for result in results)
    return f"{len(results) - failed - skipped} passed, {failed} failed, {skipped} skipped"
