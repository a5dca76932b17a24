# SPDX-License-Identifier: GPL-2.0-only
#
# The stock modules as machine code: which function reaches which, and what no function
# that still runs reaches once vapic is loaded.

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Collection

from vapic import btf, lists, presence

FILES = {"kvm": "kvm.ko", "kvm_amd": "kvm-amd.ko", "kvm_intel": "kvm-intel.ko"}
OPS = dict(lists.VENDORS.values())
# Tables that name a function without anybody's reaching it by them: of ftrace, patching,
# unwinding, symbols.
SILENT = re.compile(r"\.rela(__mcount_loc|\.(retpoline|return|call)_sites|\.ibt_endbr_seal|"
                    r"\.orc_unwind.*|__bug_table|__ex_table|\.smp_locks|\.altinstructions|"
                    r"__patchable_function_entries|__jump_table|\.static_call_sites|"
                    r"___ksymtab.*|__ksymtab.*|\.debug.*|\.BTF.*|\.parainstructions)")


class Bad(Exception):
    """The modules cannot be read."""


def run(*command: str | Path) -> str:
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            check=False)
    if result.returncode:
        raise Bad(f"{command[0]}: {result.stderr.strip()}")
    return result.stdout


class Module:
    """references: (from, to) of code, and (None, to) of data; ops: function by offset in the
    vendor's ops structure."""

    def __init__(self, name: str, path: str | Path) -> None:
        self.name, self.path = name, path
        self.functions: set[str] = set()
        # By section and offset
        self.starts: dict[tuple[str, int], str] = {}
        self.references: set[tuple[str | None, str]] = set()
        self.ops: dict[int, str] = {}
        # Section, offset and size of the vendor's ops structure
        self.table: tuple[str, int, int] | None = None
        self.read_symbols()
        self.read_code()
        self.read_data()

    def read_symbols(self) -> None:
        sections: dict[str, str] = {}
        for line in run("readelf", "-SW", self.path).splitlines():
            found = re.match(r"\s*\[\s*(\d+)\]\s+(\S+)", line)
            if found:
                sections[found[1]] = found[2]
        for line in run("readelf", "-sW", self.path).splitlines():
            word = line.split()
            if len(word) != 8 or word[6] not in sections:
                continue
            value, size, kind, section, symbol = (int(word[1], 16), int(word[2], 0), word[3],
                                                  sections[word[6]], word[7])
            if kind == "FUNC" and not symbol.startswith("__pfx_"):
                self.functions.add(symbol)
                self.starts.setdefault((section, value), symbol)
            if symbol in OPS.get(self.name, ()):
                self.table = section, value, size

    def target(self, symbol: str, offset: int) -> str | None:
        """The function that a relocation means, by name or by place in a section."""
        if symbol.startswith("."):
            return self.starts.get((symbol, offset))
        return symbol if offset == 0 else None

    def read_code(self) -> None:
        function, branch = None, None
        for line in run("objdump", "-dr", "--no-show-raw-insn", self.path).splitlines():
            relocation = re.search(r" R_X86_64_(\w+)\t(\S+?)([+-]0x[0-9a-f]+)?$", line)
            # A branch inside the section has no relocation; one with it is shown as if it went to
            # the next instruction, with which the next function may begin.
            if branch and branch != function and not relocation:
                self.references.add((function, branch))
            found = re.search(r"\t(?:call|j\w+)\s+[0-9a-f]+ <([^>+]+)>", line)
            branch = found[1] if found else None
            head = re.match(r"[0-9a-f]+ <(.+)>:$", line)
            if head:
                function = head[1]
            elif relocation:
                offset = int(relocation[3] or "0", 16)
                if relocation[1] in ("PC32", "PLT32"):
                    offset += 4
                to = self.target(relocation[2], offset)
                if to:
                    self.references.add((function, to))

    def read_data(self) -> None:
        section = ""
        for line in run("readelf", "-rW", self.path).splitlines():
            head = re.match(r"Relocation section '([^']+)'", line)
            if head:
                section = head[1]
                continue
            found = re.match(r"([0-9a-f]{16})\s+\S+\s+R_X86_64_64\s+\S+\s+(\S+) \+ ([0-9a-f]+)",
                             line)
            if not found or SILENT.match(section):
                continue
            place, to = int(found[1], 16), self.target(found[2], int(found[3], 16))
            if not to:
                continue
            if self.table and section == ".rela" + self.table[0] and \
                    self.table[1] <= place < self.table[1] + self.table[2]:
                self.ops[place - self.table[1]] = to
            else:
                self.references.add((None, to))


def op_offsets(vmlinux: str | Path, kvm: str | Path) -> dict[str, int]:
    """Offsets of the members of struct kvm_x86_ops."""
    members = btf.Btf(kvm, btf.Btf(vmlinux)).members("kvm_x86_ops")
    return {name: offset for name, (offset, _) in members.items()}


# A function of a module; and who reaches one: a function, or None, data of a module or vapic.
Reached = tuple[str, str]
Caller = tuple[str, str | None]


class Stock:
    def __init__(self, folder: str | Path, vmlinux: str | Path) -> None:
        self.modules = {name: Module(name, f"{folder}/{file}") for name, file in FILES.items()}
        self.offsets = op_offsets(vmlinux, f"{folder}/{FILES['kvm']}")
        files = {name: Path(folder) / file for name, file in FILES.items()}
        self.presence = presence.Kernel(btf.Kernel(vmlinux, files.__getitem__).of,
                                        files.__getitem__)

    def there(self, entry: lists.Entry) -> bool:
        """Whether vapic has this entry for this kernel."""
        return self.presence.fits(entry.when)

    def has(self, module: str, function: str) -> bool:
        return function in self.modules[module].functions

    def unreached(self, vendor: str, redirected: Collection[Reached], ops: Collection[str],
                  called: set[str]) -> tuple[set[Reached], dict[Reached, set[Caller]]]:
        """Functions that do not run while vapic is loaded over VENDOR's module, each as
        (module, function): those that are REDIRECTED, and what is reached by nothing but
        them and the OPS that are replaced. CALLED are those that vapic calls. Besides
        them, who reaches each: (module, function), with None for data or vapic."""
        callers: dict[Reached, set[Caller]] = {}
        for name in ("kvm", vendor):
            module = self.modules[name]
            for caller, to in module.references:
                home = name if to in module.functions else "kvm"
                callers.setdefault((home, to), set()).add((name, caller))
        gone = {self.offsets[op] for op in ops}
        for offset, function in self.modules[vendor].ops.items():
            found = callers.setdefault((vendor, function), set())
            if offset not in gone:
                found.add((vendor, None))
        for name in ("kvm", vendor):
            for function in called & self.modules[name].functions:
                callers.setdefault((name, function), set()).add(("vapic", None))
        dead: set[Reached] = set(redirected)
        while True:
            more = {function for function, by in callers.items()
                    if function not in dead and by <= dead | {function}
                    and function[1] in self.modules[function[0]].functions}
            if not more:
                return dead, callers
            dead |= more
