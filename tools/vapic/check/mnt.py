# SPDX-License-Identifier: GPL-2.0-only
#
# What the emulated hosts see at /mnt: the module, the selftests, what tests/host has, and what
# that needs.

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Sequence

from vapic.check.runner import Runner
from vapic.files import TOP
from vapic.run.build import SELFTESTS
from vapic.run.steps import Failed

PROGRAMS = "build/bench/programs"
# Modules that only tests load, in tests/host.
MODULES = ("ftrace_fault", "fake_device", "idle_hlt")
# Of testbed/lib, for programs inside.
LIBRARIES = ("cpio.py", "kernel_log.py", "qmp.py")

staging = threading.Lock()


def folder(logs: Path, kernel: str | None) -> Path:
    """What hosts that boot this kernel see; None is the one that all is built for."""
    return logs / (f"mnt-{kernel}" if kernel else "mnt")


def build(runner: Runner, log: str, words: Sequence[str]) -> None:
    finished = runner.run(log, words)
    if finished.status != 0:
        runner.show_end(finished)
        raise Failed(log)


def build_module(runner: Runner, name: str) -> str:
    source = f"build/{name}"
    shutil.copytree(f"tests/host/{name}", source, dirs_exist_ok=True)
    build(runner, name, runner.headers.compiling(
        ["make", "-C", runner.headers.kdir, "--no-print-directory", f"M={TOP}/{source}",
         "modules"]))
    return f"{source}/{name}.ko"


def stage(runner: Runner) -> None:
    """Raises Failed, and the user was told why."""
    mnt = folder(runner.folder, None)
    for source in ("tests/host", "tests/lib"):
        shutil.copytree(source, mnt, dirs_exist_ok=True)
    files = [f"testbed/lib/{name}" for name in LIBRARIES]
    # As it is installed, without 10 MiB of debug information that each load would read.
    build(runner, "strip", ["strip", "--strip-debug", "-o", f"{mnt}/vapic.ko", "vapic.ko"])
    build(runner, "migration_guest",
          ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread",
           "-o", f"{mnt}/migration_guest", "tests/host/migration_guest.c"])
    files += [build_module(runner, name) for name in MODULES]
    newer = runner.run("newer-selftests", ["tools/lib/newer-kselftests"])
    runner.report(newer.status == 0, "a newer Linux's KVM selftests build")
    if newer.status == 0:
        shutil.copytree(newer.lines[-1], mnt / "newer")
    else:
        runner.show_end(newer)
    if runner.run_test("bench programs build", "bench-build",
                       runner.headers.compiling(["tools/bench-programs/build", runner.headers.kdir,
                                                 PROGRAMS, SELFTESTS])):
        files += [f"{PROGRAMS}/step_bench", f"{PROGRAMS}/pathbench/pathbench.ko"]
    copy(files, mnt)
    copy([entry.path for entry in os.scandir(SELFTESTS) if entry.is_file()], mnt / "selftests")


def stage_for(runner: Runner, kernel: str) -> bool:
    """The same, with the modules that stage `kernels` has built for another kernel; false if it
    has not built all of them, which it says itself. Raises Failed as well."""
    usual, mnt = folder(runner.folder, None), folder(runner.folder, kernel)
    built = {path.name: path for path in Path(f"build/kernels/{kernel}").rglob("*.ko")}
    modules = [path.name for path in usual.glob("*.ko")]
    if any(name not in built for name in modules):
        return False
    # Hosts of both machines ask.
    with staging:
        if not mnt.exists():
            work = Path(f"{mnt}.new")
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(usual, work, copy_function=os.link)
            for name in modules:
                (work / name).unlink()
                build(runner, f"strip-{kernel}",
                      ["strip", "--strip-debug", "-o", f"{work}/{name}", str(built[name])])
            work.rename(mnt)
    return True


def copy(files: Sequence[str], to: Path) -> None:
    to.mkdir(exist_ok=True)
    for file in files:
        shutil.copy(file, to)
