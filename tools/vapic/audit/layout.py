# SPDX-License-Identifier: GPL-2.0-only
#
# Which member of which structure an instruction reaches, so that a structure that has grown
# elsewhere does not make a function look changed. The arguments of a function have types, by
# BTF; follow them through copies, loads of pointers and results of calls. What cannot be
# followed keeps its number.

from __future__ import annotations

import re
from typing import Sequence

from vapic.btf import Btf, Reached

# A structure, and an offset in it; and where the registers point, and what the frame holds.
Place = tuple[str, int]
State = dict[str, Place]

# Of a vendor's module: what is at the beginning of what. An offset beyond the inner one is in
# the outer one.
CONTAINERS: dict[str, dict[str, str]] = {
    "kvm_amd": {"kvm_vcpu": "vcpu_svm", "kvm": "kvm_svm"},
    "kvm_intel": {"kvm_vcpu": "vcpu_vmx", "kvm": "kvm_vmx"},
}

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
CALL_CLOBBERS = ARGUMENTS + ("rax", "r10", "r11")

MEMORY = re.compile(r"(?<![\w%:])(-?0x[0-9a-f]+)?\(%(\w+)((?:,[^)]*)?)\)")
REGISTER = re.compile(r"%(\w+)")
# These write to their last operand, if to a register at all.
PLAIN = re.compile(
    r"(lock )?(mov|lea|add|sub|and|or|xor|not|neg|inc|dec|sh[lr]|sar|ro[lr]|set|cmov|bt|bs|sbb|adc|"
    r"popcnt|tzcnt|cmp|test|push|pop|j|imul|nop|ud2|endbr|ret|int3|[lms]fence|cli|sti|pause|swapgs|"
    r"stac|clac|wrmsr)")
READ_ONLY = re.compile(r"(lock )?(cmp(?!xchg)|test|push|bt[bwlq]? |j|ret)")
# And these to others besides.
IMPLICIT = (
    (re.compile(r"(lock )?cmpxchg"), ("rax",)),
    (re.compile(r"cltq|cwtl"), ("rax",)),
    (re.compile(r"cqto|cltd|i?div|mul|imul[bwlq]? \S+$|rdmsr|rdtsc"), ("rax", "rdx")),
    (re.compile(r"rep (movs|stos)"), ("rdi", "rsi", "rcx")),
)


def whole(register: str) -> str:
    """The 64-bit register of which it is a part."""
    match = re.fullmatch(r"(r\d+)[bwd]?", register)
    if match:
        return match[1]
    inner = register.removeprefix("r").removeprefix("e")
    if inner in ("sil", "dil", "bpl", "spl"):
        inner = inner[:-1]
    if len(inner) == 2 and inner[1] in "lh" and inner[0] in "abcd":
        inner = inner[0] + "x"
    return "r" + inner


class Types:
    """Of one module: its BTF, and that of the modules whose functions it calls."""

    def __init__(self, module: str, own: Btf, others: Sequence[Btf]) -> None:
        self.btf = own
        self.others = [own, *others]
        self.containers = CONTAINERS.get(module, {})
        self.inner = {outer: inner for inner, outer in self.containers.items()}

    def settle(self, place: Place | None) -> Place | None:
        """(structure, offset) by the structure of which the offset really is; None if none."""
        if place is None:
            return None
        structure, offset = place
        size = self.btf.size(structure)
        if size is None or offset < 0:
            return None
        if structure in self.containers and offset >= size:
            return self.settle((self.containers[structure], offset))
        if structure in self.inner and offset < (self.btf.size(self.inner[structure]) or 0):
            return self.inner[structure], offset
        return (structure, offset) if offset <= size else None

    def member(self, place: Place) -> Reached | None:
        """(its name, the structure that it points to or None) of a place; None if unknown."""
        settled = self.settle(place)
        return self.btf.member_at(*settled) if settled else None

    def arguments(self, function: str) -> State | None:
        """{register: (structure, offset)}; None for a function that BTF does not know."""
        number = self.btf.function(function)
        if number is None:
            return None
        types = self.btf.parameters(number)
        return {register: (structure, 0) for register, structure in zip(ARGUMENTS, types)
                if structure}

    def result(self, function: str) -> Place | None:
        for btf in self.others:
            number = btf.function(function)
            if number is not None:
                structure = btf.pointee(btf.type(number).type)
                return (structure, 0) if structure else None
        return None


