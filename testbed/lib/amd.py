# SPDX-License-Identifier: GPL-2.0-only
#
# The emulated AMD host: QEMU's command line, and its channels, one socket pair each.

import contextlib
import os
import socket
import subprocess

import emulator
import qmp
import tsc

# The console is the emulator's, and so is its monitor.
CHANNELS = emulator.PORTS + ("console", "qmp")
# The emulator logs this when a CPU shuts down; the host cannot say anything then.
SHUTDOWN = "Triple fault\n"
# Lines of the monitor's that say in what state a CPU is.
STATE = ("CPU#", "RIP=", "dumping local APIC", "LVTT\t", "Timer", "ISR", "IRR", "APR")
PCI_CLASS_SMBUS = 0x0c05
# Room, in MiB, for the files that the host sees as memory.
MEMORY_DEVICES = 64 << 10

# What processors with AVIC have beyond what QEMU's model has of itself.
CPU = "EPYC-Genoa,+svm,+npt,+vgif,+invtsc,avic=on,x2avic=on"

# A panic prints the whole log and every CPU's stack on the console. An NMI that
# nobody expects is how a timeout asks for that log.
KERNEL_COMMAND_LINE = f"{emulator.KERNEL_COMMAND_LINE} panic_print=0x60 unknown_nmi_panic"


class Amd(emulator.Emulator):
    build = "qemu/build"
    # People who work on the emulator name the folder of their own build.
    own_build = "VAPIC_QEMU"
    binary = "bin/qemu-system-x86_64"

    def __init__(self, program, image, folder, options):
        super().__init__(os.path.join(program, self.binary), image, folder, options)
        self.connections = {}
        self.answers = bytearray()  # of the monitor, to what ask_state() asks

    def command(self, channels):
        options = self.options
        words = [
            self.program, "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-d", "cpu_reset", "-D", self.path("resets.log"),
            "-machine", "q35,sata=off,smbus=off,i8042=off",
            "-cpu", ",".join([CPU, *options.cpu]),
            "-smp", str(options.smp),
            "-m", f"{options.memory}M,maxmem={options.memory + MEMORY_DEVICES}M",
            *self.memory_nodes(),
            "-kernel", os.path.join(self.image, "vmlinuz"),
            "-initrd", self.path("initramfs"), "-append", self.kernel_command_line(),
            *self.iommu(),
            "-device", "virtio-serial-pci",
        ]
        for name, descriptor in channels.items():
            words += ["-chardev", f"socket,id={name},fd={descriptor}"]
        for name in emulator.PORTS:
            words += ["-device", f"virtserialport,chardev={name},name={name}"]
        words += ["-serial", "chardev:console", "-mon", "chardev=qmp,mode=control"]
        words += self.memory_device("root", os.path.join(self.image, "root.squashfs"))
        if options.dir:
            words += self.memory_device("dir", self.path("dir.squashfs"))
        if self.has_statistics():
            words += ["-device", "avic-stats"]
        if options.icount:
            words += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
                      "-rtc", "base=2025-01-01T00:00:00,clock=vm", "-seed", "1"]
        else:
            words += ["-accel", "tcg,thread=multi"]
        return words

    def kernel_command_line(self):
        khz = tsc.ICOUNT_KHZ if self.options.icount else tsc.khz()
        return (f"{KERNEL_COMMAND_LINE} {emulator.clock_parameters(khz)} "
                f"{self.options.append}").rstrip()

    # With destinations of 32 bits, as on machines of today. The testbed's own devices do
    # not translate what they access. The IOAPIC's interrupts are those of device 14h, where AMD
    # has its southbridge: newer kernels remap none if there is no SMBus. A disk that nobody has
    # a driver for can say that it is one.
    def iommu(self):
        if not self.options.iommu:
            return []
        return ["-device", "amd-iommu,intremap=on,xtsup=on,guest-vapic=on",
                "-blockdev", "null-co,node-name=nothing,size=512",
                "-device", f"virtio-blk-pci,drive=nothing,addr=0x14,class={PCI_CLASS_SMBUS:#x}",
                "-device", "edu"]

    # Two nodes, because tests that migrate pages want somewhere to migrate them to.
    # All CPUs are in the first: they share a cache, which nodes do not.
    def memory_nodes(self):
        words = []
        for node, cpus in enumerate([f",cpus=0-{self.options.smp - 1}", ""]):
            words += ["-object", f"memory-backend-ram,id=ram{node},"
                                 f"size={self.options.memory // 2}M",
                      "-numa", f"node,nodeid={node},memdev=ram{node}{cpus}"]
        return words

    # Files that the host sees as memory: read without any disk I/O. Mapped
    # privately, so that nothing written there reaches the file.
    @staticmethod
    def memory_device(name, path):
        escaped = path.replace(",", ",,")
        return ["-object", f"memory-backend-file,id={name},mem-path={escaped},"
                           f"size={os.path.getsize(path)},share=off",
                "-device", f"virtio-pmem-pci,memdev={name},id=pmem-{name}"]

    def ask(self, *arguments):
        result = subprocess.run([self.program, *arguments], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=30)
        return result.stdout + result.stderr

    def has_statistics(self):
        return '"avic-stats"' in self.ask("-device", "help")

    def start(self, sinks):
        far = {}
        for name in CHANNELS:
            self.connections[name], far[name] = socket.socketpair()
        self.launch(self.command({name: end.fileno() for name, end in far.items()}),
                    pass_fds=[end.fileno() for end in far.values()])
        for end in far.values():
            end.close()
        sinks = {"qmp": self.answers.extend, **sinks}
        for name, connection in self.connections.items():
            sink = sinks.get(name, lambda data: None)
            self.collectors.append(emulator.Collector(connection.recv, sink))

    def is_noise(self, line):
        return "TCG doesn't support requested feature" in line

    def complaint(self):
        return "\n".join(filter(None, [super().complaint(), self.shutdown(),
                                       *map(self.brief, qmp.texts(self.answers))]))

    # Of `info registers`, where the CPU is, and whether it halted; of `info lapic`, what is
    # pending, and the timer.
    @staticmethod
    def brief(text):
        told = (" ".join(line.removeprefix("dumping ").split()) for line in text.splitlines()
                if line.startswith(STATE))
        return " ".join(told).replace("CPU#", "\nCPU#").strip()

    def shutdown(self):
        """In what state a triple fault found the CPU. The log begins with the
        resets of every start, which are of no interest."""
        try:
            with open(self.path("resets.log"), errors="replace") as log:
                _, mark, state = log.read().partition(SHUTDOWN)
        except FileNotFoundError:
            return ""
        return (mark + state).strip()

    def tell_monitor(self, *commands):
        """Commands with their arguments; whether any is done is not waited for."""
        with contextlib.suppress(OSError):
            for name, arguments in commands:
                qmp.send(self.connections["qmp"], name, **arguments)

    # Who sleeps, and what for: a host that stands still does not know.
    def ask_state(self):
        self.tell_monitor(("qmp_capabilities", {}), *(
            ("human-monitor-command", {"command-line": line})
            for line in [*(f"info lapic {cpu}" for cpu in range(self.options.smp)),
                         "info registers -a"]))

    def provoke_panic(self):
        self.ask_state()
        self.tell_monitor(("inject-nmi", {}))
        return True

    def stop(self):
        super().stop()
        for connection in self.connections.values():
            connection.close()
