# SPDX-License-Identifier: GPL-2.0-only
#
# Files of the tree, and how they are read.

from __future__ import annotations

from pathlib import Path

# The folder that holds this package, and the top of the tree. On an emulated host, to which
# run/host.py copies the package, the former is where everything else was copied as well.
HOME = Path(__file__).resolve().parents[1]
TOP = HOME.parent


def read(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8")


def write(path: str | Path, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")
