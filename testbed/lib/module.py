# SPDX-License-Identifier: GPL-2.0-only
#
# Which kernel a module was built for.

from __future__ import annotations

import re


def release(module: bytes) -> str | None:
    """The release of that kernel, of what a .ko holds; None if it holds none."""
    found = re.search(rb"\0vermagic=(\S+) ", module)
    return found[1].decode(errors="replace") if found else None


def misfit(path: str, module: bytes, booted: str, name: str) -> str | None:
    """Why the module at a path is not for the release that kernel NAME boots, in one line."""
    built_for = release(module)
    if built_for in (None, booted):
        return None
    return f"{path} is for {built_for}, and {name} is {booted}: make KERNEL={name}"
