# SPDX-License-Identifier: GPL-2.0-only
#
# Emulated hosts take turns on this machine: no more at once than it has CPUs.
# More would only make each other miss every deadline inside, and finish later.

import fcntl
import os
import time

FOLDER = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                      "vapic", "lock")


def take(on_wait):
    """Wait for a turn; it lasts while the returned file is open. Calls ON_WAIT
    once if there is none free."""
    os.makedirs(FOLDER, exist_ok=True)
    waited = False
    while True:
        for slot in range(os.cpu_count() or 1):
            file = open(os.path.join(FOLDER, f"run-{slot}"), "w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                file.close()
        if not waited:
            on_wait()
            waited = True
        time.sleep(0.2)
