# SPDX-License-Identifier: GPL-2.0-only
#
# The emulated Intel host: what Bochs reads as its configuration, the memory that
# the host starts with, and its channels, which all go through one I/O port.
#
# Kernel, initramfs and root lie in memory before the first instruction runs, and
# image/host/boot-rom.S enters the kernel as soon as the BIOS is ready: no byte is
# read through an emulated disk.

import os
import struct

import cpio
import emulator
import status

# Instructions that each CPU runs in an emulated second; the time stamp counter
# counts them. High, so that timer ticks take a small part of them; with idle CPUs
# time passes quickly whatever the rate.
IPS = 100000000
# A CPU runs up to so many instructions before the next one's turn.
QUANTUM = 16
# Offers IPI virtualization. Left out is what Bochs has, but not well enough: CR4.LA57
# does not survive a system management interrupt, and random numbers differ from run
# to run.
CPU_MODEL = "sapphire_rapids"
CPU_EXCLUDED = "la57 rdrand rdseed"
# Cores of one package in Bochs.
CORES_LIMIT = 8
# The command line is as long as the kernel takes it.
COMMAND_LINE_SIZE = 2048

# The host's memory, in bytes. Where the kernel lies is in its ELF file; START_INFO is
# known to boot-rom.S. The root, then what --dir shows, follow the memory that Linux
# gets, aligned as it wants its memory devices; the BIOS puts its tables after them.
PAGE = 4096
KERNEL = 0x1000000
START_INFO = 0x8000000
DEVICE_ALIGN = 2 << 20
MIB = 1 << 20
BIOS_TABLES = MIB
# What Bochs can have at most.
MEMORY_LIMIT = 2048 * MIB

# hvm_start_info, version 1: magic, version, flags, modules, where the list of them is,
# the command line, ACPI tables (which the kernel finds by itself) and the memory map,
# its entries (for the boot ROM to fill in), and a reserved word. The entry point and one
# more word are ours.
START_INFO_FORMAT = "<IIIIQQQQIIII"
START_INFO_MAGIC = 0x336ec578
MODULE_FORMAT = "<QQQQ"
MEMMAP = 0x8000

# ACPI 6.5, "System Resource Affinity Table": signature, length, revision, checksum and the
# five names of its maker; then the affinity of a processor by its local APIC (type, length,
# node, APIC ID, flags, two words unused) and of memory (type, length, node, reserved, base,
# size, reserved, flags, reserved). Flag 1: enabled.
ACPI_HEADER = "<4sIBB6s8sI4sI"
SRAT_PROCESSOR = "<BBBBIII"
SRAT_MEMORY = "<BBIHQQIIQ"

# A triple fault, with which the kernel reboots, ends the emulator. One CPU's MONITOR
# wakes every other from its MWAIT, so sleep without.
KERNEL_COMMAND_LINE = f"{emulator.KERNEL_COMMAND_LINE} panic_print=0x20 reboot=t idle=halt"

# Words for kernels of one series. Bochs has FSRM, and no MSR 1A0h that says that fast string
# operations are on; so Linux takes ERMS back, but not FSRM. Where there is FSRM, memmove() of 6.1
# does not look whether there is too little to copy for its loop, and relies on ERMS to leave
# before: it then overwrites all that follows.
SERIES_COMMAND_LINE = {"6.1": "clearcpuid=fsrm"}

# What image/host/ports.c sends first, and the head of each frame.
START = b"\ntestbed: ports\n"
HEADER = 3


def align(size, unit):
    return size + -size % unit


def acpi_table(signature, revision, body):
    size = struct.calcsize(ACPI_HEADER) + len(body)

    def header(checksum):
        return struct.pack(ACPI_HEADER, signature, size, revision, checksum, b"VAPIC ",
                           b"TESTBED ", 1, b"VAPC", 1)

    return header(-sum(header(0) + body) & 0xff) + body


