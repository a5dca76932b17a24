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
import shlex
from dataclasses import dataclass

from vapic.files import TOP, read
from vapic.run import steps as steps_of
from vapic.run.steps import Board, Step

SELFTESTS = "build/selftests"
# Steps of everything(), and the one of tools/lib/packages before them.
COUNT = 7

EMULATORS = {
    "AMD": ("testbed/qemu/build", "VAPIC_QEMU"),
    "Intel": ("testbed/bochs/build", "VAPIC_BOCHS"),
}


def series() -> str:
    """The kernel that the hosts boot."""
    lines = read(TOP / "testbed/kernel-series").splitlines()
    return next(line for line in lines if not line.startswith("#"))


@dataclass(frozen=True)
class Built:
    """Where things are: the kernel's headers, and the emulators by machine."""
    kdir: str
    emulators: dict[str, str]


def assignments(text: str) -> dict[str, str]:
    """KVER= and so on, as testbed/kernel-headers prints them."""
    pairs = (word.split("=", 1) for line in text.splitlines() for word in shlex.split(line))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


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
    kernel = Step(2, "kernel", "fetching", ["testbed/kernel-headers", series()], keep=True)
    emulators = {machine: emulator(number, machine) for number, machine in
                 enumerate(EMULATORS, start=3)}
    image = Step(5, "image", "building", ["testbed/image/build", "--kernel", series()],
                 after=["kernel"], keep=True)

    def module_command() -> list[str]:
        return ["make", "module"] + [f"{name}={value}" for name, value
                                     in assignments(kernel.output).items() if name != "KVER"]

    def selftests_command() -> list[str]:
        return ["make", "-C", "selftests", f"KSRC={last_line(harness.output)}",
                f"O={os.path.abspath(SELFTESTS)}"]

    module = Step(6, "module", "building", module_command, after=["kernel"])
    # After the image: both read package lists into the same place.
    harness = Step(7, "test harness", "fetching", ["tools/lib/kselftest-headers", series()],
                   after=["image"], keep=True)
    selftests = Step(7, "selftests", "building", selftests_command, after=["test harness"])
    steps_of.run_steps(board, [kernel, *emulators.values(), image, module, harness, selftests])
    return Built(assignments(kernel.output)["KDIR"],
                 {machine.lower(): last_line(step.output)
                  for machine, step in emulators.items()})
