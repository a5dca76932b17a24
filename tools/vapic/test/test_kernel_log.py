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


WINDOW = """\
[   23.97] ------------[ cut here ]------------
[   23.97] WARNING: CPU: 0 PID: 347 at arch/x86/kvm/svm/svm.c:1687 svm_enable_irq_window+0x9e/0xb0
[   23.97] Modules linked in: kvm_amd kvm
[   23.97] Call Trace:
[   23.97]  kvm_check_and_inject_events+0x195/0x4a0 [kvm]
[   23.97] ---[ end trace 0000000000000000 ]---
"""


class KnownWarning(unittest.TestCase):
    def test_does_not_count(self) -> None:
        log = "[ 1.0] before\n" + WINDOW + "[ 30.0] between\n" + WINDOW
        self.assertEqual(kernel_log.known(log), 2)
        self.assertEqual(kernel_log.complaints(log), [])
        self.assertEqual(kernel_log.first(log, 9), [])

    def test_hides_no_other_warning(self) -> None:
        other = WINDOW.replace("svm_enable_irq_window", "svm_set_intercept")
        for log in (other + WINDOW, WINDOW + other):
            self.assertEqual(kernel_log.known(log), 1)
            self.assertEqual(len(kernel_log.complaints(log)), 2)

    def test_is_none_with_vapic_in_it(self) -> None:
        log = WINDOW.replace("kvm_check_and_inject_events+0x195/0x4a0 [kvm]",
                             "vapic_svm_enable_irq_window+0x20/0x40 [vapic]")
        self.assertEqual(kernel_log.known(log), 0)
        self.assertEqual(len(kernel_log.complaints(log)), 2)

    def test_that_does_not_end_counts(self) -> None:
        cut = WINDOW[:WINDOW.rindex("[   23.97] ---")]
        self.assertEqual(len(kernel_log.complaints(cut)), 2)


NO_MEMORY = """\
[   31.5] __kmem_cache_create_args(vapic_avic_vcpu) failed with error -12
[   31.5] CPU: 0 UID: 0 PID: 180 Comm: insmod Not tainted 6.12.117 #1
[   31.5] Call Trace:
[   31.5]  <TASK>
[   31.5]  vapic_avic_init+0x90/0xd0 [vapic]
[   31.5]  </TASK>
"""


class NoMemory(unittest.TestCase):
    def test_does_not_count(self) -> None:
        log = "[ 1.0] before\n" + NO_MEMORY + "[ 40.0] after\n" + NO_MEMORY
        self.assertEqual(kernel_log.complaints(log), [])
        self.assertEqual(kernel_log.first(log, 9), [])

    def test_of_others_counts(self) -> None:
        self.assertEqual(len(kernel_log.complaints(NO_MEMORY.replace("(vapic_", "(kvm_"))), 1)

    def test_hides_nothing_in_it_or_behind_it(self) -> None:
        other = "[   31.5] BUG: sleeping function called from invalid context\n"
        within = NO_MEMORY.replace("[   31.5] Call", f"{other}[   31.5] Call")
        for log in (NO_MEMORY + other, within):
            self.assertIn(other.strip(), kernel_log.complaints(log))


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
