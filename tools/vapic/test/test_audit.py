# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import unittest

from vapic.audit.manifest import Line, Manifest
from vapic.audit.stock import Stock

FUNCTION = Stock("kvm", "f", "called")


def manifest() -> Manifest:
    return Manifest(["# head"], [Line("kvm", "f", "aa", ["6.12.9-1", "6.12.10-1"]),
                                 Line("kvm", "f", "bb", ["6.12.30-1"]),
                                 Line("kvm", "g", "cc", ["6.12.20-1"])])


class Audited(unittest.TestCase):
    def test_a_body_is_found_by_function_and_digest(self) -> None:
        known = manifest()
        self.assertIs(known.find(FUNCTION, "bb"), known.lines[1])
        self.assertIsNone(known.find(FUNCTION, "cc"))

    def test_the_nearest_kernel_is_the_newest_older_one_else_the_oldest(self) -> None:
        for release, nearest in (("6.12.11-1", "6.12.10-1"), ("6.12.30-1", "6.12.30-1"),
                                 ("6.13.1-1", "6.12.30-1"), ("6.1.1-1", "6.12.9-1")):
            self.assertEqual(manifest().nearest(FUNCTION, release), nearest)
        self.assertIsNone(manifest().nearest(Stock("kvm_amd", "f", "called"), "6.12.11-1"))

    def test_a_note_adds_a_release_or_a_body(self) -> None:
        known = manifest()
        known.note(FUNCTION, "aa", "6.12.9-2")
        known.note(FUNCTION, "aa", "6.12.9-2")
        known.note(FUNCTION, "dd", "6.12.31-1")
        self.assertEqual(known.lines[0].releases, ["6.12.9-1", "6.12.9-2", "6.12.10-1"])
        self.assertEqual(known.lines[3], Line("kvm", "f", "dd", ["6.12.31-1"]))


if __name__ == "__main__":
    unittest.main()
