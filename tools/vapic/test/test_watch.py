# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from vapic.audit.stock import Stock
from vapic.check.tap import Result
from vapic.watch.__main__ import Change, Seen, report

FETCHED = Result(True, "x: is fetched (6.12.9-1)")
LOADS = Stock("kvm_amd", "avic_vcpu_load", "replaced")
DIFF = ["--- 6.12.8-1 kvm_amd:avic_vcpu_load", "+++ 6.12.9-1 kvm_amd:avic_vcpu_load",
        "@@ -1 +1,2 @@", "-ret", "+nop", "+ret", " int3"]


class Report(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def told(self, seen: Seen) -> tuple[bool, list[str]]:
        return seen.to_do, report(seen, self.folder)

    def test_nothing_is_to_be_done_about_a_kernel_that_was_looked_at(self) -> None:
        self.assertEqual(self.told(Seen("x", "6.12.9-1", [FETCHED], [], True)), (False, [
            "x: 6.12.9-1", "  ok x: is fetched (6.12.9-1)",
            "  all stock functions are as somebody has audited them"]))

    def test_a_new_kernel_is_noted_even_if_nothing_has_changed(self) -> None:
        to_do, lines = self.told(Seen("x", "6.12.9-1", [FETCHED], [], False))
        self.assertTrue(to_do)
        self.assertEqual(lines[-1], "  to do: tools/audit add x, which says so")

    def test_what_has_changed_is_to_be_read(self) -> None:
        changes = [Change(LOADS, "6.12.8-1", DIFF),
                   Change(Stock("kvm", "f", "called"), "6.12.8-1", "no KVM modules of 6.12.8-1"),
                   Change(Stock("kvm", "g", "called"), None, [])]
        to_do, lines = self.told(Seen("x", "6.12.9-1", [FETCHED], changes, False))
        self.assertTrue(to_do)
        self.assertEqual(lines[2:5], [
            "  kvm_amd:avic_vcpu_load (replaced): +2 -1 instructions from 6.12.8-1",
            "  kvm:f (called): compare with 6.12.8-1: no KVM modules of 6.12.8-1",
            "  kvm:g (called): audited in no other kernel"])
        self.assertTrue(lines[-1].endswith("then tools/audit add x avic_vcpu_load f g"))
        self.assertEqual((self.folder / "avic_vcpu_load.diff").read_text().splitlines(), DIFF)

    def test_a_kernel_that_nothing_was_built_for(self) -> None:
        failed = Result(False, "x: module builds without a warning")
        to_do, lines = self.told(Seen("x", "6.12.9-1", [FETCHED, failed], [], True))
        self.assertTrue(to_do)
        self.assertIn("  not ok x: module builds without a warning", lines)

    def test_a_kernel_that_has_left_the_archive(self) -> None:
        gone = Result(True, "x: is fetched # SKIP x has left the archive")
        self.assertEqual(self.told(Seen("x", None, [gone], [], False)), (False, [
            "x: not fetched", "  ok x: is fetched # SKIP x has left the archive"]))


if __name__ == "__main__":
    unittest.main()
