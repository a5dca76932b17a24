# SPDX-License-Identifier: GPL-2.0-only
#
# testbed/lib/kernel_log.py, with lines as a kernel prints them.

from __future__ import annotations

import sys
import unittest

from vapic.files import TOP

sys.path.insert(0, str(TOP / "testbed/lib"))

import kernel_log  # noqa: E402

LOG = """\
[    0.100000] x86/cpu: all is well
[   42.589761] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   42.589990] rcu: \t3-...0: (1 GPs behind) idle=a3d4/1/0x4000000000000000
[   42.590000][    C3] NMI backtrace for cpu 3
[   42.590001] Hardware name: QEMU Standard PC
[   42.590002] RIP: 0010:spin+0x5/0x10 [stall]
[   42.590003] Code: 90 90
[   42.590004] RSP: 0018:ffffc90000003e58 EFLAGS: 00000046
[   42.590005] R10: 0000000000000000 R11: 0000000000000000 R12: 0000000000000000
[   42.590006] FS:  0000000000000000(0000) GS:ffff88803ed80000(0000) knlGS:0000000000000000
[   42.590007] Call Trace:
[   42.590008]  <TASK>
[   42.590009]  ? nmi_cpu_backtrace+0x8a/0x110
[   42.590010]  udelay_loop+0x20/0x40
[   42.590011]  </TASK>
[   60.000000] e1000: link up
"""


class Complaints(unittest.TestCase):
    def test_of_a_stall(self) -> None:
        self.assertEqual([line[15:] for line in kernel_log.complaints(LOG)],
                         ["rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                          "Call Trace:"])
        self.assertTrue(kernel_log.STALL.search(LOG.encode()))
        self.assertTrue(kernel_log.STALL.search(b"rcu: INFO: rcu_sched self-detected stall on CPU"))

    def test_of_a_healthy_kernel(self) -> None:
        healthy = LOG.splitlines()[0]
        self.assertEqual(kernel_log.complaints(healthy), [])
        self.assertIsNone(kernel_log.STALL.search(healthy.encode()))
        self.assertEqual(kernel_log.first(healthy, 9), [])

    def test_the_first_without_what_says_little(self) -> None:
        self.assertEqual(kernel_log.first(LOG, 6), [
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "rcu: \t3-...0: (1 GPs behind) idle=a3d4/1/0x4000000000000000",
            "NMI backtrace for cpu 3",
            "RIP: 0010:spin+0x5/0x10 [stall]",
            "Call Trace:",
            " udelay_loop+0x20/0x40"])
