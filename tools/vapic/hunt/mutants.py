# SPDX-License-Identifier: GPL-2.0-only
#
# The mutants of tests/mutations, and how their modules are built: from a copy of the tree, one
# after the other, so that only what the patch touches is compiled anew.

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from vapic.files import TOP, read, write
from vapic.run.build import Headers
from vapic.run.steps import Failed

PATCHES = TOP / "tests/mutations"
# What each mutant has beside its own patch. Alone it is the module as it is, which must survive.
GUARD = "guard"
OUT = TOP / "build/mutants"
# Not .ko, so that neither depmod nor an installation takes it for a module.
SUFFIX = ".mutant"
# What the module consists of, and what builds it.
SOURCES = ("Kbuild", "include", "kvm", "lapic", "avic", "vmx_apicv", "takeover", "tools")
# Those of which its contents come, and tools/vapic/*.py
COMPILED = (*SOURCES[:-1], "tools/vapic/audit", "tools/build-module")
FIELD = re.compile(r"^(\w+): (.*)$")


@dataclass(frozen=True)
class Mutant:
    name: str
    # amd, intel; - for the guard
    host: str
    breaks: str
    # What of the module's contract that is
    contract: str
    # Options of the hunter that find it sooner, if the usual ones take long.
    hunt: str = ""

    @property
    def patch(self) -> Path:
        return PATCHES / f"{self.name}.patch"

    @property
    def module(self) -> Path:
        return OUT / f"{self.name}{SUFFIX}"


def read_one(path: Path) -> Mutant:
    head, diff, _ = read(path).partition("\n--- a/")
    fields: dict[str, str] = {found[1]: found[2] for line in head.splitlines()
                              if (found := FIELD.match(line))}
    missing = [name for name in ("Host", "Breaks", "Property") if name not in fields]
    if missing or not diff:
        raise ValueError(f"{path}: no {', '.join(missing) or 'diff'}")
    return Mutant(path.stem, fields["Host"], fields["Breaks"], fields["Property"],
                  fields.get("Hunt", ""))


def everyone() -> list[Mutant]:
    """All but the guard."""
    found = [read_one(path) for path in sorted(PATCHES.glob("*.patch"))]
    return [mutant for mutant in found if mutant.name != GUARD]


def is_source(path: Path, within: Path) -> bool:
    """Rather than what a build has left in the same folder."""
    made = path.suffix in (".o", ".mod") or path.name.startswith(".")
    return path.is_file() and not made and not {"generated", "__pycache__"} & set(within.parts)


def patched(tree: Path, mutant: Mutant, *options: str) -> bool:
    return subprocess.run(
        ["patch", "-p1", "--fuzz=0", "--batch", "--silent", "--no-backup-if-mismatch",
         "--reject-file=-", *options, "-d", str(tree), "-i", str(mutant.patch)],
        stdin=subprocess.DEVNULL).returncode == 0


class Builder:
    """Makes the copy of the tree, with the guard, and modules of it."""

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.tree = OUT / "tree"
        self.tree.mkdir(parents=True, exist_ok=True)
        for name in SOURCES:
            source, target = TOP / name, self.tree / name
            if source.is_dir():
                self.copy(source, target)
            else:
                self.copy_file(source, target)
        self.copy(TOP / "build/kvm", self.tree / "build/kvm")
        self.sources = self.digest()
        if not patched(self.tree, read_one(PATCHES / f"{GUARD}.patch")):
            raise Failed(f"{GUARD}.patch does not apply")

    def digest(self) -> bytes:
        """Of all that the modules come of, but the patches of the mutants."""
        found = hashlib.sha256(self.headers.kdir.encode())
        guard = PATCHES / f"{GUARD}.patch"
        lists = (TOP / "tools/vapic").glob("*.py")
        kernel = [Path(self.headers.vmlinux), *sorted((TOP / "build/kvm").rglob("*.ko"))]
        for path in [guard, *(TOP / name for name in COMPILED), *sorted(lists), *kernel]:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if path in kernel or is_source(file, file.relative_to(TOP)):
                    found.update(file.read_bytes())
        return found.digest()

    def copy(self, source: Path, target: Path) -> None:
        for path in source.rglob("*"):
            within = path.relative_to(source)
            if is_source(path, within):
                self.copy_file(path, target / within)

    @staticmethod
    def copy_file(source: Path, target: Path) -> None:
        """Only if it differs, so that what has not changed is not built anew."""
        if target.exists() and target.read_bytes() == source.read_bytes():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)

    def make(self, name: str, to: Path) -> None:
        header = f'#define VAPIC_MUTANT "{name}"\n'
        write(self.tree / "takeover/mutant.h",
              f"/* SPDX-License-Identifier: GPL-2.0-only */\n{header}")
        log = OUT / f"{name}.log"
        with open(log, "w", encoding="utf-8") as file:
            status = subprocess.run(
                self.headers.compiling(
                    ["tools/build-module", self.headers.kdir, str(self.tree),
                     f"VMLINUX={self.headers.vmlinux}", f"KMODDIR={self.tree}/build/kvm"]),
                cwd=self.tree, stdin=subprocess.DEVNULL, stdout=file, stderr=file).returncode
        if status != 0:
            print("\n".join(read(log).splitlines()[-20:]))
            raise Failed(f"the mutant {name} does not build")
        module = self.tree / "vapic.ko"
        subprocess.run(["strip", "--strip-debug", "-o", str(to), str(module)], check=True)
        # What a `make modules_install` would take.
        module.unlink()

    def build(self, mutant: Mutant) -> None:
        if not patched(self.tree, mutant):
            raise Failed(f"{mutant.name}.patch does not apply")
        try:
            self.make(mutant.name, mutant.module)
        finally:
            if not patched(self.tree, mutant, "--reverse"):
                shutil.rmtree(self.tree)

    def build_all(self, mutants: Sequence[Mutant]) -> None:
        self.unless_built("none", b"", lambda: self.make("none", OUT / f"none{SUFFIX}"))
        for mutant in mutants:
            self.unless_built(mutant.name, mutant.patch.read_bytes(), lambda: self.build(mutant))

    def unless_built(self, name: str, patch: bytes, build: Callable[[], None]) -> None:
        key = OUT / f"{name}.key"
        wanted = hashlib.sha256(self.sources + patch).hexdigest()
        module = OUT / f"{name}{SUFFIX}"
        if module.exists() and key.exists() and read(key) == wanted:
            return
        print(f"building {name}", flush=True)
        build()
        write(key, wanted)
