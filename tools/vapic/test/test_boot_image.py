# SPDX-License-Identifier: GPL-2.0-only
"""tools/boot-image: what it finds in a kernel's boot image, and what it says of files that are
none."""

import lzma
import subprocess
import tempfile
import unittest
from pathlib import Path

from vapic.files import TOP

SETUP_SECTORS = 0x1F1
PAYLOAD_OFFSET = 0x248
PAYLOAD_LENGTH = 0x24C
SECTOR = 512
GAP = 64
# The compressor adds the length of what it packed.
TRAILER = b"\0\0\0\0"


def boot_image(payload: bytes) -> bytes:
    setup = bytearray(2 * SECTOR)
    setup[SETUP_SECTORS] = 1
    setup[PAYLOAD_OFFSET:PAYLOAD_OFFSET + 4] = GAP.to_bytes(4, "little")
    setup[PAYLOAD_LENGTH:PAYLOAD_LENGTH + 4] = len(payload + TRAILER).to_bytes(4, "little")
    return bytes(setup) + bytes(GAP) + payload + TRAILER


class BootImage(unittest.TestCase):
    def unpack(self, image: bytes) -> "subprocess.CompletedProcess[bytes]":
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "vmlinuz")
            file.write_bytes(image)
            return subprocess.run([TOP / "tools/boot-image", file], capture_output=True)

    def refuses(self, image: bytes, why: str) -> None:
        done = self.unpack(image)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, b"")
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], f"^boot-image: error: cannot unpack .*vmlinuz: {why}$")

    def test_payload(self) -> None:
        done = self.unpack(boot_image(lzma.compress(b"\x7fELF and the rest")))
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, b"\x7fELF and the rest", b""))

    def test_too_short_for_a_header(self) -> None:
        self.refuses(b"MZ", "it is no kernel")

    def test_cut_short(self) -> None:
        self.refuses(boot_image(lzma.compress(b"\x7fELF"))[:-5], "it is cut short")

    def test_unknown_compressor(self) -> None:
        self.refuses(boot_image(b"BZh9"), "its payload is neither zstd's nor xz's")


if __name__ == "__main__":
    unittest.main()
