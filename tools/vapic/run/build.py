# SPDX-License-Identifier: GPL-2.0-only
#
# Builds what a run on the emulated hosts takes: kernel, emulators, image, module
# and selftests, side by side where they do not wait for each other. Packages
# are there already: tools/lib/packages.
#
# Afterwards vapic.ko is for the kernel of the image, whatever this machine runs,
# and build/selftests/ holds the programs.

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, fields
from typing import Self, Sequence

from vapic import kernels
from vapic.files import read
from vapic.run import steps as steps_of
from vapic.run.steps import Board, Step

SELFTESTS = "build/selftests"
# Steps of everything(), and the one of tools/lib/packages before them.
COUNT = 7

EMULATORS = {
    "AMD": ("testbed/qemu/build", "VAPIC_QEMU"),
    "Intel": ("testbed/bochs/build", "VAPIC_BOCHS"),
}


@dataclass(frozen=True)
class Headers:
    """Of a kernel, to build modules for it."""
    kver: str
    kdir: str
    kmoddir: str
    vmlinux: str
    # Folder with its own compiler, or nothing.
    kpath: str

    @classmethod
    def of(cls, text: str) -> Self:
        """From what testbed/kernel-headers prints."""
        pairs = (word.split("=", 1) for line in text.splitlines() for word in shlex.split(line))
        said = {pair[0].lower(): pair[1] for pair in pairs if len(pair) == 2}
        return cls(**{field.name: said[field.name] for field in fields(cls)})

    def variables(self) -> list[str]:
        """As our Makefile takes them."""
        return [f"{field.name.upper()}={getattr(self, field.name)}" for field in fields(self)
                if field.name != "kver"]

    def has(self, option: str) -> bool:
        """Whether the kernel was configured with it, such as KVM."""
        return re.search(rf"^CONFIG_{option}=[ym]$", read(f"{self.kdir}/.config"), re.M) is not None

    @property
    def path(self) -> str:
        """PATH, with this kernel's own compiler before others."""
        return f"{self.kpath}:{os.environ['PATH']}" if self.kpath else os.environ["PATH"]

    def compiling(self, words: Sequence[str]) -> list[str]:
        return ["env", f"PATH={self.path}", *words]


@dataclass(frozen=True)
class Built:
    """Where things are: the kernel's headers, and the emulators by machine."""
    headers: Headers
    emulators: dict[str, str]


def last_line(text: str) -> str:
    return text.strip().split("\n")[-1]


def emulator(number: int, machine: str) -> Step:
    """The step that builds one; people who work on it name a build of their own, as in
    testbed/run."""
    builder, own = EMULATORS[machine]
    own_build = os.environ.get(own)
    return Step(number, f"{machine} emulator", "building",
                ["echo", own_build] if own_build else [builder], keep=True)


def everything(board: Board) -> Built:
    """Build all of it; raise steps.Failed if a part does not build."""
    name = kernels.chosen()
    kernel = Step(2, "kernel", "fetching", ["testbed/kernel-headers", name], keep=True)
    emulators = {machine: emulator(number, machine) for number, machine in
                 enumerate(EMULATORS, start=3)}
    image = Step(5, "image", "building", ["testbed/image/build", "--kernel", name],
                 after=["kernel"], keep=True)

    def module_command() -> list[str]:
        return ["make", "module", *Headers.of(kernel.output).variables()]

    def selftests_command() -> list[str]:
        return ["make", "-C", "selftests", f"KSRC={last_line(harness.output)}",
                f"O={os.path.abspath(SELFTESTS)}"]

    module = Step(6, "module", "building", module_command, after=["kernel"])
    # After the image: both read package lists into the same place. Always that of the first
    # kernel: the selftests take a harness of Linux 6.9 or later, and run on older kernels.
    harness = Step(7, "test harness", "fetching",
                   ["tools/lib/kselftest-headers", kernels.listed()[0].name],
                   after=["image"], keep=True)
    selftests = Step(7, "selftests", "building", selftests_command, after=["test harness"])
    steps_of.run_steps(board, [kernel, *emulators.values(), image, module, harness, selftests])
    return Built(Headers.of(kernel.output),
                 {machine.lower(): last_line(step.output)
                  for machine, step in emulators.items()})
