# SPDX-License-Identifier: GPL-2.0-only
#
# The functions of stock KVM that vapic depends on, of one kernel: where they are, what they
# are called with, and digests of their code.

from __future__ import annotations

import gzip
import lzma
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from vapic import lists, presence
from vapic.audit import layout
from vapic.btf import Btf
from vapic.files import TOP

# It needs pyelftools, without which the build goes on.
if TYPE_CHECKING:
    from vapic.audit import machine_code

MODULES = ("kvm", "kvm_amd", "kvm_intel")


@dataclass(frozen=True, order=True)
class Stock:
    """A function."""
    module: str
    name: str
    how: str  # "replaced" (ours runs instead) or "called" (from ours)


@dataclass(frozen=True)
class Prototype:
    """One to compare: of a function, in C, beside the words for ours."""
    module: str
    name: str
    replacement: str | None
    declaration: str


class Refused(Exception):
    """With one line that says why."""


def file_of(module: str) -> str:
    return module.replace("_", "-") + ".ko"


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vapic" / "kernel"


def plain_file(folder: Path, name: str, into: str) -> Path:
    """The module's file, uncompressed in folder into where it is not."""
    path = folder / name
    if path.exists():
        return path
    unpackers: dict[str, Callable[[bytes], bytes]] = {
        ".xz": lzma.decompress, ".gz": gzip.decompress, ".zst": unpack_zstd}
    for suffix, unpack in unpackers.items():
        packed = folder / (name + suffix)
        if packed.exists():
            plain = Path(into) / name
            plain.write_bytes(unpack(packed.read_bytes()))
            return plain
    raise Refused(f"no {path}")


def unpack_zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qdc"], input=data, check=True, stdout=subprocess.PIPE).stdout


