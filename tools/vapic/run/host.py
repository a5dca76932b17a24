# SPDX-License-Identifier: GPL-2.0-only
#
# Boots the emulated host to measure something in it, and shows how it goes:
# lines "@ TEXT" from the program inside tell what it is doing, lines "@+ TEXT"
# how far that is.

import json
import os
import queue
import shutil
import subprocess
import sys
import time

from vapic.files import HOME
from vapic.run import build, steps

# What each emulator is, but for its version.
EMULATORS = {
    "amd": ("QEMU", "(TCG) with testbed/qemu's AVIC"),
    "intel": ("Bochs", "with testbed/bochs's APICv and IPI virtualization"),
}


def stage(folder, files, settings):
    """Fill the folder that the host sees at /mnt; this package goes there as well."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    shutil.copytree(f"{HOME}/vapic", f"{folder}/vapic",
                    ignore=shutil.ignore_patterns("__pycache__", "test"))
    for file in files:
        shutil.copy(file, folder)
    with open(f"{folder}/settings.json", "w", encoding="utf-8") as file:
        json.dump(settings, file)


def command(program, folder, out, settings, options):
    """Boot with the first mode's KVM; the program inside, a module of this package, changes
    modes itself."""
    return ["testbed/run", settings["machine"], "--kernel", build.SERIES,
            "--smp", str(settings["host_cpus"]), "--stock",
            "--kvm", settings["modes"][0]["kvm"], "--dir", folder, "--out", out, *options,
            "--", "env", "PYTHONPATH=/mnt", "python3", "-B", "-m", program, "/mnt/settings.json"]


def failed(board, label, doing, status, log_path):
    with open(log_path, encoding="utf-8") as log:
        lines = log.read().rstrip().split("\n")
    board.line(f"{label} {doing}: failed; the end of {log_path}:")
    print("\n".join(f"    {line}" for line in lines[-25:]))
    # What the program inside said comes before a long kernel log.
    why = next((line for line in lines if line.startswith("in_host:")), lines[-1])
    print(f"measuring failed while {doing} (status {status}): {why}", file=sys.stderr)
    raise steps.Failed("measuring")


def measure(board, words, number=None, name="measuring"):
    """Run a command() to its end, as the board's step of that number, or its last;
    raise steps.Failed if it fails."""
    log_path = f"{steps.LOGS}/{name.replace(' ', '-')}.log"
    label = f"{board.label(number or board.total)} {name}:"
    started = begun = time.monotonic()
    doing, how_far = "booting the emulated host", ""
    with open(log_path, "w", encoding="utf-8") as log:
        host = subprocess.Popen(words, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=log)
        lines = steps.lines_of(host.stdout)
        try:
            while True:
                try:
                    line = lines.get(timeout=0.2)
                except queue.Empty:
                    board.status(f"{label} {doing}{how_far} …"
                                 f" {steps.duration(time.monotonic() - begun)}")
                    continue
                if line is None:
                    break
                log.write(line)
                log.flush()
                if line.startswith("@ "):
                    now = time.monotonic()
                    board.line(f"{label} {doing}, {steps.duration(now - begun)}")
                    doing, how_far, begun = line[2:].rstrip(), "", now
                elif line.startswith("@+ "):
                    how_far = ": " + line[3:].rstrip()
            host.wait()
        finally:
            if host.poll() is None:
                host.terminate()
                host.wait()
    if host.returncode != 0:
        failed(board, label, doing, host.returncode, log_path)
    board.line(f"{label} done in {steps.duration(time.monotonic() - started)}")


def emulator(built, machine):
    """What was emulated with, for a report."""
    name, rest = EMULATORS[machine]
    try:
        with open(f"{built.emulators[machine]}/version", encoding="utf-8") as file:
            # Debian's epoch says nothing about the program.
            version = file.read().strip().split(":")[-1]
    except FileNotFoundError:
        version = "of a build of one's own"
    return f"{name} {version} {rest}"


def about(built, asked, machine):
    """What was measured on what, for a report."""
    def output(*words):
        result = subprocess.run(words, capture_output=True, text=True)
        return result.stdout.strip() if result.returncode == 0 else ""

    with open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = next((line.split(":", 1)[1].strip() for line in file
                    if line.startswith("model name")), "unknown")
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": asked,
        "machine": {"cpu": cpu, "cores": os.cpu_count()},
        "emulator": emulator(built, machine),
        "source": output("git", "describe", "--always", "--dirty", "--abbrev=12"),
    }
