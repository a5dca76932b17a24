# SPDX-License-Identifier: GPL-2.0-only
#
# How tests/model/check reads what a model says of itself.

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from vapic.files import TOP


def program() -> Any:
    path = str(TOP / "tests/model/check")
    loader = importlib.machinery.SourceFileLoader("model_check", path)
    spec = importlib.util.spec_from_loader("model_check", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look themselves up.
    sys.modules["model_check"] = module
    loader.exec_module(module)
    return module


class Rows(unittest.TestCase):
    def rows(self, *lines: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.pml"
            text = ["// About.", "//", "// How it is run (tests/model/check reads this):", *lines,
                    "", "// not   a row"]
            path.write_text("\n".join(text), encoding="utf-8")
            return [" ".join((row.kind, *row.defines)) for row in program().rows_of(path)]

    def test_reads_rows_and_headings(self) -> None:
        self.assertEqual(["sound A", "wrong A B_C", "slow A"], self.rows(
            "//   sound  A", "//   wrong  A  B_C     what that is", "//", "// With --slow:",
            "//   slow  A"))

    def test_refuses_what_it_cannot_parse(self) -> None:
        for line in ("//  sound  A", "//    sound  A", "//   sound A", "//   souund  A",
                     "//   wrong", "//   wrong  a", "//\tsound  A", "// sound  A"):
            with self.subTest(line=line), self.assertRaises(SystemExit):
                self.rows("//   sound  A", line)

    def test_each_model_has_as_many_rows_as_lines_that_look_like_one(self) -> None:
        for model in ("avic", "pit", "posted"):
            path = TOP / f"tests/model/{model}.pml"
            looks = [line for line in path.read_text(encoding="utf-8").splitlines()
                     if line.startswith("//   ")]
            self.assertEqual(len(looks), len(program().rows_of(path)), model)


if __name__ == "__main__":
    unittest.main()
