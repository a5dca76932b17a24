# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import json
import tempfile
import unittest
import xml.etree.ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from vapic.demo import figures, page, table, verdict
from vapic.demo.figures import GuestFigures, IpiFigures, ModeFigures, Pair, Report, Vcpu
from vapic.test import recorded_demo

AMD, INTEL = 0, 1
STOCK, VAPIC = 1, -1


def recorded() -> Report:
    with tempfile.TemporaryDirectory() as raw:
        recorded_demo.everything(raw)
        return figures.report(raw)


def with_mode(report: Report, machine: int, which: int, mode: ModeFigures) -> Report:
    """The same with other figures of one mode."""
    machines = list(report.machines)
    modes = list(machines[machine].modes)
    modes[which] = mode
    machines[machine] = replace(machines[machine], modes=modes)
    return Report(machines)


class Figures(unittest.TestCase):
    def setUp(self) -> None:
        self.report = recorded()

    def test_the_round_that_was_disturbed_least_counts(self) -> None:
        ipis = self.report.machines[AMD].modes[VAPIC].ipis["unicast_running"]
        self.assertEqual(ipis.ticks["median"],
                         min(ticks["median"] for ticks in ipis.ticks_of_rounds))
        self.assertEqual((ipis.ipis, ipis.rounds), (400, 2))

    def test_interrupts_of_the_host_are_no_exits_for_ipis(self) -> None:
        ipis = self.report.machines[AMD].modes[0].ipis["unicast_running"]
        self.assertEqual(ipis.exits_per_ipi, 1)
        self.assertAlmostEqual(ipis.host_interrupts_per_ipi, 9 / 400)

    def test_the_report_is_amd_at_the_top_and_intel_in_a_field(self) -> None:
        found = json.loads(json.dumps(self.report.recorded()))
        self.assertEqual([mode["name"] for mode in found["modes"]],
                         ["stock-avic0", "stock-avic1", "vapic-avic1"])
        self.assertEqual(len(found["intel"]["modes"]), 4)
        self.assertEqual(found["modes"][VAPIC]["takeover"], ["op one", "wrap two"])
        self.assertNotIn("takeover", found["modes"][STOCK])

    def test_nothing_measured_is_an_error(self) -> None:
        with tempfile.TemporaryDirectory() as raw, self.assertRaises(SystemExit):
            figures.report(raw)


class Verdicts(unittest.TestCase):
    def setUp(self) -> None:
        self.report = recorded()

    def failed(self, machine: int, which: int, mode: ModeFigures) -> list[str]:
        checks = verdict.checks(with_mode(self.report, machine, which, mode))
        return [check.what for check in checks if not check.ok]

    def failed_with_ipis(self, machine: int, which: int, name: str, **other: Any) -> list[str]:
        mode = self.report.machines[machine].modes[which]
        ipis: IpiFigures = replace(mode.ipis[name], **other)
        return self.failed(machine, which, replace(mode, ipis={**mode.ipis, name: ipis}))

    def failed_with_guest(self, machine: int, guest: GuestFigures) -> list[str]:
        mode = self.report.machines[machine].modes[VAPIC]
        return self.failed(machine, VAPIC, replace(mode, guests={**mode.guests, "2": guest}))

    def test_all_hold(self) -> None:
        checks = verdict.checks(self.report)
        self.assertGreater(len(checks), 40)
        self.assertEqual([check for check in checks if not check.ok], [])

    def test_a_mode_that_was_not_measured(self) -> None:
        amd, intel = self.report.machines
        checks = verdict.checks(Report([replace(amd, modes=amd.modes[:2]), intel]))
        self.assertEqual([check.what for check in checks if not check.ok],
                         ["AMD, vapic avic=1: was measured"])

    def test_exits(self) -> None:
        vapic = "AMD, vapic avic=1: "
        self.assertEqual(self.failed_with_ipis(AMD, VAPIC, "unicast_running", exits_per_ipi=0.01),
                         [vapic + "0.00 exits per unicast IPI to a running vCPU"])
        self.assertEqual(self.failed_with_ipis(AMD, VAPIC, "self", exits_per_ipi=0.01),
                         [vapic + "0.00 exits per self-IPI"])
        self.assertEqual(
            self.failed_with_ipis(AMD, VAPIC, "unicast_running", without_exit_per_ipi=0.5),
            [vapic + "these IPIs went through the emulated processor"])
        self.assertEqual(
            self.failed_with_ipis(INTEL, 0, "unicast_running", exits_per_ipi=0.99),
            ["Intel, stock apicv=0: at least 1.00 exits per unicast IPI to a running vCPU"])
        # Intel's broadcasts exit, whatever the mode.
        self.assertEqual(self.failed_with_ipis(INTEL, VAPIC, "broadcast", exits_per_ipi=9), [])

    def test_acceleration(self) -> None:
        self.assertEqual(self.failed_with_ipis(AMD, STOCK, "unicast_running", accelerated=False),
                         ["AMD, stock avic=1: APIC accelerated: yes"])

    def test_guests(self) -> None:
        guest = self.report.machines[AMD].modes[VAPIC].guests["2"]
        assert guest.vapic
        what = "AMD, vapic avic=1: Linux guest, 2 vCPUs"
        for other, said in (
                (replace(guest, status=1), [f"{what}, finishes hackbench"]),
                (replace(guest, seconds=[1.0]), [f"{what}, finishes hackbench"]),
                (replace(guest, ipis_without_exit=0), [f"{what}, sends IPIs without exits"]),
                (replace(guest, incomplete_ipi={"not_running": 3, "target": 1}),
                 [f"{what}: hackbench's IPIs exit only for targets that do not run"]),
                (replace(guest, vapic=replace(guest.vapic, vcpus=[Vcpu(0, True, "none"),
                                                                  Vcpu(1, False, "x2avic")])),
                 [f"{what}: every vCPU is accelerated"]),
                (replace(guest, vapic=replace(guest.vapic, exits_in_life={"access": Pair(1, 2)})),
                 [f"{what}: emulator and vapic count the same APIC exits from boot to end"])):
            self.assertEqual(self.failed_with_guest(AMD, other), said)

    def test_what_intel_refuses(self) -> None:
        guest = self.report.machines[INTEL].modes[VAPIC].guests["2"]
        self.assertEqual(self.failed_with_guest(INTEL, replace(guest, ipis_refused={"vector": 1})),
                         ["Intel, vapic ipiv=1: Linux guest, 2 vCPUs: hackbench's IPIs exit"
                          " unless they are physical unicasts"])


