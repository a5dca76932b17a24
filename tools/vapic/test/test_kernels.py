# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

from vapic import kernels
from vapic.check import stages
from vapic.check.tests import Host, Program
from vapic.files import TOP
from vapic.run.build import Headers

sys.path.insert(0, str(TOP / "testbed/lib"))

import module  # noqa: E402

LINE = "6.12-a  trixie  linux-image-amd64,linux-image-b/c  gcc-14  yes  amd64\n"


class TheList(unittest.TestCase):
    def test_what_a_line_says(self) -> None:
        self.assertEqual(kernels.parse("# words\n" + LINE), [kernels.Kernel(
            "6.12-a", "trixie", ["linux-image-amd64", "linux-image-b/c"], "gcc-14", True,
            "amd64")])
        self.assertEqual(kernels.parse(LINE)[0].series, "6.12")
        self.assertFalse(kernels.parse(LINE.replace("yes", "no"))[0].supported)

    def test_a_line_that_says_nothing(self) -> None:
        for text, wanted in ((LINE + "6.13-a trixie", ":2: not six columns"),
                             (LINE.replace("yes", "perhaps"), ":1: not six columns"),
                             (LINE + LINE, ":2: 6.12-a is there twice")):
            with self.assertRaises(kernels.Bad) as raised:
                kernels.parse(text)
            self.assertIn(wanted, str(raised.exception))

    def test_a_kernel_by_name(self) -> None:
        self.assertEqual(kernels.find("6.12-deb12").compiler, "gcc-12")
        with self.assertRaises(kernels.Bad) as raised:
            kernels.find("6.12")
        self.assertIn("unknown kernel '6.12': 6.12-deb13, ", str(raised.exception))

    def test_which_one_is_meant(self) -> None:
        with unittest.mock.patch.dict(os.environ, {"VAPIC_KERNEL": ""}):
            self.assertEqual(kernels.chosen(), "6.12-deb13")
        with unittest.mock.patch.dict(os.environ, {"VAPIC_KERNEL": "6.12-deb13-rt"}):
            self.assertEqual(kernels.chosen(), "6.12-deb13-rt")

    def test_check_tries_each(self) -> None:
        commands = [test.command for test in stages.STAGES["kernels"]
                    if isinstance(test, Program)]
        self.assertEqual(commands, [f"tools/check.d/kernel {kernel.name} {{logs}}"
                                    for kernel in kernels.listed()])


class HeadersOfKernel(unittest.TestCase):
    SAID = "KVER=6\nKDIR=/a\\ b\nKMODDIR=/m\nVMLINUX=/v\nKPATH=''\n"

    def test_what_kernel_headers_prints(self) -> None:
        self.assertEqual(Headers.of(self.SAID), Headers("6", "/a b", "/m", "/v", ""))
        self.assertEqual(Headers.of(self.SAID).variables(),
                         ["KDIR=/a b", "KMODDIR=/m", "VMLINUX=/v", "KPATH="])

    def test_what_it_was_configured_with(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, ".config").write_text("CONFIG_KVM=m\n# CONFIG_AMD_IOMMU is not set\n"
                                               "CONFIG_AMD_IOMMU_V2=y\n")
            headers = Headers("6", folder, "", "", "")
            self.assertTrue(headers.has("KVM"))
            self.assertFalse(headers.has("AMD_IOMMU"))
            self.assertEqual(Host("amd", "a", "--iommu --stock", "b").lacks(headers),
                             "CONFIG_AMD_IOMMU")
            self.assertIsNone(Host("amd", "a", "--stock", "b").lacks(headers))

    def test_its_own_compiler_comes_first(self) -> None:
        with unittest.mock.patch.dict(os.environ, {"PATH": "/bin"}):
            self.assertEqual(Headers.of(self.SAID).compiling(["a"]), ["env", "PATH=/bin", "a"])
            own = Headers.of(self.SAID.replace("''", "/own"))
            self.assertEqual(own.compiling(["a"]), ["env", "PATH=/own:/bin", "a"])


