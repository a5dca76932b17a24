# SPDX-License-Identifier: GPL-2.0-only
#
# tools/build-module: a compiler that is not the kernel's is refused in one line before anything is
# built, and a warning is an error. The kernel's build system and the compiler are stand-ins.

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from vapic.files import TOP


class BuildModule(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.source = self.root / "source"
        self.source.mkdir()
        self.put("kernel/Makefile", "modules:\n\t@echo $(SAYS)\n\t@touch $(M)/vapic.ko\n")
        self.built_with("x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0")
        self.compiler("x86_64-linux-gnu-g++-14", "14.2.0")

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def built_with(self, text: str, major: int = 14) -> None:
        self.put("kernel/include/config/auto.conf",
                 f"CONFIG_CC_IS_GCC=y\nCONFIG_CC_VERSION_TEXT={text}\n"
                 f"CONFIG_GCC_VERSION={major}0200\n")

    def compiler(self, name: str, version: str) -> None:
        self.put(f"bin/{name}", f"#!/bin/sh\n[ $1 = -dumpfullversion ] && echo {version}\n")
        (self.root / "bin" / name).chmod(0o755)

    def build(self, *words: str, **environment: str) -> tuple[int, str]:
        usual = {name: value for name, value in os.environ.items()
                 if name not in ("CC", "MAKEFLAGS", "MAKELEVEL")}
        done = subprocess.run(
            [TOP / "tools/build-module", self.root / "kernel", self.source, *words],
            env={**usual, "PATH": f"{self.root}/bin:/usr/bin:/bin", **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def check_refused(self, says: str, **environment: str) -> None:
        self.assertEqual(self.build(**environment),
                         (1, f"vapic: error: this kernel was built with {says}\n"))
        self.assertEqual(list(self.source.glob("*.ko")), [])

    def test_the_kernels_compiler_builds(self) -> None:
        for text in ("x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0",
                     # Of the same version, with a mend
                     "x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19+deb13u1) 14.2.1",
                     '"x86_64-linux-gnu-gcc-14 (as older kernels have it) 14.2.0"',
                     # As other distributions have it
                     "x86_64-linux-gnu-gcc-14 (GCC) 14.2.1 20240910 [revision 4af4]"):
            self.built_with(text)
            self.assertEqual(self.build()[0], 0, text)
            (self.source / "vapic.ko").unlink()

    def test_a_compiler_that_is_missing_is_named(self) -> None:
        self.built_with("gcc-47 (Debian 47.1.0-1) 47.1.0")
        self.check_refused("gcc-47, and there is no g++-47: install g++-47")
        self.built_with("x86_64-linux-gnu-gcc-47 (Debian 47.1.0-1) 47.1.0")
        self.check_refused("x86_64-linux-gnu-gcc-47, and there is no x86_64-linux-gnu-g++-47:"
                           " install g++-47")

    def test_a_compiler_of_another_version_is_refused(self) -> None:
        self.built_with("gcc (GCC) 13.3.0", 13)
        self.compiler("g++", "14.2.0")
        self.check_refused("gcc, GCC 13, and g++ is 14.2.0")

    def test_a_compiler_that_somebody_named_is_looked_at(self) -> None:
        self.compiler("g++-12", "12.2.0")
        self.check_refused("x86_64-linux-gnu-gcc-14, GCC 14, and g++-12 is 12.2.0",
                           CC="gcc-12", MAKEFLAGS=" -j2 -- CC=gcc-12 KDIR=x")
        # In the environment it says nothing to the kernel's build system.
        self.assertEqual(self.build(CC="gcc-12")[0], 0)

    def test_a_warning_is_an_error_and_leaves_no_module(self) -> None:
        status, said = self.build("SAYS=warning: this")
        self.assertEqual(status, 1)
        self.assertIn("build-module: error: a warning is an error", said)
        self.assertFalse((self.source / "vapic.ko").exists())


if __name__ == "__main__":
    unittest.main()
