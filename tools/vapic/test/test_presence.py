# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

from vapic import lists, presence
from vapic.presence import Question, When


class FakeBtf:
    """A module with the function f(int) and the op o(long)."""

    def function(self, name: str) -> int | None:
        return {"f": 1}.get(name)

    def structure(self, name: str) -> int | None:
        return {"kvm_x86_ops": 7}.get(name)

    def find(self, number: int, path: str) -> tuple[int, int] | None:
        return {(7, "o"): (8, 2)}.get((number, path))

    def pointed_to(self, number: int) -> int | None:
        return {2: 3}[number]

    def enumerators(self) -> dict[str, int]:
        return {"SEEN": 4}

    def declaration(self, number: int) -> str:
        return {1: "int (int)", 2: "void (*)(long)", 3: "void (long)"}[number]


class List(unittest.TestCase):
    def test_each_form_is_read(self) -> None:
        self.assertEqual(presence.parse([
            "# nothing", "", "a: kvm function f  with  int (int)  # words", "b: kvm symbol s",
            "c: header asm/kvm_host.h with enum x {", "d: kvm field s.m"], "list"), {
                "a": Question("a", "kvm", "function", "f", "int (int)"),
                "b": Question("b", "kvm", "symbol", "s", None),
                "c": Question("c", "", "header", "asm/kvm_host.h", "enum x {"),
                "d": Question("d", "kvm", "field", "s.m", None)})

    def test_a_line_that_says_nothing_and_a_name_twice_are_errors(self) -> None:
        for line in ("a: kvm macro M", "a kvm function f", "a: kvm symbol s with int",
                     "a: header asm/kvm_host.h"):
            with self.assertRaisesRegex(presence.Unknown, "list:1: cannot be read"):
                presence.parse([line], "list")
        with self.assertRaisesRegex(presence.Unknown, "list:2: a second a"):
            presence.parse(["a: kvm op o", "a: kvm op p"], "list")


class Answers(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        (self.top / "include/asm").mkdir(parents=True)
        (self.top / "include/asm/h.h").write_text("enum x\n{\n")
        (self.top / "kvm").mkdir()

    def kernel(self, *lines: str) -> presence.Kernel:
        (self.top / "kvm/presence.list").write_text("\n".join(lines))
        fake: Any = FakeBtf()
        types: dict[str, Any] = {"kvm": fake}
        return presence.Kernel(types.__getitem__, self.top.joinpath, self.top, self.top)

    def test_functions_ops_enumerators_and_headers(self) -> None:
        for line, there in (("kvm function f", True), ("kvm function g", False),
                            ("kvm function f with (int)", True),
                            ("kvm function f with (long)", False),
                            ("kvm op o", True), ("kvm op p", False),
                            ("kvm op o with void (long)", True),
                            ("kvm field kvm_x86_ops.o with (*)", True),
                            ("kvm field other.o", False),
                            ("kvm enumerator SEEN", True), ("kvm enumerator UNSEEN", False),
                            ("header asm/h.h with enum x {", True),
                            ("header asm/h.h with enum y {", False),
                            ("header asm/i.h with enum x {", False)):
            with self.subTest(line):
                kernel = self.kernel(f"asked: {line}")
                self.assertEqual(kernel.has(kernel.questions["asked"]), there)
                self.assertEqual(kernel.fits(When("asked", False)), not there)

    def test_an_entry_without_condition_is_for_each_kernel(self) -> None:
        self.assertTrue(self.kernel().fits(None))

    def test_a_condition_that_is_not_listed_is_an_error(self) -> None:
        with self.assertRaisesRegex(presence.Unknown, "has no other"):
            self.kernel("asked: kvm op o").fits(When("other", True))


class OfThisTree(unittest.TestCase):
    def test_each_condition_of_the_lists_is_listed(self) -> None:
        known = presence.questions()
        entries = [*lists.imports(), *lists.ops("svm"), *lists.ops("vmx"),
                   *(entry for name in ("KVM", "SVM", "VMX") for entry in lists.takeovers(name))]
        named = {entry.when.name for entry in entries if entry.when}
        self.assertTrue(named)
        self.assertEqual(named - set(known), set())


if __name__ == "__main__":
    unittest.main()
