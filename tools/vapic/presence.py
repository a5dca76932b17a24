# SPDX-License-Identifier: GPL-2.0-only
#
# What some kernels have and others do not: kvm/presence.list, and the answers for one kernel.

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable

from vapic.btf import Btf
from vapic.files import TOP, read

LINES = tuple(re.compile(r"(?P<name>\w+): " + line) for line in (
    r"(?P<kind>header) (?P<symbol>[\w./-]+) with (?P<text>.+)",
    r"(?P<module>\w+) (?P<kind>function|op|field) (?P<symbol>[\w.]+)(?: with (?P<text>.+))?",
    r"(?P<module>\w+) (?P<kind>symbol|enumerator) (?P<symbol>\w+)"))


class Unknown(Exception):
    """With one line that says what cannot be answered."""


@dataclass(frozen=True)
class When:
    """A condition of an entry of the lists: a name, and the answer that it wants."""
    name: str
    present: bool


@dataclass(frozen=True)
class Question:
    """A line of the list: is SYMBOL, of that kind, in the module, and does its type have TEXT?"""
    name: str
    module: str
    kind: str
    symbol: str
    text: str | None


def parse(lines: Iterable[str], path: str) -> dict[str, Question]:
    found: dict[str, Question] = {}
    for number, line in enumerate(lines, start=1):
        line = " ".join(line.split("#")[0].split())
        if not line:
            continue
        match = next(filter(None, (form.fullmatch(line) for form in LINES)), None)
        if not match:
            raise Unknown(f"{path}:{number}: cannot be read: {line}")
        words = match.groupdict()
        question = Question(words["name"], words.get("module", ""), words["kind"],
                            words["symbol"], words.get("text"))
        if question.name in found:
            raise Unknown(f"{path}:{number}: a second {question.name}")
        found[question.name] = question
    return found


def questions(top: str | Path = TOP) -> dict[str, Question]:
    path = Path(top) / "kvm/presence.list"
    return parse(read(path).splitlines(), path.name)


def symbols_of(path: str | Path) -> set[str]:
    """Names that the symbol table of a module defines."""
    lines = subprocess.run(["nm", "--defined-only", path], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    return {line.split()[-1] for line in lines}


class Kernel:
    """Answers for one kernel: its BTF, by module; the files of its modules; its headers."""

    def __init__(self, btf: Callable[[str], Btf], path: Callable[[str], Path],
                 source: str | Path | None = None, top: str | Path = TOP) -> None:
        self.btf, self.path, self.source = btf, path, source
        self.questions = questions(top)
        self.symbols: dict[str, set[str]] = {}

    def fits(self, when: When | None) -> bool:
        """Whether an entry with this condition is for this kernel."""
        if when is None:
            return True
        if when.name not in self.questions:
            raise Unknown(f"kvm/presence.list has no {when.name}")
        return self.has(self.questions[when.name]) == when.present

    def has(self, question: Question) -> bool:
        if question.kind == "header":
            return self.in_header(question)
        if question.kind == "symbol":
            if question.module not in self.symbols:
                self.symbols[question.module] = symbols_of(self.path(question.module))
            return question.symbol in self.symbols[question.module]
        types = self.btf(question.module)
        if question.kind == "enumerator":
            return question.symbol in types.enumerators()
        if question.kind == "function":
            number = types.function(question.symbol)
        else:
            number = self.member(types, question)
        return number is not None and \
            (question.text is None or question.text in types.declaration(number))

    @staticmethod
    def member(types: Btf, question: Question) -> int | None:
        """The number of the type of a member of a structure; of an op, of what it points to."""
        structure, _, path = question.symbol.rpartition(".")
        number = types.structure(structure or "kvm_x86_ops")
        found = types.find(number, path) if number else None
        if found is None:
            return None
        return types.pointed_to(found[1]) if question.kind == "op" else found[1]

    def in_header(self, question: Question) -> bool:
        if self.source is None:
            raise Unknown(f"whether {question.symbol} has '{question.text}' is known at build only")
        for folder in ("arch/x86/include", "include"):
            path = Path(self.source) / folder / question.symbol
            if path.exists():
                return (question.text or "") in " ".join(read(path).split())
        return False
