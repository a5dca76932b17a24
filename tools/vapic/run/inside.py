# SPDX-License-Identifier: GPL-2.0-only
#
# What programs inside the emulated host share: saying what they do, running
# others, keeping what they said under /out, and changing between modes.

import os
import subprocess
import sys

from vapic.files import HOME, read


def say(text):
    """What begins now; run/host.py shows it."""
    print(f"@ {text}", flush=True)


def detail(text):
    """How far it is."""
    print(f"@+ {text}", flush=True)


def fail(text):
    raise SystemExit(f"in_host: {text}")


def run(*words, **options):
    result = subprocess.run(words, capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.stderr.write(result.stderr)
        fail(f"'{' '.join(words)}' ended with status {result.returncode}")
    return result.stdout


def keep(mode, name, text):
    os.makedirs(f"/out/{mode}", exist_ok=True)
    with open(f"/out/{mode}/{name}", "w", encoding="utf-8") as file:
        file.write(text)


def hold_still():
    """Keep the host from unmapping guests' pages only to see who uses them (it
    takes its memory devices for NUMA nodes): each would be an exit not of ours."""
    with open("/proc/sys/kernel/numa_balancing", "w", encoding="utf-8") as file:
        file.write("0")


def switch_to(mode):
    """Load KVM's vendor module, and vapic over it, as the mode says."""
    module = mode["module"]
    if os.path.exists("/sys/module/vapic"):
        run("rmmod", "vapic")
    if os.path.exists(f"/sys/module/{module}"):
        # Not kvm as well, which is the same for all modes.
        run("rmmod", module)
    run("modprobe", module, *mode["kvm"].split())
    if "vapic" in mode:
        run("insmod", f"{HOME}/vapic.ko", *mode["vapic"].split())
        keep(mode["name"], "version", read("/sys/kernel/vapic/version"))
        keep(mode["name"], "takeover", read("/sys/kernel/vapic/takeover"))
