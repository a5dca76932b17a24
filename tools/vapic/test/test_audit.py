# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import lzma
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from vapic.audit.machine_code import same_words
from vapic.audit.manifest import Line, Manifest
from vapic.audit.stock import Kernel, Refused, Stock
from vapic.files import HOME, TOP

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

    def test_the_same_build_is_nearest(self) -> None:
        known = Manifest([], [Line("kvm", "f", "aa", ["6.12.7+deb13-amd64"]),
                              Line("kvm", "f", "bb", ["6.12.8+deb12-amd64"]),
                              Line("kvm", "f", "cc", ["6.12.8+deb13-rt-amd64"])])
        for release, nearest in (("6.12.9+deb13-amd64", "6.12.7+deb13-amd64"),
                                 ("6.12.9+deb12-amd64", "6.12.8+deb12-amd64"),
                                 ("6.12.7+deb13-rt-amd64", "6.12.8+deb13-rt-amd64"),
                                 ("6.12.9+deb13-cloud-amd64", "6.12.8+deb13-rt-amd64")):
            self.assertEqual(known.nearest(FUNCTION, release), nearest)

    def test_a_note_adds_a_release_or_a_body(self) -> None:
        known = manifest()
        known.note(FUNCTION, "aa", "6.12.9-2")
        known.note(FUNCTION, "aa", "6.12.9-2")
        known.note(FUNCTION, "dd", "6.12.31-1")
        self.assertEqual(known.lines[0].releases, ["6.12.9-1", "6.12.9-2", "6.12.10-1"])
        self.assertEqual(known.lines[3], Line("kvm", "f", "dd", ["6.12.31-1"]))


def boot_image(payload: bytes) -> bytes:
    """Two sectors of setup, and what the boot protocol says of a payload 16 bytes behind them."""
    setup = bytearray(3 * 512 + 16)
    setup[0x1f1] = 2
    setup[0x248:0x24c] = (16).to_bytes(4, "little")
    setup[0x24c:0x250] = (len(payload) + 4).to_bytes(4, "little")
    return bytes(setup) + payload + b"size" + b"behind"


class BootImage(unittest.TestCase):
    VMLINUX = b"\x7fELF" + bytes(range(256)) * 20

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.image = Path(folder.name) / "vmlinuz"

    def unpacked(self) -> bytes:
        return Path(Kernel(".", None, self.image).file_with_btf()).read_bytes()

    def test_it_is_unpacked_if_the_headers_have_no_btf(self) -> None:
        self.image.write_bytes(boot_image(lzma.compress(self.VMLINUX)))
        self.assertEqual(self.unpacked(), self.VMLINUX)

    @unittest.skipUnless(shutil.which("zstd"), "there is no zstd")
    def test_it_may_be_compressed_with_zstd(self) -> None:
        self.image.write_bytes(boot_image(subprocess.run(
            ["zstd", "-qc"], input=self.VMLINUX, stdout=subprocess.PIPE, check=True).stdout))
        self.assertEqual(self.unpacked(), self.VMLINUX)

    def test_what_cannot_be_unpacked_is_refused_in_one_line(self) -> None:
        for payload, says in ((b"\x1f\x8b\x08\x00", "neither zstd's nor xz's"),
                              (b"\xfd7zXZ\0broken", "^cannot unpack [^\n]*vmlinuz$")):
            self.image.write_bytes(boot_image(payload))
            with self.assertRaisesRegex(Refused, says):
                self.unpacked()


class Disassembly(unittest.TestCase):
    def test_a_shift_by_one_reads_the_same_whoever_disassembles_it(self) -> None:
        for old, new in (("shr %ecx", "shr $1,%ecx"), ("sarq 0x8(%rdi)", "sarq $1,0x8(%rdi)"),
                         ("rcl %al", "rcl $1,%al"), ("lock shlb (%rax)", "lock shlb $1,(%rax)")):
            self.assertEqual(same_words(old), old)
            self.assertEqual(same_words(new), old)
        for other in ("shr $0x1,%ecx", "shr $0x10,%ecx", "sub $1,%ecx", "shrd $1,%eax,%ecx"):
            self.assertEqual(same_words(other), other)


class Build(unittest.TestCase):
    """Kbuild makes anew what a program makes if a file of the program changes."""

    def prerequisites(self, target: str) -> set[str]:
        """The tools' files in it, as make reads Kbuild."""
        rules = f"src := .\nobj := .\nCC := gcc\ninclude Kbuild\nshow: ; @echo {target}\n"
        done = subprocess.run(["make", "--no-print-directory", "-f", "-", "show"], input=rules,
                              cwd=TOP, text=True, check=True, capture_output=True)
        return {word[2:] for word in done.stdout.split() if word.startswith("./tools/")}

    def imported(self, *modules: str) -> set[str]:
        """The files of this package that are read to import these."""
        code = (f"import sys, {', '.join(modules)}\n"
                "print(*(module.__file__ for name, module in sys.modules.items()"
                " if name.partition('.')[0] == 'vapic'))")
        done = subprocess.run([sys.executable, "-B", "-c", code], cwd=HOME, text=True, check=True,
                              capture_output=True)
        return {file.removeprefix(f"{TOP}/") for file in done.stdout.split()}

    def test_all_files_of_the_audit_are_named(self) -> None:
        self.assertEqual(
            self.prerequisites("$(audit-program)"),
            {"tools/audit"} | self.imported("vapic.audit.__main__", "vapic.audit.machine_code"))

    def test_all_files_of_layout_gen_are_named(self) -> None:
        self.assertEqual(self.prerequisites("$(layout-program)"), self.imported("vapic.btf"))


if __name__ == "__main__":
    unittest.main()