class WellFormed(HTMLParser):
    """Elements are closed in the order in which they were opened."""
    VOID = ("meta", "line", "circle")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class Page(unittest.TestCase):
    def setUp(self) -> None:
        self.report = recorded()

    def html(self, report: Report | None = None) -> str:
        return page.html(report or self.report, verdict.checks(self.report))

    def test_it_is_well_formed(self) -> None:
        found = WellFormed(self.html())
        self.assertEqual(found.open, [])
        self.assertLess({"section", "svg", "table", "caption", "dl", "ul", "style"}, found.seen)

    def test_plots_are_well_formed_by_themselves(self) -> None:
        text = self.html()
        plots = text.split("<svg")[1:]
        # Three kinds of each machine, of which one is there twice.
        self.assertEqual(len(plots), 8)
        for plot in plots:
            xml.etree.ElementTree.fromstring("<svg" + plot.partition("</svg>")[0] + "</svg>")

    def test_words_of_the_machine_are_no_markup(self) -> None:
        self.assertNotIn("both", WellFormed(self.html()).seen)
        self.assertIn('AMD & Intel <"both">, 4 CPUs', "".join(WellFormed(self.html()).words))

    def test_what_does_not_hold_is_marked(self) -> None:
        checks = [verdict.Check("a < b", False, "b"), verdict.Check("c", True, "d")]
        text = page.html(self.report, checks)
        self.assertIn("✗ does not hold:", text)
        self.assertIn("a &lt; b", text)
        self.assertEqual(text.count('class="bad"'), 1)
        self.assertEqual(text.count('class="ok"'), 1)

    def test_a_scenario_that_one_mode_lacks_leaves_a_gap(self) -> None:
        mode = self.report.machines[AMD].modes[STOCK]
        ipis = {name: each for name, each in mode.ipis.items() if name != "broadcast"}
        guests = {"4": replace(mode.guests["4"], seconds=[], median_seconds=None)}
        report = with_mode(self.report, AMD, STOCK, replace(mode, ipis=ipis, guests=guests))
        self.assertEqual(WellFormed(self.html(report)).open, [])
        text = table.text(report, [])
        self.assertIn("not finished", text)
        self.assertRegex(text, r"broadcast to all others  \(400 IPIs in 2 rounds, 3 targets\)\n"
                         r"  exits per IPI +1\.06 +– +1\.06\n")

    def test_the_table_holds_the_checks(self) -> None:
        text = table.text(self.report, [verdict.Check("this", False, "that")])
        self.assertTrue(text.endswith("\nNOT OK  this  (that)"))


if __name__ == "__main__":
    unittest.main()
