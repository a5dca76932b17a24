# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from vapic.kunit import coverage, results


def group(name: str, cases: dict[str, str], *inner: object) -> dict[str, object]:
    return {"name": name, "sub_groups": list(inner),
            "test_cases": [{"name": case, "status": status} for case, status in cases.items()]}


class Results(unittest.TestCase):
    def test_each_case_with_what_it_is_a_part_of(self) -> None:
        said = group("KUnit Test Group", {}, group("main", {}), group(
            "vapic_a", {"one": "PASS", "two": "FAIL"},
            group("three", {"x": "PASS", "y": "ERROR", "z": "SKIP"})))
        self.assertEqual(results.lines(json.dumps(said), "vapic_b"), [
            "ok 1 - vapic_a: one", "not ok 2 - vapic_a: two", "ok 3 - vapic_a: three: x",
            "not ok 4 - vapic_a: three: y", "ok 5 - vapic_a: three: z # SKIP"])

    def test_without_the_suite_of_the_other_vendor(self) -> None:
        said = group("all", {}, group("vapic_a", {"one": "PASS"}),
                     group("vapic_b", {"two": "SKIP"}))
        self.assertEqual(results.lines(json.dumps(said), "vapic_b"), ["ok 1 - vapic_a: one"])

    def test_no_case_at_all(self) -> None:
        self.assertEqual(results.lines(json.dumps(group("all", {})), "vapic_b"), [])


class Coverage(unittest.TestCase):
    SAID = json.dumps({"files": [
        {"file": "kunit/../kvm/a.c", "lines": [
            {"line_number": 3, "count": 2, "function_name": "one"},
            {"line_number": 4, "count": 0, "function_name": "one"},
            {"line_number": 4, "count": 1, "function_name": "two"},
            {"line_number": 9, "count": 0, "function_name": "three"}]},
        {"file": "kvm/generated/b.h", "lines": [{"line_number": 1, "count": 1}]},
        {"file": "/usr/include/c.h", "lines": [{"line_number": 1, "count": 1}]},
        {"file": "avic/d.cpp", "lines": [{"line_number": 1, "count": 1}]}]})

    def counts(self, times: int = 1) -> coverage.Counts:
        found = coverage.nothing()
        for _ in range(times):
            coverage.add(found, self.SAID, Path("/build"))
        return found

    def test_only_files_of_the_module_by_their_place(self) -> None:
        self.assertEqual(self.counts(), {
            "kvm/a.c": {"one": {3: 2, 4: 0}, "two": {4: 1}, "three": {9: 0}},
            "avic/d.cpp": {"": {1: 1}}})

    def test_what_two_objects_have_is_one(self) -> None:
        self.assertEqual(self.counts(2)["kvm/a.c"]["one"], {3: 4, 4: 0})

    def test_the_sum_is_of_the_glue_alone_and_what_is_left_has_names(self) -> None:
        self.assertEqual([line.split() for line in coverage.table(self.counts())], [
            ["avic/d.cpp", "1", "of", "1", "lines", "100.0", "%"],
            ["kvm/a.c", "2", "of", "3", "lines", "66.7", "%"],
            ["never:", "three"],
            ["not", "lines:", "one", "(4)"],
            ["glue", "2", "of", "3", "lines", "66.7", "%"]])

    def test_without_the_other_vendors_files(self) -> None:
        self.assertEqual(coverage.table(self.counts(), ["kvm/a.c", "avic/"]), [])

    def test_counts_go_beside_the_notes_of_their_object(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            build, counted = Path(folder, "build"), Path(folder, "out")
            for path in (build / "kvm/a.gcno", build / "avic/a.gcno", build / "kvm/b.gcno",
                         counted / "some/where/kvm/a.gcda", counted / "some/where/kvm/c.gcda"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(str(path))
            self.assertEqual(coverage.gather(build, counted), [build / "kvm/a.gcda"])
            self.assertEqual((build / "kvm/a.gcda").read_text(),
                             str(counted / "some/where/kvm/a.gcda"))


if __name__ == "__main__":
    unittest.main()
