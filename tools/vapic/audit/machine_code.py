# SPDX-License-Identifier: GPL-2.0-only
#
# The code of functions of a kernel module, in a form that stays the same wherever the linker
# puts it: addresses become names, branches within the function numbered labels, padding and
# landing pads go, and offsets in structures become members (layout.py).
#
# pyelftools reads the file, objdump the instructions.

from __future__ import annotations

import bisect
import hashlib
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from vapic.audit import layout

# Bumped when the form changes: digests of another form say nothing.
FORM = 1

# Of what code refers to: a section's number, or None if it is outside; a value; the symbol outside
Target = tuple[int | None, int, str | None]
# A symbol or section of pyelftools, which has no types
Symbol = Any


@dataclass(frozen=True)
class Function:
    name: str
    section: int
    start: int
    size: int


@dataclass(frozen=True)
class Instruction:
    start: int
    end: int
    code: bytes
    text: str
    comment: str


@dataclass(frozen=True)
class Relocation:
    offset: int
    kind: int
    symbol: Symbol
    addend: int


@dataclass(frozen=True)
class Alternative:
    """What the kernel may put over some instructions at boot."""
    feature: int  # and flags
    length: int
    section: int  # of the replacement
    start: int
    new_length: int


R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_PC64 = 1, 2, 4, 24
RELATIVE = (R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_PC64)
WIDTH = {R_X86_64_64: 8, R_X86_64_PC64: 8}

# Sections that say things about code without using it.
ABOUT_CODE = re.compile(
    r"\.(orc_|return_sites|call_sites|ibt_endbr|retpoline_sites|static_call_sites|smp_locks"
    r"|altinstructions|discard|debug|eh_frame)|__(mcount_loc|patchable_function|bug_table"
    r"|jump_table|ex_table)")

# struct alt_instr of <asm/>, by its size: its flags had 16 bits before 6.3
ALT_INSTR = {form.size: form for form in (struct.Struct("<iiIBB"), struct.Struct("<iiHBB"))}
# Size of struct jump_entry
JUMP_ENTRY = 16

CONDITIONS = ("o no b ae e ne be a s ns p np l ge le g").split()


def plain(name: str) -> str:
    """A symbol's name without what the compiler numbers anew in each build."""
    name = re.sub(r"\.(isra|part|constprop|cold)(\.\d+)?", "", name)
    name = re.sub(r"\.\d+$", "", name)
    return re.sub(r"(__UNIQUE_ID_\w*?)\d+$", r"\1", name)


def branch_of(code: bytes) -> tuple[str, int] | None:
    """(mnemonic, length of the displacement) of a relative branch, else None. From the code, as
    objdump's words for a branch have changed more than once."""
    while code and code[0] in (0x2e, 0x3e, 0xf2):
        code = code[1:]
    if not code:
        return None
    if code[0] == 0xe8:
        return "call", 4
    if code[0] in (0xe9, 0xeb):
        return "jmp", 4 if code[0] == 0xe9 else 1
    if 0x70 <= code[0] <= 0x7f:
        return "j" + CONDITIONS[code[0] & 15], 1
    if code[0] == 0x0f and len(code) > 1 and 0x80 <= code[1] <= 0x8f:
        return "j" + CONDITIONS[code[1] & 15], 4
    return None


def same_words(text: str) -> str:
    """An instruction as every objdump words it: from binutils 2.41 on, a shift by the 1 that is in
    its opcode says so."""
    return re.sub(r"^((?:lock )?(?:sh[lr]|sa[lr]|ro[lr]|rc[lr])[bwlq]?) \$1,", r"\1 ", text)