class Intel(emulator.Emulator):
    build = "bochs/build"
    own_build = "VAPIC_BOCHS"
    binary = "bin/bochs"
    boot_limit = 300

    def __init__(self, program, image, folder, options):
        super().__init__(os.path.join(program, self.binary), image, folder, options)
        self.bios = os.path.join(program, "share/bochs/BIOS-bochs-latest")
        self.console_file = self.path("console")

    # -- the machine --------------------------------------------------------

    def devices(self):
        """Files that the host sees as memory, with their addresses, and the end of
        the last."""
        files = [os.path.join(self.image, "root.squashfs")]
        if self.options.dir:
            files.append(self.path("dir.squashfs"))
        place = self.options.memory * MIB
        found = []
        for file in files:
            found.append((file, place))
            place += align(os.path.getsize(file), DEVICE_ALIGN)
        return found, place

    def kernel_command_line(self, devices):
        words = [KERNEL_COMMAND_LINE, emulator.clock_parameters(IPS // 1000)]
        words += [f"memmap={align(os.path.getsize(file), DEVICE_ALIGN):#x}!{place:#x}"
                  for file, place in devices]
        words.append(SERIES_COMMAND_LINE.get(self.options.kernel.split("-")[0], ""))
        return " ".join(filter(None, [*words, self.options.append]))

    def write_start(self, path, devices):
        """What lies at START_INFO: the structure, the list of modules, the command
        line, and the one module, the initramfs."""
        modules = START_INFO + struct.calcsize(START_INFO_FORMAT)
        command_line = START_INFO + PAGE
        initramfs = command_line + PAGE
        with open(os.path.join(self.image, "kernel.entry")) as file:
            entry = int(file.read(), 16)
        text = self.kernel_command_line(devices).encode()
        assert len(text) < COMMAND_LINE_SIZE
        with open(path, "wb") as out, open(self.path("initramfs"), "rb") as archive:
            content = self.tables() + archive.read()
            out.write(struct.pack(START_INFO_FORMAT, START_INFO_MAGIC, 1, 0, 1, modules,
                                  command_line, 0, MEMMAP, 0, 0, entry, 0))
            out.write(struct.pack(MODULE_FORMAT, initramfs, len(content), 0, 0))
            out.seek(command_line - START_INFO)
            out.write(text)
            out.seek(initramfs - START_INFO)
            out.write(content)

    def tables(self):
        """An archive from which the kernel takes the ACPI table that the BIOS lacks: two
        memory nodes, because tests that migrate pages want somewhere to migrate them
        to. All CPUs are in the first."""
        half = self.options.memory * MIB // 2
        # Every byte must be in one, the BIOS's own too.
        nodes = [(0, half), (half, MEMORY_LIMIT - half)]
        body = b"".join(
            struct.pack(SRAT_PROCESSOR, 0, 16, 0, apic_id, 1, 0, 0)
            for apic_id in range(self.options.smp))
        body += b"".join(
            struct.pack(SRAT_MEMORY, 1, 40, node, 0, base, size, 0, 1, 0)
            for node, (base, size) in enumerate(nodes))
        table = acpi_table(b"SRAT", 3, struct.pack("<IQ", 1, 0) + body)
        return cpio.archive([], {"kernel/firmware/acpi/srat.aml": table})

    def processor(self):
        """The words of `cpu:`; the last model counts, and features add up."""
        words = {"model": CPU_MODEL, "exclude_features": CPU_EXCLUDED}
        for option in self.options.cpu:
            if option.startswith("model="):
                words["model"] = option.removeprefix("model=")
            else:
                name = "add_features" if option[0] == "+" else "exclude_features"
                words[name] = " ".join(filter(None, [words.get(name), option[1:]]))
        number = self.options.smp
        # One package if that can be.
        words["count"] = f"1:{number}:1" if number <= CORES_LIMIT else f"{number}:1:1"
        return ", ".join(f'{name}="{value}"' if " " in value else f"{name}={value}"
                         for name, value in words.items())

    def configuration(self):
        devices, end = self.devices()
        total = align(end + BIOS_TABLES, MIB)
        if total > MEMORY_LIMIT:
            raise status.Failure(status.USAGE, (
                f"memory of {self.options.memory} MiB and {end // MIB - self.options.memory} MiB "
                f"of files are more than the {MEMORY_LIMIT // MIB} MiB that Bochs can have"))
        self.write_start(self.path("start"), devices)
        images = [(os.path.join(self.image, "kernel.bin"), KERNEL),
                  (self.path("start"), START_INFO)] + devices
        lines = [
            "config_interface: textconfig",
            "display_library: nogui",
            f"memory: guest={total // MIB}, host={total // MIB}",
            f"romimage: file={self.bios}",
            f"vgaromimage: file={os.path.join(self.image, 'boot-rom')}",
            *(f"optramimage{number}: file={file}, address={place:#x}"
              for number, (file, place) in enumerate(images, start=1)),
            f"cpu: {self.processor()}, ips={IPS}, quantum={QUANTUM}, "
            "reset_on_triple_fault=0",
            # 2025-01-01, and time that depends on nothing but instructions.
            "clock: sync=none, time0=1735689600",
            "pci: enabled=1, chipset=i440fx",
            "vga: extension=none, update_freq=1",
            "ata0: enabled=0",
            "ata1: enabled=0",
            "boot: disk",
            f"com1: enabled=1, mode=file, dev={self.console_file}",
            "port_e9_hack: enabled=1",
            "log: /dev/stderr",
            "panic: action=fatal",
            "error: action=ignore",
            "info: action=ignore",
            "debug: action=ignore",
        ]
        return "\n".join(lines) + "\n"

    def start(self, sinks):
        with open(self.path("bochsrc"), "w") as file:
            file.write(self.configuration())
        self.sinks = sinks
        self.pending = b""
        self.started = False
        environment = dict(os.environ)
        if self.options.seed is not None:
            environment["VAPIC_SEED"] = str(self.options.seed)
        self.launch([self.program, "-q", "-f", self.path("bochsrc")],
                    stdout=emulator.PIPE, env=environment)
        self.collectors.append(emulator.Collector(self.process.stdout.read1, self.receive))

    def is_noise(self, line):
        return "=====" in line or ">>PANIC<<" in line or "exiting with the following" in line

    # -- what it sends ------------------------------------------------------

    def receive(self, data):
        """Takes frames apart and hands them on."""
        data = self.pending + data
        if not self.started:
            _, mark, rest = data.partition(START)
            if not mark:
                self.pending = data
                return
            self.started = True
            data = rest
        while len(data) >= HEADER:
            size = HEADER + int.from_bytes(data[1:HEADER], "little")
            if len(data) < size or data[0] >= len(emulator.PORTS):
                break
            self.sinks[emulator.PORTS[data[0]]](data[HEADER:size])
            data = data[size:]
        self.pending = data

    def drain(self, seconds=None):
        super().drain(seconds)
        if "console" in self.sinks and os.path.exists(self.console_file):
            with open(self.console_file, "rb") as file:
                self.sinks.pop("console")(file.read())