class Kernel:
    """Its KVM modules, and its BTF if that is asked for."""

    def __init__(self, folder: str | Path, vmlinux: str | Path | None = None,
                 image: Path | None = None) -> None:
        """The image, as it boots, stands for vmlinux if that is missing."""
        self.folder = Path(folder)
        self.vmlinux = vmlinux
        self.image = image
        self.scratch = tempfile.TemporaryDirectory(prefix="vapic-audit.")
        self.code: dict[str, machine_code.Module] = {}
        self.types: dict[str, Btf] = {}
        self.presence = presence.Kernel(self.btf, self.path)

    def path(self, module: str) -> Path:
        return plain_file(self.folder, file_of(module), self.scratch.name)

    @property
    def release(self) -> str:
        """As uname -r says it, from the module itself."""
        path = self.path("kvm")
        match = re.search(rb"\0vermagic=(\S+) ", path.read_bytes())
        if not match:
            raise Refused(f"{path} is no kernel module")
        return match[1].decode()

    def btf(self, module: str) -> Btf:
        if "vmlinux" not in self.types:
            self.types["vmlinux"] = Btf(self.file_with_btf())
        if module not in self.types:
            self.types[module] = Btf(self.path(module), self.types["vmlinux"])
        return self.types[module]

    def file_with_btf(self) -> str | Path:
        if self.vmlinux is not None and Path(self.vmlinux).exists():
            return self.vmlinux
        if self.image is None or not self.image.exists():
            raise Refused(f"no vmlinux with BTF of {self.release}: install its headers")
        unpacked = Path(self.scratch.name) / "vmlinux"
        with open(unpacked, "wb") as file:
            done = subprocess.run([TOP / "tools/boot-image", self.image], stdout=file,
                                  stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Refused(done.stderr.splitlines()[-1].removeprefix("boot-image: error: "))
        return unpacked

    def module(self, module: str) -> machine_code.Module:
        if module not in self.code:
            from vapic.audit import machine_code
            others = [self.btf(other) for other in ("kvm", "vmlinux") if other != module]
            self.code[module] = machine_code.Module(
                self.path(module), layout.Types(module, self.btf(module), others))
        return self.code[module]

    def there(self, entry: lists.Entry) -> bool:
        """Whether vapic has this entry for this kernel."""
        return self.presence.fits(entry.when)

    # What is looked at

    def ops(self, vendor: str) -> list[tuple[lists.Entry, str, str]]:
        """[(entry, module, function)] of a vendor's ops that vapic is concerned with; one that
        stock leaves out is not in it."""
        name, tables = lists.VENDORS[vendor]
        module = self.module(name)
        members = self.btf("kvm").members("kvm_x86_ops")
        symbols = [s for s in module.symbols if s.name in tables]
        if not symbols:
            raise Refused(f"{name} of {self.release} has no {tables[0]}")
        found = []
        for entry in lists.ops(vendor, self.there):
            if entry.name not in members:
                raise Refused(f"{self.release} has no op {entry.name}")
            at = symbols[0]["st_value"] + members[entry.name][0]
            for relocation in module.relocations_in(symbols[0]["st_shndx"], at, at + 8):
                section, value, outside = module.target_of(relocation, at)
                function = outside or module.function_at(section, value)
                if function is None:
                    raise Refused(f"{name} of {self.release} has no function for {entry.name}")
                found.append((entry, "kvm" if outside else name, function))
        return found

    def prototypes(self) -> list[Prototype]:
        """Of all that is replaced or called, in the tables' order."""
        found = []
        for entry in filter(self.there, [*lists.redirects(), *lists.imports()]):
            number = self.prototype_number(entry.module, entry.name)
            if number is None and not entry.optional:
                verb = "replaces" if entry.how == "redirect" else "calls"
                raise Refused(f"{entry.module} of {self.release} has no function {entry.name}, "
                              f"which vapic {verb}")
            if number is not None:
                found.append(Prototype(entry.module, entry.name, entry.replacement,
                                       self.btf(entry.module).declaration(number)))
        # The compiler has compared stock's functions with these.
        types = self.btf("kvm")
        members = types.members("kvm_x86_ops")
        for entry in {entry.name: entry for vendor in lists.VENDORS
                      for entry in lists.ops(vendor, self.there)}.values():
            if entry.name not in members:
                raise Refused(f"kvm of {self.release} has no op {entry.name}")
            number = types.pointed_to(members[entry.name][1])
            if number is None:
                raise Refused(f"kvm_x86_ops.{entry.name} of {self.release} is no pointer")
            found.append(Prototype("kvm", f"kvm_x86_ops.{entry.name}", entry.replacement,
                                   types.declaration(number)))
        return found

    def prototype_number(self, module: str, name: str) -> int | None:
        types = self.btf(module)
        if name.startswith("__SCT__apic_call_"):
            # The trampoline of a static call to the member of the APIC driver.
            member = name.removeprefix("__SCT__apic_call_")
            return types.pointed_to(types.members("apic")[member][1])
        return types.function(name)

    def functions(self) -> list[Stock]:
        """All whose code counts: those in the tables, and those that only replaced ones reach."""
        found: dict[tuple[str, str], str] = {}
        for entry in filter(self.there, lists.redirects()):
            found[entry.module, entry.name] = "replaced"
        for vendor in lists.VENDORS:
            for entry, module, function in self.ops(vendor):
                how = "replaced" if entry.how == "op" else "called"
                if found.get((module, function)) != "replaced":
                    found[module, function] = how
        for entry in filter(self.there, lists.imports()):
            if entry.how == "call" and entry.module in MODULES and \
                    (not entry.optional or self.module(entry.module).parts(entry.name)):
                found.setdefault((entry.module, entry.name), "called")
        for module in MODULES:
            found.update({(module, name): "replaced" for name in self.helpers(module, found)})
        return sorted(Stock(module, name, how) for (module, name), how in found.items())

    def helpers(self, module: str, found: dict[tuple[str, str], str]) -> set[str]:
        """Functions that nobody reaches but replaced ones: gone with those."""
        from vapic.audit import machine_code
        code = self.module(module)
        known = {name for where, name in found if where == module}
        replaced = {name for (where, name), how in found.items()
                    if where == module and how == "replaced"}
        gone = {part for name in replaced for part in code.parts(name)}
        while more := {symbol for symbol, users in code.references().items()
                       if symbol not in gone and users <= gone}:
            gone |= more
        return {machine_code.plain(symbol) for symbol in gone} - known

    def digest(self, stock: Stock) -> str:
        if not self.module(stock.module).parts(stock.name):
            raise Refused(f"{stock.module} of {self.release} has no function {stock.name}")
        return self.module(stock.module).digest(stock.name)


def vmlinux_beside(unpacked: Path) -> Path | None:
    """Of a kernel that testbed/lib/kernel.sh has unpacked: of its headers, or of its image."""
    return next(unpacked.glob("root/usr/src/linux-headers-*/vmlinux"),
                next(unpacked.glob("vmlinux"), None))


def find_kernel(words: str) -> Kernel:
    """A kernel by name or release, or by the folder of its KVM modules."""
    unpacked = cache() / words
    for folder, vmlinux, image in (
            (Path(words), vmlinux_beside(Path(words) / "..") or Path(words) / "vmlinux", None),
            (unpacked / "kvm", vmlinux_beside(unpacked), None),
            (Path("/lib/modules") / words / "kernel/arch/x86/kvm",
             Path("/lib/modules") / words / "build/vmlinux", Path(f"/boot/vmlinuz-{words}"))):
        if list(folder.glob("kvm.ko*")):
            return Kernel(folder, vmlinux, image)
    raise Refused(f"no KVM modules of {words}: install linux-image-{words} and its headers, or "
                  "unpack both and name the folder of its kvm.ko, with vmlinux of the headers"
                  " there")
