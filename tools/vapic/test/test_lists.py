# SPDX-License-Identifier: GPL-2.0-only

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from vapic import lists
from vapic.lists import Entry, Macro
from vapic.presence import When

HEADER = """
#ifndef GUARD
#define GUARD
/* A list: REDIRECT(not, this) \\
 * and no more */
#define VAPIC_KVM_TAKEOVERS(REDIRECT, OP) \\
\tREDIRECT(kvm, first, void, (struct kvm_vcpu *vcpu, int (*f)(int, int))) \\
\tOP(common, \\
\t   hwapic, "a ) , in quotes")
#define NOT_A_LIST(x) other(x)
#ifdef CONFIG_SOMETHING
#define VAPIC_MORE_KVM_TAKEOVERS(SWITCH) SWITCH(kvm, enabled)
#endif
#endif
"""


def tree(takeovers: str = "", imports: str = "") -> str:
    """A folder with these lists, which is removed when the tests end."""
    folder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(folder.cleanup)
    kvm = Path(folder.name) / "kvm"
    kvm.mkdir()
    (kvm / "takeovers.h").write_text(takeovers)
    (kvm / "imports.h").write_text(imports)
    return folder.name


class Reader(unittest.TestCase):
    def test_arguments_end_at_their_own_commas_and_parentheses(self) -> None:
        first, second = lists.lists_of(HEADER)
        self.assertEqual(first.name, "VAPIC_KVM_TAKEOVERS")
        self.assertEqual(first.entries, [
            Macro("REDIRECT", ["kvm", "first", "void",
                               "(struct kvm_vcpu *vcpu, int (*f)(int, int))"]),
            Macro("OP", ["common", "hwapic", '"a ) , in quotes"'])])
        self.assertEqual(second.entries, [Macro("SWITCH", ["kvm", "enabled"])])

    def test_what_is_inside_an_if_is_optional_and_the_guard_is_none(self) -> None:
        self.assertEqual([each.conditional for each in lists.lists_of(HEADER)], [False, True])

    def test_conditions_are_those_of_what_is_inside(self) -> None:
        found, = lists.lists_of("#define VAPIC_KVM_TAKEOVERS(OP) VAPIC_IF(a, OP(svm, x) OP(svm, y))"
                                " VAPIC_UNLESS(b, OP(svm, z)) OP(svm, w)\n")
        self.assertEqual([(entry.arguments[1], entry.when) for entry in found.entries],
                         [("x", When("a", True)), ("y", When("a", True)), ("z", When("b", False)),
                          ("w", None)])
        with self.assertRaisesRegex(lists.Unknown, "a condition within that of a"):
            lists.lists_of("#define VAPIC_KVM_TAKEOVERS(OP) VAPIC_IF(a, VAPIC_IF(b, OP(x)))\n")

    def test_a_list_that_cannot_be_read_is_an_error(self) -> None:
        with self.assertRaisesRegex(lists.Unknown, "cannot be read: and more"):
            lists.lists_of("#define VAPIC_X_TAKEOVERS(OP) OP(a, b) and more\n")
        with self.assertRaises(ValueError):
            lists.lists_of("#define VAPIC_X_TAKEOVERS(OP) OP(a, (b)\n")


class Takeovers(unittest.TestCase):
    def test_each_kind_becomes_its_way(self) -> None:
        top = tree("#ifndef GUARD\n"
                   "#define VAPIC_SVM_TAKEOVERS(REDIRECT, OP, WRAP, GATE, SWITCH) \\\n"
                   "\tREDIRECT(kvm_amd, f, void, (void)) OP(svm, o) WRAP(svm, w) GATE(svm, g) \\\n"
                   "\tSWITCH(kvm_amd, v)\n#endif\n")
        self.assertEqual(list(lists.takeovers("SVM", top)), [
            Entry("redirect", "kvm_amd", "f", "vapic_hook_f", False),
            Entry("op", "kvm_amd", "o", "*((struct kvm_x86_ops *)0)->o", False),
            Entry("wrap", "kvm_amd", "w", "*((struct kvm_x86_ops *)0)->w", False),
            Entry("wrap", "kvm_amd", "g", "*((struct kvm_x86_ops *)0)->g", False),
            Entry("variable", "kvm_amd", "v", None, False)])
        self.assertEqual(list(lists.takeovers("VMX", top)), [])

    def test_a_list_of_lists_adds_nothing(self) -> None:
        top = tree("#define VAPIC_ALL_KVM_TAKEOVERS(OP) VAPIC_KVM_TAKEOVERS(OP)\n")
        self.assertEqual(list(lists.takeovers("KVM", top)), [])

    def test_an_unknown_kind_is_an_error(self) -> None:
        top = tree("#define VAPIC_KVM_TAKEOVERS(PATCH) PATCH(kvm, f)\n")
        with self.assertRaisesRegex(lists.Unknown, "takeovers.h has an entry PATCH"):
            list(lists.takeovers("KVM", top))

    def test_imports_are_functions_and_tracepoints_but_no_data(self) -> None:
        top = tree(imports="#define VAPIC_KVM_IMPORTS(FUNC, DATA, TRACE) \\\n"
                   "\tFUNC(kvm, int, called, (int a, int b)) DATA(kvm, int, seen) \\\n"
                   "\tTRACE(kvm, kvm_exit, (int a))\n")
        self.assertEqual([(entry.how, entry.name, entry.replacement)
                          for entry in lists.imports(top)],
                         [("call", "called", "vapic_proto_called"),
                          ("trace", "__traceiter_kvm_exit", "vapic_proto_kvm_exit")])


class OfThisTree(unittest.TestCase):
    def test_each_op_of_a_vendor_is_there_once_and_its_own(self) -> None:
        for vendor, (module, _) in lists.VENDORS.items():
            ops = lists.ops(vendor)
            self.assertTrue(ops)
            self.assertEqual(len(ops), len({entry.name for entry in ops}))
            self.assertEqual({entry.module for entry in ops}, {module})

    def test_an_op_is_the_one_of_the_kernel(self) -> None:
        known = {entry.name for entry in lists.ops("vmx")}
        without = lists.ops("vmx", lambda entry: entry.name != "vcpu_precreate")
        self.assertEqual(known - {entry.name for entry in without}, {"vcpu_precreate"})

    def test_redirections_are_of_all_modules(self) -> None:
        self.assertEqual({entry.module for entry in lists.redirects()},
                         {"kvm", "kvm_amd", "kvm_intel"})


if __name__ == "__main__":
    unittest.main()
