# SPDX-License-Identifier: GPL-2.0-only
#
# What programs inside the emulated host share: saying what they do, running
# others, keeping what they said under /out, and changing between modes.

from __future__ import annotations

import os
import subprocess
import sys
from typing import Mapping, NoReturn

from vapic.files import HOME, read, write
from vapic.run.modes import Mode


def say(text: str) -> None:
    """What begins now; run/host.py shows it."""
    print(f"@ {text}", flush=True)


def detail(text: str) -> None:
    """How far it is."""
    print(f"@+ {text}", flush=True)


def fail(text: str) -> NoReturn:
    raise SystemExit(f"in_host: {text}")


def run(*words: str, env: Mapping[str, str] | None = None) -> str:
    result = subprocess.run(words, capture_output=True, text=True, env=env)
    if result.returncode != 0:
        sys.stderr.write(result.stderr)
        fail(f"'{' '.join(words)}' ended with status {result.returncode}")
    return result.stdout


def keep(mode: str, name: str, text: str) -> None:
    os.makedirs(f"/out/{mode}", exist_ok=True)
    write(f"/out/{mode}/{name}", text)


def hold_still() -> None:
    """Keep the host from unmapping guests' pages only to see who uses them (it
    takes its memory devices for NUMA nodes): each would be an exit not of ours."""
    # PREEMPT_RT is without.
    if os.path.exists("/proc/sys/kernel/numa_balancing"):
        write("/proc/sys/kernel/numa_balancing", "0")


def switch_to(mode: Mode) -> None:
    """Load KVM's vendor module, and vapic over it, as the mode says."""
    if os.path.exists("/sys/module/vapic"):
        run("rmmod", "vapic")
    if os.path.exists(f"/sys/module/{mode.module}"):
        # Not kvm as well, which is the same for all modes.
        run("rmmod", mode.module)
    run("modprobe", mode.module, *mode.kvm.split())
    if mode.vapic is not None:
        run("insmod", f"{HOME}/vapic.ko", *mode.vapic.split())
        keep(mode.name, "version", read("/sys/kernel/vapic/version"))
        keep(mode.name, "takeover", read("/sys/kernel/vapic/takeover"))
