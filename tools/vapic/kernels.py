# SPDX-License-Identifier: GPL-2.0-only
#
# testbed/kernels: the kernels of Debian's that have a name here.

from __future__ import annotations

import os
from dataclasses import dataclass

from vapic.files import TOP, read

PATH = TOP / "testbed/kernels"
SUPPORT = {"yes": True, "no": False}


class Bad(Exception):
    """With one line that says why."""


@dataclass(frozen=True)
class Kernel:
    name: str
    # Of Debian.
    release: str
    # Packages that point at today's image.
    images: list[str]
    compiler: str
    supported: bool
    flavour: str

    @property
    def series(self) -> str:
        return self.name.split("-")[0]


def parse(text: str) -> list[Kernel]:
    found: list[Kernel] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 6 or words[4] not in SUPPORT:
            raise Bad(f"testbed/kernels:{number}: not six columns, the fifth of them yes or no")
        name, release, images, compiler, supported, flavour = words
        if name in (kernel.name for kernel in found):
            raise Bad(f"testbed/kernels:{number}: {name} is there twice")
        found.append(Kernel(name, release, images.split(","), compiler, SUPPORT[supported],
                            flavour))
    return found


def listed() -> list[Kernel]:
    return parse(read(PATH))


def find(name: str) -> Kernel:
    kernels = listed()
    for kernel in kernels:
        if kernel.name == name:
            return kernel
    raise Bad(f"unknown kernel '{name}': {', '.join(kernel.name for kernel in kernels)}")


def chosen() -> str:
    """Name of the kernel that is built for and that the hosts boot: VAPIC_KERNEL, which
    `make KERNEL=` sets; else the first."""
    return os.environ.get("VAPIC_KERNEL") or listed()[0].name
