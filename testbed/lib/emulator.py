# SPDX-License-Identifier: GPL-2.0-only
#
# An emulated host as a process: what is common to amd.py and intel.py. It dies
# with this process, whatever happens to either.
#
# What the host sends arrives on PORTS, and on the console if it is in trouble.
# Whoever starts the emulator gives one function for each, which is called with
# every piece that arrives there.

import ctypes
import os
import signal
import subprocess
import threading
import time

PIPE = subprocess.PIPE
# What init in the host writes to, in the order that image/host/ports.c knows.
PORTS = ("events", "stdout", "stderr", "log", "out")
PR_SET_PDEATHSIG = 1

# `quiet` keeps the console for trouble; a panic ends the emulator (panic=-1). The
# kernel's test of the PIT counts ticks in a busy loop, which fails when this machine
# is busy itself. Tests of cryptography would take a third of the boot. Pages that
# move between nodes by themselves would add faults to what is counted.
KERNEL_COMMAND_LINE = ("console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests "
                       "tsc=reliable numa_balancing=disable")
# Debian's CONFIG_HZ.
HZ = 250


def clock_parameters(khz):
    """The rate of the time stamp counter, and delay loops counted by it."""
    return f"tsc_early_khz={khz} lpj={khz * 1000 // HZ}"


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C is for the testbed, which then ends the emulator in its own way.
    os.setpgid(0, 0)


class Emulator:
    # Seconds. A host that is not up by then is not coming.
    boot_limit = 120

    def __init__(self, program, image, folder, options):
        self.program = program
        self.image = image
        self.folder = folder
        self.options = options
        self.process = None
        self.collectors = []
        self.errors = self.path("emulator.log")

    def path(self, name):
        return os.path.join(self.folder, name)

    def launch(self, words, **more):
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stderr=errors,
                preexec_fn=die_with_parent, **{"stdout": errors, **more})

    def drain(self, seconds=None):
        """Once the emulator has ended, let everything that it sent arrive."""
        end = None if seconds is None else time.monotonic() + seconds
        for collector in self.collectors:
            collector.join(None if end is None else max(0, end - time.monotonic()))

    def ending(self):
        """How the emulator ended, in words."""
        code = self.process.returncode
        if code < 0:
            return f"the emulator was killed by signal {-code} ({signal.strsignal(-code)})"
        return f"the emulator ended with status {code}"

    def complaint(self):
        """What the emulator had to say."""
        with open(self.errors, errors="replace") as errors:
            return "".join(line for line in errors if not self.is_noise(line)).strip()

    def is_noise(self, line):
        return False

    def ask_state(self):
        """Have complaint() say in what state each CPU is now."""

    def provoke_panic(self):
        """Make a host that hangs say where, and end: False if there is no way to."""
        return False

    def stop(self):
        """End the emulator now, if it still runs, and wait until it is gone."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Collector(threading.Thread):
    """Calls read() until the end of what it reads, and hands every piece on."""

    def __init__(self, read, sink):
        super().__init__(daemon=True)
        self.read = read
        self.sink = sink
        self.start()

    def run(self):
        while True:
            try:
                data = self.read(1 << 16)
            except OSError:
                return
            if not data:
                return
            self.sink(data)