class Module:
    """One .ko; functions are looked at when asked for. types: layout.Types of it, without which
    offsets in structures stay numbers."""

    def __init__(self, path: str | Path, types: layout.Types | None = None) -> None:
        self.path = path
        self.types = types
        self.file = open(path, "rb")
        self.elf = ELFFile(self.file)
        self.sections: list[Symbol] = list(self.elf.iter_sections())
        self.numbers: dict[str, int] = {section.name: number
                                        for number, section in enumerate(self.sections)}
        symbols = next(s for s in self.sections if isinstance(s, SymbolTableSection))
        self.symbols: list[Symbol] = list(symbols.iter_symbols())
        self.functions: dict[str, list[Function]] = {}
        # By section: starts of symbols, and (start, size, name) of each.
        self.places: dict[int, tuple[list[int], list[tuple[int, int, str]]]] = {}
        self.relocations: dict[int, tuple[list[int], dict[int, Relocation]]] = {}
        self.disassembly: dict[int, tuple[list[int], list[Instruction]]] = {}
        self.users: dict[str, set[str | None]] | None = None
        self.known_arguments: dict[str, layout.State] = {}
        self._read_symbols()
        self.alternatives = self._alternatives()
        self.jump_labels = self._jump_labels()

    def _read_symbols(self) -> None:
        places: dict[int, list[tuple[int, int, str]]] = {}
        for symbol in self.symbols:
            section, kind = symbol["st_shndx"], symbol["st_info"]["type"]
            if not isinstance(section, int) or kind not in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE"):
                continue
            name = symbol.name
            if kind == "STT_FUNC" and not name.startswith("__pfx_"):
                self.functions.setdefault(name, []).append(
                    Function(name, section, symbol["st_value"], symbol["st_size"]))
            # .LC0 and the like name a constant, anew in each build.
            if name and not name.startswith(("__pfx_", ".L")):
                places.setdefault(section, []).append((symbol["st_value"], symbol["st_size"], name))
        for section, found in places.items():
            found.sort(key=lambda place: (place[0], place[1]))
            self.places[section] = ([place[0] for place in found], found)

    def relocations_of(self, section: int) -> tuple[list[int], dict[int, Relocation]]:
        """By offset, of a section number."""
        if section not in self.relocations:
            table = self.elf.get_section_by_name(".rela" + self.sections[section].name)
            found: dict[int, Relocation] = {}
            for entry in table.iter_relocations() if table else ():
                found[entry["r_offset"]] = Relocation(
                    entry["r_offset"], entry["r_info_type"], self.symbols[entry["r_info_sym"]],
                    entry["r_addend"])
            self.relocations[section] = (sorted(found), found)
        return self.relocations[section]

    def relocations_in(self, section: int, start: int, end: int) -> list[Relocation]:
        offsets, found = self.relocations_of(section)
        first = bisect.bisect_left(offsets, start)
        return [found[offset] for offset in offsets[first:bisect.bisect_left(offsets, end)]]

    def target_of(self, relocation: Relocation, after: int) -> Target:
        """(section number or None, value, name of an outside symbol) that it refers to, where
        after is the address that follows the field or instruction."""
        symbol = relocation.symbol
        addend = relocation.addend
        if relocation.kind in RELATIVE:
            addend += after - relocation.offset
        if isinstance(symbol["st_shndx"], int):
            return symbol["st_shndx"], symbol["st_value"] + addend, None
        return None, addend, symbol.name

    def name_of(self, section: int | None, value: int, outside: str | None) -> str:
        """The same in words."""
        if outside is not None:
            return plain(outside) + (f"+{value:#x}" if value else "")
        assert section is not None
        kind: str = self.sections[section].name
        starts, places = self.places.get(section, ([], []))
        # Of symbols at one place the last has the size.
        at = bisect.bisect_right(starts, value) - 1
        if at >= 0:
            start, size, name = places[at]
            if start == value or value < start + size:
                return plain(name) + (f"+{value - start:#x}" if value != start else "")
        if kind.startswith(".rodata.str"):
            data: bytes = self.sections[section].data()
            end = data.find(b"\0", value)
            return repr(data[value:end].decode("utf-8", "replace"))
        return kind

    def function_at(self, section: int | None, value: int) -> str | None:
        if section is None:
            return None
        for name in self.names_at(section, value):
            if name in self.functions:
                return name
        return None

    def names_at(self, section: int, value: int) -> Iterator[str]:
        starts, places = self.places.get(section, ([], []))
        at = bisect.bisect_right(starts, value)
        while at > 0 and places[at - 1][0] == value:
            at -= 1
            yield places[at][2]

    def _alternatives(self) -> dict[Target, list[Alternative]]:
        """By site"""
        found: dict[Target, list[Alternative]] = {}
        number = self.numbers.get(".altinstructions")
        if number is None:
            return found
        data = self.sections[number].data()
        # An entry has two relocations, of its first two words.
        places = [relocation.offset for relocation in self.relocations_in(number, 0, len(data))]
        form = ALT_INSTR[places[2] - places[0] if len(places) > 2 else len(data)]
        for start in range(0, len(data) - form.size + 1, form.size):
            _, _, feature, length, new_length = form.unpack_from(data, start)
            entry = {r.offset - start: r for r in self.relocations_in(number, start, start + 8)}
            site = self.target_of(entry[0], start)
            section, value, _ = self.target_of(entry[4], start + 4)
            assert section is not None
            found.setdefault(site, []).append(
                Alternative(feature, length, section, value, new_length))
        return found

    def _jump_labels(self) -> dict[Target, tuple[Target, str]]:
        """Where each site jumps to, and its key, by site"""
        found: dict[Target, tuple[Target, str]] = {}
        number = self.numbers.get("__jump_table")
        if number is None:
            return found
        for start in range(0, self.sections[number]["sh_size"], JUMP_ENTRY):
            entry = {r.offset - start: r
                     for r in self.relocations_in(number, start, start + JUMP_ENTRY)}
            code = self.target_of(entry[0], start)
            target = self.target_of(entry[4], start + 4)
            # The lowest bits of the key say how it is to be read.
            section, value, outside = self.target_of(entry[8], start + 8)
            key = self.name_of(section, value & ~3, outside) + f" {value & 3}"
            found[code] = (target, key)
        return found

    def instructions(self, function: Function) -> list[Instruction]:
        """Of one function, by objdump; all of its section is read at once."""
        if function.section not in self.disassembly:
            self.disassembly[function.section] = self._disassemble(function.section)
        starts, found = self.disassembly[function.section]
        return found[bisect.bisect_left(starts, function.start):
                     bisect.bisect_left(starts, function.start + function.size)]

    def _disassemble(self, section: int) -> tuple[list[int], list[Instruction]]:
        name = self.sections[section].name
        output = subprocess.run(
            ["objdump", "-d", "-z", "--insn-width=16", "-j", name, str(self.path)],
            check=True, capture_output=True, text=True).stdout
        found = []
        for line in output.split("\n"):
            parts = line.split("\t")
            if len(parts) < 2 or not parts[0].strip().endswith(":"):
                continue
            words = parts[2] if len(parts) > 2 else ""
            text, _, comment = words.partition("#")
            start, code = int(parts[0].strip()[:-1], 16), bytes.fromhex(parts[1])
            found.append(Instruction(start, start + len(code), code,
                                     same_words(" ".join(text.split())), comment.strip()))
        return [instruction.start for instruction in found], found

    def parts(self, name: str) -> list[str]:
        """The symbols of a function: its own, and those of what the compiler made of it or split
        off it (name.isra.0, name.part.0, name.cold)."""
        return sorted(symbol for symbol in self.functions if plain(symbol) == name)

    def body(self, name: str) -> list[str]:
        """The lines of all functions of that name."""
        lines: list[str] = []
        for part in self.parts(name):
            for function in self.functions[part]:
                lines.append(part.rstrip(".0123456789") + ":")
                lines += Body(self, function).lines()
        return lines

    def arguments(self, name: str) -> layout.State:
        """{register: (structure, offset)} that a function starts with. BTF knows no clones,
        nor their arguments: those are what all callers give."""
        if name not in self.known_arguments:
            assert self.types
            # Until it is known, for one that calls itself.
            self.known_arguments[name] = {}
            arguments = self.types.arguments(name)
            self.known_arguments[name] = self.given(name) if arguments is None else arguments
        return self.known_arguments[name]

    def given(self, name: str) -> layout.State:
        met: layout.State | None = None
        for user in self.references().get(name, ()):
            if user is None:
                return {}
            for function in self.functions[user]:
                body = Body(self, function)
                for instruction in body.found:
                    state = body.before.get(instruction.start)
                    target = body.leads_to(instruction)
                    if state is not None and target and \
                            self.function_at(target[0], target[1]) == name:
                        met = layout.meet(met, state)
        return {register: place for register, place in (met or {}).items()
                if register in layout.ARGUMENTS}

    def digest(self, name: str) -> str:
        text = "\n".join([str(FORM), *self.body(name)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def references(self) -> dict[str, set[str | None]]:
        """function -> set of functions that refer to it, None among them for data."""
        if self.users is None:
            self.users = self._references()
        return self.users

    def _references(self) -> dict[str, set[str | None]]:
        found: dict[str, set[str | None]] = {}

        def refer(section: int | None, value: int, who: str | None) -> None:
            target = self.function_at(section, value)
            if target is not None and target != who:
                found.setdefault(target, set()).add(who)

        for functions in self.functions.values():
            for function in functions:
                for instruction in self.instructions(function):
                    relocations = self.relocations_in(function.section, instruction.start,
                                                      instruction.end)
                    for relocation in relocations:
                        section, value, outside = self.target_of(relocation, instruction.end)
                        if outside is None:
                            refer(section, value, function.name)
                    branch = branch_of(instruction.code)
                    if branch and not relocations:
                        refer(function.section,
                              instruction.end + displacement(instruction.code, branch[1]),
                              function.name)
        executable = {function.section for list_ in self.functions.values() for function in list_}
        for number, data in enumerate(self.sections):
            if data.name.startswith(".rela") or number in executable or \
                    ABOUT_CODE.match(data.name):
                continue
            offsets, by_offset = self.relocations_of(number)
            for offset in offsets:
                target = self.target_of(by_offset[offset], offset)
                if target[2] is None:
                    refer(target[0], target[1], None)
        return found


def displacement(code: bytes, length: int) -> int:
    return int.from_bytes(code[-length:], "little", signed=True)


class Body:
    """One function on its way to lines."""

    def __init__(self, module: Module, function: Function) -> None:
        self.module = module
        self.function = function
        self.found = module.instructions(function)
        numbers = {value: number for number, value in enumerate(sorted(set(self.targets())))}
        self.labels = {value: f".{number}" for value, number in numbers.items()}
        self.before = self.flow()

    def inside(self, section: int | None, value: int) -> bool:
        function = self.function
        return section == function.section and \
            function.start <= value < function.start + function.size

    def relocations(self, instruction: Instruction) -> list[Relocation]:
        return self.module.relocations_in(self.function.section, instruction.start,
                                          instruction.end)

    def leads_to(self, instruction: Instruction) -> Target | None:
        """Where a branch goes to; None if it is none."""
        branch = branch_of(instruction.code)
        if not branch:
            return None
        for relocation in self.relocations(instruction):
            return self.module.target_of(relocation, instruction.end)
        return (self.function.section,
                instruction.end + displacement(instruction.code, branch[1]), None)

    def jump_label(self, instruction: Instruction) -> tuple[Target, str] | None:
        return self.module.jump_labels.get((self.function.section, instruction.start, None))

    def successors(self, instruction: Instruction) -> list[int]:
        """Places within the function that it may go to, besides the next instruction."""
        places: list[Target] = []
        branch, target = branch_of(instruction.code), self.leads_to(instruction)
        if branch and target and branch[0] != "call":
            places.append(target)
        jump = self.jump_label(instruction)
        if jump:
            places.append(jump[0])
        return [value for section, value, _ in places if self.inside(section, value)]

    def targets(self) -> Iterator[int]:
        """All places within the function that something of it refers to."""
        for instruction in self.found:
            yield from self.successors(instruction)
            for relocation in self.relocations(instruction):
                section, value, outside = self.module.target_of(relocation, instruction.end)
                if outside is None and self.inside(section, value):
                    yield value

    def place(self, section: int | None, value: int, outside: str | None = None) -> str:
        if outside is None and self.inside(section, value) and value in self.labels:
            return self.labels[value]
        return self.module.name_of(section, value, outside)

    def flow(self) -> dict[int, layout.State | None]:
        """What the registers point to before each instruction, by its address."""
        types = self.module.types
        if types is None:
            return {}
        at_label = {self.function.start: self.module.arguments(self.function.name)}
        before: dict[int, layout.State | None] = {}
        changed = True
        while changed:
            changed = False
            state: layout.State | None = None
            for instruction in self.found:
                if instruction.start in at_label:
                    state = layout.meet(state, at_label[instruction.start])
                before[instruction.start] = state
                if state is None:
                    continue
                after = self.step(instruction, state, types)
                for value in self.successors(instruction):
                    met = layout.meet(at_label.get(value), after)
                    if at_label.get(value) != met:
                        at_label[value] = met
                        changed = True
                state = None if self.ends(instruction) else after
        return before

    def step(self, instruction: Instruction, state: layout.State,
             types: layout.Types) -> layout.State:
        branch, target = branch_of(instruction.code), self.leads_to(instruction)
        callee = None
        if branch and target and branch[0] == "call":
            callee = self.module.name_of(*target)
        elif instruction.text.startswith("call"):
            callee = ""
        return layout.step(instruction.text, state, types, callee)

    def ends(self, instruction: Instruction) -> bool:
        """Whether the next instruction is not reached from it."""
        if self.jump_label(instruction):
            return False
        branch, target = branch_of(instruction.code), self.leads_to(instruction)
        if branch and target and branch[0] == "call":
            return target[2] == "__stack_chk_fail"
        return instruction.text.startswith(("jmp", "ret", "int3"))

    def lines(self) -> list[str]:
        lines: list[str] = []
        pending: list[str] = []
        for instruction in self.found:
            # A label of padding is one of what follows.
            if instruction.start in self.labels:
                pending.append(self.labels[instruction.start] + ":")
            new = self.lines_of(instruction)
            if new:
                lines += pending
                pending = []
            lines += new
        return lines + pending

    def lines_of(self, instruction: Instruction) -> list[str]:
        jump = self.jump_label(instruction)
        if jump:
            # What is there at first follows from the key.
            return [f"\tjump_label {self.place(*jump[0])} {jump[1]}"]
        site = (self.function.section, instruction.start, None)
        lines = [f"\talternative {self.alternative(alternative)}"
                 for alternative in self.module.alternatives.get(site, ())]
        if not padding(instruction):
            lines.append(f"\t{self.line_of(instruction)}")
        return lines

    def alternative(self, found: Alternative) -> str:
        start, end = found.start, found.start + found.new_length
        code = bytearray(self.module.sections[found.section].data()[start:end])
        names = []
        for relocation in self.module.relocations_in(found.section, start, end):
            at = relocation.offset - start
            width = WIDTH.get(relocation.kind, 4)
            code[at:at + width] = bytes(width)
            names.append(self.place(*self.module.target_of(relocation, relocation.offset + width)))
        return " ".join([f"{found.feature:#x}", str(found.length), code.hex(), *names])

    def line_of(self, instruction: Instruction) -> str:
        branch, target = branch_of(instruction.code), self.leads_to(instruction)
        if branch and target:
            return f"{branch[0]} {self.place(*target)}"

        names = [self.place(*self.module.target_of(relocation, instruction.end))
                 for relocation in self.relocations(instruction)]
        text = instruction.text
        if not names and instruction.comment:
            # An address in the same section, which the assembler has resolved.
            names = [self.place(self.function.section, int(instruction.comment.split()[0], 16))]
            text = re.sub(r"-?0x[0-9a-f]+\(%rip\)", "0x0(%rip)", text)
        state, types = self.before.get(instruction.start), self.module.types
        if state and types and not names:
            text = layout.named(text, state, types)
        return " ".join([text, *(["#", *names] if names else [])])


def padding(instruction: Instruction) -> bool:
    """Alignment, and the landing pad of a function whose address somebody takes."""
    return not instruction.text or \
        bool(re.match(r"(data16 |cs |ds )*(nop|endbr64|xchg %ax,%ax$)", instruction.text))
