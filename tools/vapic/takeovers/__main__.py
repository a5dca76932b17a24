# SPDX-License-Identifier: GPL-2.0-only
#
# `make takeovers`: every function, op and variable of KVM that vapic takes over, how it is
# reached, how often, and why, with the figures of the last `make bench`.
#
# usage: takeovers [--rst | --write | --check KVM VMLINUX]
#   --rst    print Documentation/takeovers.rst instead
#   --write  bring that file up to date
#   --check  nothing is taken over without a reason, no reason is left over, the document is
#            up to date, and what need not be taken over is not reached: in the modules in
#            KVM, plain .ko, whose structures are in BTF on top of VMLINUX's

from __future__ import annotations

import argparse
import sys

from vapic import lists
from vapic.files import TOP, read, write
from vapic.takeovers import listing, modules, output, reasons

DOCUMENT = "Documentation/takeovers.rst"


def check(listed: listing.List, stock: modules.Stock) -> int:
    faults = listed.all_faults(stock)
    path = listed.top / DOCUMENT
    if not faults and (not path.exists() or read(path) != output.document(listed)):
        faults = [f"{DOCUMENT} is not up to date: run tools/takeovers --write"]
    for fault in faults:
        print(f"takeovers: {fault}")
    return 1 if faults else 0


def run() -> int:
    parser = argparse.ArgumentParser(prog="tools/takeovers", allow_abbrev=False)
    parser.add_argument("--rst", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", nargs=2, metavar=("KVM", "VMLINUX"))
    options = parser.parse_args()
    try:
        listed = listing.List(TOP)
        if options.check:
            return check(listed, modules.Stock(*options.check))
        if options.write:
            write(TOP / DOCUMENT, output.document(listed))
        elif options.rst:
            print(output.document(listed), end="")
        else:
            output.print_list(listed, listing.Bench(TOP / listing.REPORT))
    except (lists.Unknown, reasons.Bad, modules.Bad, OSError) as error:
        print(f"takeovers: {error}", file=sys.stderr)
        return 2
    return 0


def main() -> None:
    sys.exit(run())


if __name__ == "__main__":
    main()
