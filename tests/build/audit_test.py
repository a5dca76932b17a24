#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
#
# A stock function that has changed must be noticed, by its prototype or its body, and one that
# has only moved must not. Runs on the build machine, after make. Speaks TAP.
#
# usage: audit_test.py KDIR VMLINUX FOLDER-WITH-KVM-MODULES

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cases

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tools"))

from vapic import btf  # noqa: E402
from vapic.audit import layout, machine_code  # noqa: E402

KDIR, VMLINUX, FOLDER = map(os.path.abspath, sys.argv[1:])

BEFORE = """
struct other { long a, b; };
int helper(int), table[8];
__attribute__((noinline)) static int neighbour(int n) { return helper(n) * 3; }
int around(int n) { return neighbour(n) + neighbour(n + 1); }
"""
SUBJECT = """
struct inner { long first; MEMBERS int wanted; };
struct outer { long first; struct inner *inner; };
int subject(struct outer *outer, int n)
{
	int i, sum = 0;
	for (i = 0; i < n; i++) {
		sum += neighbour(table[i & 7]);
		if (sum > LIMIT)
			helper(sum);
	}
	outer->inner->wanted = sum;
	return sum ^ helper(i);
}
"""


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def subject(scratch, name, before="", limit=100, members="", wanted="wanted"):
    """The digest of a function that is compiled with something before it."""
    path = Path(scratch) / f"{name}.o"
    source = BEFORE + before + SUBJECT.replace("LIMIT", str(limit)).replace(
        "MEMBERS", members).replace("->wanted", f"->{wanted}")
    subprocess.run(["gcc", "-O2", "-g", "-mcmodel=kernel", "-fno-pic", "-c", "-xc", "-", "-o",
                    path], input=source, text=True, check=True)
    subprocess.run(["pahole", "-J", path], check=True)
    types = layout.Types("subject", btf.Btf(path), [])
    return machine_code.Module(path, types).digest("subject")


def bodies():
    """the digest of a body follows its code, not its place nor the layout of structures"""
    with tempfile.TemporaryDirectory() as scratch:
        digest = subject(scratch, "plain")
        check(digest == subject(scratch, "moved", "int more(int n) { return n + table[n] * 77; }\n"
                                "const char *said(void) { return \"more\"; } int data = 5;\n"),
              "moved code has another digest")
        check(digest == subject(scratch, "grown", members="long more[40];"),
              "a structure that has grown changes the digest")
        check(digest != subject(scratch, "changed", limit=101), "a changed constant goes unseen")
        check(digest != subject(scratch, "other", members="int other;", wanted="other"),
              "a reference to another member goes unseen")


def audit(*words):
    done = subprocess.run([TREE / "tools/audit", *map(str, words)], capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def copy_of_modules(folder):
    folder.mkdir()
    for file in Path(FOLDER).glob("*.ko"):
        shutil.copy(file, folder)
    (folder / "vmlinux").symlink_to(VMLINUX)
    return folder


def warnings(text):
    return [line for line in text.split("\n") if "WARNING" in line]


def changed_module():
    """a body that has changed by one instruction is named, with both kernels"""
    with tempfile.TemporaryDirectory() as scratch:
        old, new = (copy_of_modules(Path(scratch) / name) for name in ("old", "new"))
        path = new / "kvm.ko"
        module = machine_code.Module(path)
        function = module.functions["apic_update_ppr"][0]
        push = next(instruction.start for instruction in module.instructions(function)
                    if instruction.text == "push %rbx")
        data = bytearray(path.read_bytes())
        data[module.sections[function.section]["sh_offset"] + push] = 0x55  # push %rbp
        path.write_bytes(data)

        _, output = audit("check", old)
        known = warnings(output)
        status, output = audit("check", new)
        said = [line for line in warnings(output) if line not in known]
        # Or 3, if nobody has looked at any function of this kernel.
        check(status in (1, 3) and len(said) == 1 and "apic_update_ppr of kvm" in said[0] and
              "tools/audit diff apic_update_ppr 6." in said[0], output)

        _, output = audit("diff", "apic_update_ppr", old, new)
        check("-\tpush %rbx" in output and "+\tpush %rbp" in output, output)

        status, output = audit("header", VMLINUX, new, Path(scratch) / "words")
        check(status == 0 and '"unaudited kvm:apic_update_ppr' in output and
              ' unaudited for 6.' in output, output)
        check(said[0] in (Path(scratch) / "words").read_text(), "the build has no words for it")


def without_pyelftools():
    """a build that cannot compare bodies says so, and goes on"""
    with tempfile.TemporaryDirectory() as scratch:
        words = Path(scratch) / "words"
        # Without the folder of Debian's packages
        done = subprocess.run(["/usr/bin/python3", "-SB", TREE / "tools/audit", "header", VMLINUX,
                               FOLDER, words], capture_output=True, text=True, check=False)
        check(done.returncode == 0 and '"unchecked for 6.' in done.stdout,
              done.stdout + done.stderr)
        check("apt install python3-pyelftools" in words.read_text(), words.read_text())


def build_prototypes(tree):
    done = subprocess.run(["make", "-C", KDIR, f"M={tree}", f"VMLINUX={VMLINUX}",
                           f"KMODDIR={FOLDER}", "takeover/prototypes.o"],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def prototypes():
    """the build stops at a prototype that is not stock's, and names it"""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("Kbuild", "include", "takeover", "kvm", "tools", "avic", "vmx_apicv", "lapic"):
            source = TREE / name
            if source.is_dir():
                shutil.copytree(source, Path(scratch) / name,
                                ignore=shutil.ignore_patterns("*.o", "*.cmd", "generated"))
            else:
                shutil.copy(source, scratch)
        status, output = build_prototypes(scratch)
        check(status == 0, output)

        kvm = Path(scratch) / "kvm"
        edit(kvm / "imports.h", "set_target_expiration, (struct kvm_lapic *apic, u32 count_reg)",
             "set_target_expiration, (struct kvm_lapic *apic, u64 count_reg)")
        edit(kvm / "takeovers.h", "kvm_lapic_reset, void, (struct kvm_vcpu *vcpu, bool",
             "kvm_lapic_reset, void, (struct kvm_vcpu *vcpu, int")
        status, output = build_prototypes(scratch)
        for function in ("set_target_expiration", "kvm_lapic_reset"):
            check(status != 0 and f"the prototype of {function} in kvm is" in output, output)

        edit(kvm / "imports.h", "restart_apic_timer,", "restart_apic_timex,")
        status, output = build_prototypes(scratch)
        check(status != 0 and "kvm of 6." in output and
              "has no function restart_apic_timex, which vapic calls" in output, output)


def edit(path, old, new):
    text = path.read_text()
    check(old in text, f"{path} has no '{old}'")
    path.write_text(text.replace(old, new))


cases.main(bodies, changed_module, without_pyelftools, prototypes)
