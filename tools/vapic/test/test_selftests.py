# SPDX-License-Identifier: GPL-2.0-only
#
# The scripts of selftests/: run_tests, and find_harness, which the build asks for the kernel's
# test harness. Programs and source trees are stand-ins.

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from vapic.files import TOP

SELFTESTS = TOP / "selftests"

PROGRAMS = {
    "good": "echo 'TAP version 13'; echo 1..2; echo 'ok 1 one'; echo 'ok 2 two # XFAIL stock'",
    "half": "echo 1..2; echo 'ok 1 one'; echo 'ok 2 two # SKIP no such device'",
    "bad": "echo 1..2; echo 'ok 1 one'; echo 'not ok 2 two'; exit 1",
    "none": "echo 'TAP version 13'; echo '1..0 # SKIP the processor has no AVIC'; exit 4",
    "all-skip": "echo 1..1; echo 'ok 1 one # SKIP because'",
    "silent": "exit 0",
    "crash": "echo 1..2; echo 'ok 1 one'; kill -SEGV $$",
    "says-4": "echo what went wrong >&2; exit 4",
    "slow": "echo 'ok 1 one'; exec sleep 20",
}


def executable(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def run_script(self, name: str, *words: str, **environment: str) -> tuple[int, list[str], str]:
        """Its status, the lines that it printed, and what it said besides."""
        finished = subprocess.run([SELFTESTS / name, *words], capture_output=True, text=True,
                                  env={**os.environ, **environment})
        return finished.returncode, finished.stdout.splitlines(), finished.stderr


class RunTests(Folder):
    def setUp(self) -> None:
        super().setUp()
        for name, text in PROGRAMS.items():
            executable(self.folder / name, text)
        (self.folder / "settings").write_text("timeout=60\n", encoding="utf-8")

    def results(self, *programs: str, options: tuple[str, ...] = ()) -> tuple[int, list[str], str]:
        """Status, lines of programs, and the last line."""
        (self.folder / "tests").write_text("\n".join(programs), encoding="utf-8")
        status, lines, _ = self.run_script("run_tests", "-d", str(self.folder), *options)
        self.assertEqual(lines[:2], ["TAP version 13", f"1..{len(programs)}"])
        return (status, [line for line in lines if line.startswith(("ok", "not ok"))], lines[-1])

    def test_all_passed(self) -> None:
        self.assertEqual(self.results("good", "half"), (
            0, ["ok 1 selftests: vapic: good", "ok 2 selftests: vapic: half"],
            "# 3 passed, 0 failed, 1 skipped"))

    def test_one_failure_fails_all(self) -> None:
        self.assertEqual(self.results("bad", "good"), (
            1, ["not ok 1 selftests: vapic: bad # exit=1", "ok 2 selftests: vapic: good"],
            "# 3 passed, 1 failed, 0 skipped"))

    def test_nothing_but_skips(self) -> None:
        self.assertEqual(self.results("none", "all-skip"), (
            4, ["ok 1 selftests: vapic: none # SKIP the processor has no AVIC",
                "ok 2 selftests: vapic: all-skip # SKIP all of its tests"],
            "# 0 passed, 0 failed, 2 skipped"))

    def test_program_that_ran_nothing_failed(self) -> None:
        self.assertEqual(self.results("silent")[:2],
                         (1, ["not ok 1 selftests: vapic: silent # exit=0"]))

    def test_program_that_died_failed(self) -> None:
        self.assertEqual(self.results("crash"), (
            1, ["not ok 1 selftests: vapic: crash # exit=139"], "# 1 passed, 1 failed, 0 skipped"))

    def test_status_of_a_skip_alone_is_none(self) -> None:
        self.assertEqual(self.results("says-4")[:2],
                         (1, ["not ok 1 selftests: vapic: says-4 # exit=4"]))

    def test_program_that_is_missing_failed(self) -> None:
        self.assertEqual(self.results("gone")[:2],
                         (1, ["not ok 1 selftests: vapic: gone # exit=127"]))

    def test_program_that_takes_too_long_failed(self) -> None:
        self.assertEqual(self.results("slow", options=("-t", "0.3"))[:2],
                         (1, ["not ok 1 selftests: vapic: slow # TIMEOUT 0.3 seconds"]))

    def test_shows_what_a_program_says(self) -> None:
        (self.folder / "tests").write_text("says-4 good", encoding="utf-8")
        _, lines, _ = self.run_script("run_tests", "-d", str(self.folder))
        self.assertEqual(lines[2:5], ["# selftests: vapic: says-4", "# what went wrong",
                                      "not ok 1 selftests: vapic: says-4 # exit=4"])

    def test_wrong_usage(self) -> None:
        self.assertEqual(self.run_script("run_tests", "-x")[0], 2)
        status, _, said = self.run_script("run_tests", "-d", "/nonexistent")
        self.assertEqual(status, 2)
        self.assertIn("no programs in /nonexistent", said)


HOST, USER, SERIAL, MAC = "lovelace-ws7", "ada.byron", "SN-4711-XY", "52:54:00:ab:cd:ef"
UUID = "4c4c4544-0031-4b10-8044-b7c04f4d4b32"

# Commands that tell names, and programs that let slip all that they know
TELLING = {
    "uname": f"""case $1 in
        -n) echo {HOST}.example.org ;;
        -r) echo 6.12.48-{HOST} ;;
        *) echo "Linux {HOST} 6.12.48 #1 SMP ada@{HOST}" ;;
        esac""",
    "hostname": f"echo {HOST}",
    "logname": f"echo {USER}",
    "getent": f"echo '{USER}:x:1000:1000:Ada Byron,,,:/home/{USER}:/bin/sh'",
    "dmesg": f"""echo '[    1.0] DMI: Maker {SERIAL}/board of {USER}'
        echo '[    2.0] kvm_amd: AVIC enabled on {HOST}'
        echo '[    3.0] eth0: {MAC}'
        echo '[    4.0] vapic: /home/{USER}/vapic.ko: bad luck'""",
}
SLIPPING = f"""echo 'TAP version 13'; echo 1..1
    echo "# $0: at {HOST}, {HOST.upper()}.example.org, by {USER}, Ada Byron, in $PWD and $HOME"
    echo '# "/srv/{USER}/x" --dir=/srv/project/y (/opt/z) IRR/ISR {SERIAL} {MAC} {UUID} 10.1.2.33'
    echo '# fe80::5054:ff:feab:cdef%eth0/64 2001:db8:0:1:2:3:4:5: [::1]:80 byron,'
    echo '# ../acme/x >/acme/y)/acme/z'
    echo '# at 12:34:56, 0000:00:1f.2, vapic::avic and add: 5'
    echo '# lapic_fixes.c:12: 3 == 4, x{USER}2 is another word'
    echo 'ok 1 one'"""
TREE = {
    "proc/cpuinfo": f"""processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC 9354
stepping\t: 1
flags\t\t: fpu svm avic x2avic mmx
serial\t\t: {SERIAL}
""",
    "proc/cmdline": f"BOOT_IMAGE=/boot/{HOST} root=UUID={UUID} kvm_amd.avic=1 ip=10.1.2.33"
                    f" user={USER}",
    "proc/meminfo": "MemTotal:       65865720 kB\n",
    "proc/modules": f"kvm_amd 200 0 - Live 0x0\n{USER.replace('.', '_')} 1 0 - Live 0x0\n",
    "proc/sys/kernel/hostname": HOST,
    "proc/sys/kernel/tainted": "4096\n",
    "etc/hostname": f"{HOST}\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/os-release": f'NAME=x\nPRETTY_NAME="Debian GNU/Linux 13 of {HOST}"\n',
    "sys/class/dmi/id/product_serial": f"{SERIAL}\n",
    "sys/class/net/eth0/address": f"{MAC}\n",
    "sys/module/kvm_amd/parameters/avic": "Y\n",
    "sys/kernel/vapic/version": "0.1.0\n",
    "sys/kernel/vapic/vcpus": f"pid=1 vm of {USER}\n",
}


class Report(Folder):
    def setUp(self) -> None:
        super().setUp()
        self.bin = self.folder / "bin"
        self.programs = self.folder / USER / "programs"
        for folder in (self.bin, self.programs):
            folder.mkdir(parents=True)
        for name, text in TELLING.items():
            executable(self.bin / name, text)
        self.be("1000")
        for name in ("one", "active", "ipi_bench", "path_bench"):
            executable(self.programs / name, SLIPPING)
        (self.programs / "run_tests").write_bytes((SELFTESTS / "run_tests").read_bytes())
        (self.programs / "run_tests").chmod(0o755)
        for name, text in (("tests", "one"), ("settings", "timeout=60")):
            (self.programs / name).write_text(text, encoding="utf-8")
        for name, text in TREE.items():
            file = self.folder / "root" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    def be(self, number: str) -> None:
        executable(self.bin / "id", f"[ $1 = -u ] && echo {number} || echo {USER}")

    def report(self, *words: str) -> str:
        file = self.folder / "report.txt"
        status, lines, said = self.run_script(
            "report", "-d", str(self.programs), "-o", str(file), *words,
            PATH=f"{self.bin}:{os.environ['PATH']}", VAPIC_ROOT=f"{self.folder}/root",
            USER=USER, LOGNAME=USER, SUDO_USER="", HOME=f"/home/{USER}")
        self.assertEqual((status, lines), (0, []), said)
        return file.read_text(encoding="utf-8")

    def test_names_neither_the_machine_nor_a_person(self) -> None:
        text = self.report()
        self.assertIn("ok 1 selftests: vapic: one", text)
        for planted in (HOST, "ada@", USER + " ", f"{USER},", "byron,", "Ada Byron", SERIAL, MAC,
                        UUID, "10.1.2.33", "/home", "/srv", "/opt", "0123456789abcdef",
                        str(self.folder), "example.org", "BOOT_IMAGE", "eth0", "ada_byron",
                        "5054:ff", "2001:db8", "::1", "acme"):
            with self.subTest(planted=planted):
                self.assertNotIn(planted.lower(), text.lower())

    def test_writes_nothing_if_a_name_came_through(self) -> None:
        leaky = self.folder / "leaky"
        text = (SELFTESTS / "report").read_text(encoding="utf-8")
        self.assertIn('clean <"$work/raw"', text)
        leaky.write_text(text.replace('clean <"$work/raw"', 'cat <"$work/raw"'), encoding="utf-8")
        leaky.chmod(0o755)
        file = self.folder / "leaked.txt"
        finished = subprocess.run(
            [leaky, "-f", "-d", self.programs, "-o", file], capture_output=True, text=True,
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}",
                 "VAPIC_ROOT": f"{self.folder}/root"})
        self.assertEqual(finished.returncode, 1)
        self.assertIn("is still in it, so nothing was written", finished.stderr)
        self.assertFalse(file.exists())

    def test_has_what_a_developer_wants_to_know(self) -> None:
        text = self.report()
        for line in ("vendor_id: AuthenticAMD", "cpu family: 25", "flags: svm avic x2avic",
                     "model name: AMD EPYC 9354", "memory: about 65 GB",
                     "release: 6.12.48-(removed)", "command line: kvm_amd.avic=1",
                     "kvm_amd/parameters/avic: Y", "0.1.0", "kvm_amd: AVIC enabled on (removed)",
                     "vapic: (path) bad luck", "# 1 passed, 0 failed, 0 skipped",
                     f"# # lapic_fixes.c:12: 3 == 4, x{USER}2 is another word",
                     "== active", "== ipi_bench", "== path_bench"):
            with self.subTest(line=line):
                self.assertIn(line, text.splitlines())
        self.assertIn("IRR/ISR", text)
        self.assertIn("# at 12:34:56, 0000:00:1f.2, vapic::avic and add: 5", text)

    def test_says_what_root_would_add(self) -> None:
        self.assertIn("not here, because it was not run as root", self.report())
        self.be("0")
        self.assertNotIn("root", self.report())

    def test_facts_alone_run_no_test(self) -> None:
        text = self.report("-f")
        self.assertNotIn("ok 1", text.partition("== active")[0])
        self.assertNotIn("== tests", text)
        self.assertIn("== active", text)

    def test_fails_if_awk_does(self) -> None:
        executable(self.bin / "awk", """case "$*" in *names=*) exit 2 ;; esac
            exec /usr/bin/awk "$@" """)
        file = self.folder / "report.txt"
        status, _, said = self.run_script(
            "report", "-f", "-d", str(self.programs), "-o", str(file),
            PATH=f"{self.bin}:{os.environ['PATH']}", VAPIC_ROOT=f"{self.folder}/root")
        self.assertEqual((1, False), (status, file.exists()))
        self.assertIn("nothing was written", said)

    def test_names_of_the_processor_and_of_the_distribution_make_no_holes(self) -> None:
        executable(self.bin / "uname", "[ $1 = -n ] && echo epyc.deb13 || echo 6.12.48+deb13-amd64")
        for name, text in (("chassis_serial", "None"), ("board_serial", "12")):
            (self.folder / "root/sys/class/dmi/id" / name).write_text(text, encoding="utf-8")
        lines = self.report().splitlines()
        self.assertIn("model name: AMD EPYC 9354", lines)
        self.assertIn("release: 6.12.48+deb13-amd64", lines)

    def test_takes_no_processor_offline_unasked(self) -> None:
        executable(self.programs / "host_hotplug", "echo 1..1; echo 'ok 1 offline'")
        (self.programs / "tests").write_text("one\nhost_hotplug\n", encoding="utf-8")
        for words, runs in (((), False), (("-H",), True), (("host_hotplug",), True),
                            (("one",), False)):
            with self.subTest(words=words):
                self.assertEqual(runs, "ok 1 offline" in self.report(*words))

    def test_names_of_everybody_stay(self) -> None:
        for name in ("uname", "logname", "getent", "hostname"):
            executable(self.bin / name, "echo kvm")
        self.assertIn("kvm_amd/parameters/avic: Y", self.report())