def named(text: str, state: State, types: Types) -> str:
    """The text of an instruction with members instead of offsets."""
    def name(match: re.Match[str]) -> str:
        place = state.get(whole(match[2]))
        if place is None:
            return match[0]
        found = types.member((place[0], place[1] + int(match[1] or "0", 16)))
        return f"{found[0]}(%{match[2]}{match[3]})" if found else match[0]

    words = text.split(" ", 1)
    if words[0].startswith(("call", "j")):
        return text
    match = re.fullmatch(r"add \$(0x[0-9a-f]+),%(\w+)", text)
    if match and whole(match[2]) == match[2] and state.get(match[2]):
        place = state[match[2]]
        found = types.member((place[0], place[1] + int(match[1], 16)))
        return f"add ${found[0]},%{match[2]}" if found else text
    return MEMORY.sub(name, text)


def step(text: str, state: State, types: Types, callee: str | None) -> State:
    """What the registers point to after an instruction; callee: the function it calls."""
    state = dict(state)
    if callee == "__fentry__":
        return state
    if callee is not None:
        for register in CALL_CLOBBERS:
            state.pop(register, None)
        result = types.result(callee)
        if result:
            state["rax"] = result
        return state

    # A register set aside in the frame, and the frame's moves.
    match = re.fullmatch(r"mov %(\w+),((?:0x[0-9a-f]+)?\(%rsp\))", text)
    if match:
        return set_or_drop(state, match[2], state.get(match[1]))
    match = re.fullmatch(r"mov ((?:0x[0-9a-f]+)?\(%rsp\)),%(\w+)", text)
    if match and whole(match[2]) == match[2]:
        return set_or_drop(state, match[2], state.get(match[1]))
    if text.startswith(("push", "pop")) or text.endswith(",%rsp"):
        state = {where: place for where, place in state.items() if "rsp" not in where}
    else:
        state.pop(text.rpartition(",")[2], None)

    match = re.fullmatch(r"mov %(\w+),%(\w+)", text)
    if match and whole(match[1]) == match[1] and whole(match[2]) == match[2]:
        return set_or_drop(state, match[2], state.get(match[1]))
    match = re.fullmatch(r"(mov|lea) (-?0x[0-9a-f]+)?\(%(\w+)\),%(\w+)", text)
    if match and whole(match[4]) == match[4]:
        place = state.get(whole(match[3]))
        if place:
            place = place[0], place[1] + int(match[2] or "0", 16)
            if match[1] == "mov":
                found = types.member(place)
                place = (found[1], 0) if found and found[1] else None
        return set_or_drop(state, match[4], place)
    match = re.fullmatch(r"(add|sub) \$(-?0x[0-9a-f]+),%(\w+)", text)
    if match and state.get(match[3]):
        structure, offset = state[match[3]]
        number = int(match[2], 16)
        return set_or_drop(state, match[3],
                           (structure, offset + (number if match[1] == "add" else -number)))

    if PLAIN.match(text) and not READ_ONLY.match(text):
        last = re.search(r"%(\w+)$", text)
        if last:
            state.pop(whole(last[1]), None)
    for words, registers in IMPLICIT:
        if words.match(text):
            break
    else:
        # Anything else may change what it names, and what it does not.
        registers = () if PLAIN.match(text) else \
            (*map(whole, REGISTER.findall(text)), *CALL_CLOBBERS)
    for register in registers:
        state.pop(register, None)
    return state


def set_or_drop(state: State, register: str, place: Place | None) -> State:
    if place:
        state[register] = place
    else:
        state.pop(register, None)
    return state


def meet(left: State | None, right: State) -> State:
    """What holds whichever way one came; None is no way."""
    if left is None:
        return right
    return {register: place for register, place in left.items() if right.get(register) == place}
