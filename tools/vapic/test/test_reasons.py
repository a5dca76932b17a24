# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from vapic.bench import figures
from vapic.presence import When
from vapic.takeovers import reasons
from vapic.takeovers.listing import List, why
from vapic.takeovers.reasons import Key

TAKEOVERS = """\
#ifndef GUARD
#define VAPIC_KVM_TAKEOVERS(REDIRECT) REDIRECT(kvm, first, void, (void)) \\
\tREDIRECT(kvm, second, void, (void))
#endif
"""
REASONS = """\
# What is not read

# ---- paths ----
[kvm redirect first]
often = entry
mends = some_test.case
cheaper = amd.load_put
\tintel.sync
text = One line
\tand another.

[kvm redirect second]
often = exit
by = first

# ---- the rest ----
""" + "".join(f"[kvm stock {name}]\n" for name in figures.LEFT_TO_STOCK)


class Written(unittest.TestCase):
    """In a tree of its own, whose reasons can be others than the above."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        for name in ("kvm", "takeover", "selftests"):
            (self.top / name).mkdir()
        (self.top / "kvm/takeovers.h").write_text(TAKEOVERS)
        (self.top / "selftests/some_test.c").write_text("TEST(case)\n")

    def write(self, text: str) -> Path:
        path = self.top / "takeover/reasons"
        path.write_text(text)
        return path

    def faults(self, old: str = "", new: str = "") -> list[str]:
        assert old in REASONS
        self.write(REASONS.replace(old, new) if old else REASONS)
        return list(List(self.top).faults())


class Reader(Written):
    def test_fields_go_on_in_the_next_line(self) -> None:
        entries, headings = reasons.read_all(self.write(REASONS))
        first = entries[Key("kvm", "redirect", "first")]
        self.assertEqual(first.often, "entry")
        self.assertEqual(first.mends, ["some_test.case"])
        self.assertEqual(first.cheaper, ["amd.load_put", "intel.sync"])
        self.assertEqual(first.text, "One line and another.")
        self.assertEqual(headings[first.key], "paths")
        self.assertEqual(headings[Key("kvm", "stock", "kvm_apic_get_state")], "the rest")

    def test_what_cannot_be_read_is_named_with_its_line(self) -> None:
        for text, said in (
                ("[kvm redirect f]\n[kvm redirect f]\n", ":2: a second time kvm redirect f"),
                ("[kvm patch f]\n", ":1: nothing is taken over as 'patch'"),
                ("often = entry\n", ":1: cannot be read: often = entry"),
                ("[kvm op f]\n\nrarely = entry\n", ":3: cannot be read: rarely = entry"),
                ("[kvm op f]\ntext = a\nb\n", ":3: cannot be read: b"),
                ("[kvm op f]\n\tcontinued\n", ":2: cannot be read: continued")):
            with self.assertRaisesRegex(reasons.Bad, said):
                reasons.read_all(self.write(text))

    def test_a_function_may_be_of_some_kernels_only(self) -> None:
        for text, when in (("where = a", When("a", True)), ("where = not a", When("a", False)),
                           ("text = a", None)):
            entries, _ = reasons.read_all(self.write(f"[kvm stock f]\n{text}\n"))
            self.assertEqual(entries[Key("kvm", "stock", "f")].where, when)

    def test_a_variable_that_is_elsewhere_in_some_kernels_counts_once(self) -> None:
        (self.top / "kvm/takeovers.h").write_text(
            "#define VAPIC_VMX_TAKEOVERS(SWITCH) \\\n"
            "\tVAPIC_IF(a, SWITCH(kvm_intel, v)) VAPIC_UNLESS(a, SWITCH(kvm, v)) \\\n"
            "\tSWITCH(kvm, w)\n")
        self.assertEqual(reasons.taken(self.top),
                         [Key("kvm_intel", "variable", "v"), Key("kvm", "variable", "w")])
        self.assertEqual(reasons.taken(self.top, lambda entry: entry.module == "kvm"),
                         [Key("kvm", "variable", "v"), Key("kvm", "variable", "w")])


class Faults(Written):
    def test_the_reasons_as_they_are_have_none(self) -> None:
        self.assertEqual(self.faults(), [])

    def test_each_fault_is_named(self) -> None:
        for old, new, said in (
                ("[kvm redirect second]\noften = exit\nby = first\n", "",
                 "kvm redirect second: taken over without a reason"),
                ("[kvm redirect second]", "[kvm wrap second]",
                 "kvm wrap second: a reason in takeover/reasons, but not taken over"),
                ("often = entry", "often = seldom", "kvm redirect first: how often is 'seldom'?"),
                ("some_test.case", "some_test.other", "there is no test some_test.other"),
                ("some_test.case", "no_test.case", "there is no test no_test.case"),
                ("intel.sync", "amd.sync", "the bench has no row amd.sync"),
                ("intel.sync", "intel.save", "in the row intel.save the bench runs stock's code"),
                ("by = first", "by = nobody", "needed by nobody, which is not taken over"),
                ("by = first", "by = second", "second: mends nothing, is not cheaper"),
                ("[kvm stock kvm_apic_get_state]", "[kvm stock first]",
                 "kvm stock first: taken over all the same"),
                ("[kvm stock kvm_apic_get_state]", "",
                 "kvm_apic_get_state: the bench says that it is left to stock")):
            with self.subTest(said):
                self.assertTrue(any(said in fault for fault in self.faults(old, new)))

    def test_why_names_what_it_is_for(self) -> None:
        self.write(REASONS)
        listed = List(self.top)
        first, second = listed.of("redirect")
        self.assertEqual(why(first, listed, lambda row, title: f"{row}: 2 -> 1"), [
            "mends what some_test.case shows",
            "cheaper: vCPU load + put (amd.load_put: 2 -> 1)",
            "cheaper: empty sync before an entry (intel.sync: 2 -> 1)"])
        self.assertEqual(why(second, listed, lambda row, title: ""), ["needed by first"])


if __name__ == "__main__":
    unittest.main()