class FindHarness(Folder):
    """A copy of it, which has no repository around it."""

    def setUp(self) -> None:
        super().setUp()
        self.src = self.folder / "src"
        self.src.mkdir()
        self.script = self.folder / "find_harness"
        self.script.write_bytes((SELFTESTS / "find_harness").read_bytes())
        self.script.chmod(0o755)
        self.unpacked = ".vapic-harness"
        # A kernel without its source
        executable(self.folder / "uname", "echo 0.0.0-none")

    def tree(self, name: str, harness: str = "exit_code") -> Path:
        headers = self.folder / name / "tools/testing/selftests"
        headers.mkdir(parents=True)
        (headers / "kselftest.h").touch()
        (headers / "kselftest_harness.h").write_text(harness, encoding="utf-8")
        return self.folder / name

    def archive(self, name: str, harness: str = "exit_code") -> Path:
        tree = self.tree(name, harness)
        file = self.src / f"{name}.tar.gz"
        subprocess.run(["tar", "-C", self.folder, "-czf", file, name], check=True)
        subprocess.run(["rm", "-r", tree], check=True)
        return file

    def find(self, ksrc: str = "") -> tuple[int, str, str]:
        finished = subprocess.run(
            [self.script, self.folder / self.unpacked, ksrc], capture_output=True, text=True,
            env={"PATH": f"{self.folder}:{os.environ['PATH']}", "VAPIC_USR_SRC": str(self.src)})
        return finished.returncode, finished.stdout.strip(), finished.stderr.strip()

    def test_tree_that_somebody_names(self) -> None:
        tree = str(self.tree("linux-6.12"))
        self.assertEqual(self.find(tree), (0, tree, ""))

    def test_archive_that_somebody_names(self) -> None:
        file = self.archive("linux-source-6.12")
        self.assertEqual(self.find(str(file)), (0, f"{self.folder}/.vapic-harness", ""))

    def test_newest_archive_that_is_installed(self) -> None:
        self.archive("linux-source-6.1", "passed")
        self.archive("linux-source-6.9")
        newest = self.archive("linux-source-6.12")
        status, found, said = self.find()
        self.assertEqual((status, found), (0, f"{self.folder}/.vapic-harness"))
        self.assertIn(str(newest), said)
        # The next time it is there.
        self.assertEqual(self.find(), (0, f"{self.folder}/.vapic-harness", ""))

    def test_no_folder_of_somebody_is_removed(self) -> None:
        tree = self.tree("linux", "passed")
        self.unpacked = "linux"
        status, found, said = self.find(str(self.archive("linux-source-6.12")))
        self.assertEqual((status, found), (1, ""))
        self.assertIn("may be somebody's", said)
        self.assertTrue((tree / "tools/testing/selftests/kselftest.h").exists())

    def test_clean_removes_no_linux(self) -> None:
        tree = self.tree("linux")
        subprocess.run(["make", "-s", "-C", SELFTESTS, "clean", f"O={self.folder}"], check=True)
        self.assertTrue((tree / "tools/testing/selftests/kselftest.h").exists())

    def test_tree_that_is_installed(self) -> None:
        self.tree("src/linux-6.1", "passed")
        self.assertEqual(self.find()[0], 1)
        tree = str(self.tree("src/linux-6.12"))
        self.assertEqual(self.find(), (0, tree, ""))

    def test_one_line_if_there_is_none(self) -> None:
        for ksrc, why in (("", "install linux-source, or say KSRC="),
                          (str(self.tree("old", "passed")), "is older than Linux 6.9's"),
                          (str(self.src), "holds no tools/testing/selftests/kselftest_harness.h"),
                          (str(self.archive("ancient", "passed")), "no archive of Linux 6.9"),
                          ("/nonexistent", "no such folder or archive")):
            with self.subTest(why=why):
                status, found, said = self.find(ksrc)
                self.assertEqual((status, found), (1, ""))
                self.assertIn(why, said)
                self.assertEqual(len(said.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
