# SPDX-License-Identifier: GPL-2.0-only
#
# Writes the tables of Documentation/gains.rst from reports of `make bench`, one for each kernel.
#
# usage: gains REPORT...
#   REPORT  a build/bench/report.json; they are the columns, in this order

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from typing import Any, Iterator, Mapping, Sequence

from vapic.bench.table import HEADINGS
from vapic.files import TOP, read, write

PAGE = "Documentation/gains.rst"
# Between stock's figure and vapic's, by verdict. A path that is left to stock has none of these.
SIGNS = {"wins": ">", "same": "=", "slower": "<"}
MACHINES = ("amd", "intel")

Report = Mapping[str, Any]


class Bad(Exception):
    """With one line that says why."""


def of_machine(report: Report, machine: str) -> Report:
    """AMD's figures are at the top of a report, and Intel's in a field."""
    found: Report = report["intel"] if machine == "intel" else report
    return found


def kernel(report: Report) -> str:
    """As `uname -r` says it."""
    return str(report["kernel"]).split()[2]


def cell(path: Mapping[str, Any]) -> str:
    figures = path.get("cycles", path)
    doubt = "" if path.get("sure", True) else " ?"
    return f"{figures['stock']:,.0f} {SIGNS[path['verdict']]} {figures['vapic']:,.0f}{doubt}"


def rows(reports: Sequence[Report]) -> Iterator[list[str]]:
    """Of one machine, those that have a verdict: a title, and a cell for each report. All reports
    must have the same rows."""
    judged = [[path for path in report["paths"] if path["verdict"] in SIGNS]
              for report in reports]
    if len({tuple(path["title"] for path in paths) for paths in judged}) != 1:
        raise Bad("the reports have different rows: measure them with one state of the source")
    kind = ""
    for paths in zip(*judged):
        if paths[0]["kind"] != kind:
            kind = paths[0]["kind"]
            yield [HEADINGS[kind] + ":", *["\\ "] * len(reports)]
        yield [paths[0]["title"], *map(cell, paths)]


def rst(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A simple table of reStructuredText."""
    widths = [max(map(len, column)) for column in zip(head, *body)]
    rule = " ".join("=" * width for width in widths)

    def line(words: Sequence[str]) -> str:
        return " ".join(word.ljust(width) for word, width in zip(words, widths)).rstrip()

    return [rule, line(head), rule, *map(line, body), rule]


def tables(reports: Sequence[Report]) -> dict[str, list[str]]:
    found = {}
    for machine in MACHINES:
        of_it = [of_machine(report, machine) for report in reports]
        found[machine] = rst(["cycles", *map(kernel, of_it)], list(rows(of_it)))
    return found


def put(page: str, by_name: Mapping[str, Sequence[str]]) -> str:
    """Replaces what stands between `.. table NAME` and `.. end`."""
    for name, table in by_name.items():
        text = "\n".join([f".. table {name}", "", *table, "", ".. end"])
        page, count = re.subn(rf"(?ms)^\.\. table {name}$.*?^\.\. end$", lambda _: text, page,
                              count=1)
        if not count:
            raise Bad(f"{PAGE} has no place for a table: .. table {name} … .. end")
    return page


def run() -> None:
    parser = argparse.ArgumentParser(
        prog="tools/gains", allow_abbrev=False,
        description=f"write the tables of {PAGE} from reports of `make bench`")
    parser.add_argument("report", nargs="+",
                        help="a build/bench/report.json; they are the columns, in this order")
    paths = [os.path.abspath(path) for path in parser.parse_args().report]
    os.chdir(TOP)
    write(PAGE, put(read(PAGE), tables([json.loads(read(path)) for path in paths])))


def main() -> None:
    try:
        run()
    except (Bad, OSError, ValueError) as error:
        sys.exit(f"gains: error: {error}")
    except LookupError as error:
        sys.exit(f"gains: error: that is no report of make bench: it lacks {error}")


if __name__ == "__main__":
    main()
