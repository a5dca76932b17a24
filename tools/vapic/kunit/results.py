# SPDX-License-Identifier: GPL-2.0-only
#
# Results of KUnit as lines that `make check` reads. What the kernel has printed is read by Linux's
# own kunit.py, which knows when a test that was announced never ended.

from __future__ import annotations

import json
from typing import Any, Iterator

# By what kunit.py says of a test.
WORDS = {"PASS": ("ok", ""), "SKIP": ("ok", " # SKIP")}


def cases(group: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """(name, status) of each case, with the names of what it is a part of."""
    for case in group["test_cases"]:
        yield above + case["name"], case["status"]
    for inner in group["sub_groups"]:
        yield from cases(inner, f"{above}{inner['name']}: ")


def lines(text: str, leave_out: str) -> list[str]:
    """One for each case in the JSON of kunit.py, but for suites of the vendor that the host is
    not."""
    found: list[str] = []
    for name, status in cases(json.loads(text)):
        if name.startswith(leave_out):
            continue
        word, remark = WORDS.get(status, ("not ok", ""))
        found.append(f"{word} {len(found) + 1} - {name}{remark}")
    return found
