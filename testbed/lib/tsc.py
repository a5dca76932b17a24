# SPDX-License-Identifier: GPL-2.0-only
#
# Rate of this machine's time stamp counter, which the emulated host's follows.
# The host is told rather than left to measure: its own measurement, against
# emulated timers, is off by a factor when this machine is busy.

import ctypes
import mmap
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
READ = bytes.fromhex("0f31 48c1e220 4809d0 c3")

# With -icount the counter follows virtual time: one tick a nanosecond.
ICOUNT_KHZ = 1000000


def sample(read):
    """A counter value and the time it belongs to: of several attempts, the one
    that took least time, so that nothing came in between."""
    attempts = []
    for _ in range(20):
        before = time.monotonic_ns()
        ticks = read()
        after = time.monotonic_ns()
        attempts.append((after - before, ticks, (before + after) // 2))
    return min(attempts)[1:]


def khz(seconds=0.05):
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE
                   | mmap.PROT_EXEC) as page:
        page.write(READ)
        view = ctypes.c_char.from_buffer(page)
        read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(view))
        first_ticks, first_time = sample(read)
        time.sleep(seconds)
        ticks, now = sample(read)
        del view
    return (ticks - first_ticks) * 1000000 // (now - first_time)