class Module(unittest.TestCase):
    def test_one_that_is_not_for_the_kernel_that_boots(self) -> None:
        built = b"\0license=GPL\0vermagic=6.12.118+deb13-amd64 SMP preempt \0"
        self.assertIsNone(module.misfit("/v.ko", built, "6.12.118+deb13-amd64", "6.12-deb13"))
        self.assertEqual(module.misfit("/v.ko", built, "6.12.117+deb12-amd64", "6.12-deb12"),
                         "/v.ko is for 6.12.118+deb13-amd64, and 6.12-deb12 is"
                         " 6.12.117+deb12-amd64: make KERNEL=6.12-deb12")
        # The kernel says what is wrong with it.
        self.assertIsNone(module.misfit("/v.ko", b"no module", "6", "6.12-deb12"))


class Archive(unittest.TestCase):
    """testbed/lib/kernel.sh, with an archive of our own: lines 'PACKAGE=WHAT IT DEPENDS ON'."""

    def ask(self, archive: str, words: str, name: str = "6.12-deb12") -> tuple[int, str]:
        script = f"""
            . testbed/lib/kernel.sh
            debian_field() {{ sed -n "s|^$1=||p" <<<"$archive"; }}
            kernel_columns {name}
            {words}
        """
        ended = subprocess.run(["bash", "-c", script], cwd=TOP, text=True, capture_output=True,
                               env={**os.environ, "archive": archive})
        return ended.returncode, ended.stdout + ended.stderr

    def test_the_newest_image_of_the_series(self) -> None:
        security = "linux-image-6.12-amd64=linux-image-6.12.117+deb12-amd64 (= 6.12.117-1)"
        for other, wanted in (("6.12.95+deb12", "6.12.117"), ("6.12.118+deb12", "6.12.118"),
                              ("6.13.1+deb12", "6.12.117"), ("6.12.119+deb12-rt", "6.12.117")):
            backports = f"linux-image-amd64/bookworm-backports=linux-image-{other}-amd64 (= 1)"
            self.assertEqual(self.ask(f"{security}\n{backports}",
                                      "kernel_image_package 6.12-deb12"),
                             (0, f"linux-image-{wanted}+deb12-amd64\n"))

    def test_a_kernel_that_left_the_archive(self) -> None:
        for archive in ("", "linux-image-amd64/trixie-backports=linux-image-7.4.1+deb13-amd64"):
            self.assertEqual(
                self.ask(archive, "kernel_image_package 7.3-deb13", "7.3-deb13"),
                (1, "testbed: error: kernel 7.3-deb13 has left the archive: Debian trixie offers "
                    "no 7.3 today\n"))

    def test_all_packages_of_a_kernel(self) -> None:
        archive = """
linux-image-7.3.4+deb13-amd64=dracut | initramfs-tools, linux-base-7.3.4+deb13-amd64 (= 1), \
linux-binary-7.3.4+deb13-amd64 (= 1), linux-modules-7.3.4+deb13-amd64 (= 1)
linux-headers-7.3.4+deb13-amd64=gcc-14-for-host, linux-base (>= 4.12~), \
linux-headers-7.3.4+deb13-common (= 1), linux-kbuild-7.3.4+deb13"""
        self.assertEqual(
            self.ask(archive, "kernel_packages linux-image-7.3.4+deb13-amd64"),
            (0, "".join(f"linux-{package}\n" for package in (
                "image-7.3.4+deb13-amd64", "headers-7.3.4+deb13-amd64", "base-7.3.4+deb13-amd64",
                "binary-7.3.4+deb13-amd64", "modules-7.3.4+deb13-amd64",
                "headers-7.3.4+deb13-common", "kbuild-7.3.4+deb13"))))

    def test_a_name_that_nobody_knows(self) -> None:
        status, said = self.ask("", "true", "6.13-deb12")
        self.assertEqual(status, 1)
        self.assertIn("testbed: error: unknown kernel '6.13-deb12' (known: 6.12-deb13 ", said)


if __name__ == "__main__":
    unittest.main()
