#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
#
# Each static check of the module must notice a fault: sparse, the warnings of W=1, coccinelle's
# rules, objtool, and the gate behind the linker. Runs on the build machine, after make. Speaks TAP.
#
# usage: static_test.py KDIR [FOLDER-WITH-vapic.ko]

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cases

TREE = Path(__file__).resolve().parents[2]
KDIR = os.path.abspath(sys.argv[1])
BUILT = Path(sys.argv[2] if len(sys.argv) > 2 else TREE).resolve()

HEAD = "#include <linux/module.h>\n"
LICENCE = 'MODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("planted");\n'
# A pointer to memory of user space is followed.
SPARSE = HEAD + "int planted_user(int __user *p);\nint planted_user(int __user *p) { return *p; }\n"
# Nobody reads it.
UNUSED = HEAD + "static const int planted_unused = 5;\n"
# It returns to what it pushed.
STACK = HEAD + LICENCE + """
void planted_push(void);
void planted_push(void) { asm volatile("push %rax"); }
"""
# A mistake in each function but the last, in the line that says so.
PATHS = """#include <linux/slab.h>
struct thing { struct mutex mutex; spinlock_t spinlock; int n; };
int planted_return(struct thing *thing)
{
	mutex_lock(&thing->mutex);
	if (thing->n)
		return -EBUSY; // returns with a lock held
	mutex_unlock(&thing->mutex);
	return 0;
}
void planted_end(struct thing *thing)
{
	spin_lock(&thing->spinlock);
	thing->n = 5;
} // returns with a lock held
void planted_twice(struct thing *thing)
{
	mutex_lock(&thing->mutex);
	mutex_lock(&thing->mutex); // takes a lock that it holds
	mutex_unlock(&thing->mutex);
}
void planted_sleep(struct thing *thing)
{
	spin_lock(&thing->spinlock);
	mutex_lock(&thing->mutex); // may sleep with a spinlock held
	mutex_unlock(&thing->mutex);
	spin_unlock(&thing->spinlock);
}
void planted_unchecked(void)
{
	struct thing *thing = kzalloc(sizeof(*thing), GFP_KERNEL);

	thing->n = 5; // uses memory without a look whether there is any
}
int planted_freed(struct thing *thing)
{
	kfree(thing);
	return thing->n; // uses memory that it has freed
}
struct thing *planted_good(struct thing *other)
{
	struct thing *thing = kzalloc(sizeof(*thing), GFP_KERNEL);

	if (!thing)
		return NULL;
	mutex_lock(&other->mutex);
	spin_lock(&other->spinlock);
	thing->n = other->n;
	spin_unlock(&other->spinlock);
	mutex_unlock(&other->mutex);
	kfree(other);
	return thing;
}
"""


def refused(words, folder, *expected):
    """It fails, and says all of this."""
    done = subprocess.run(list(map(str, words)), cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    missing = [text for text in expected if text not in done.stdout]
    if done.returncode == 0 or missing:
        raise AssertionError(f"status {done.returncode}, not said: {missing}\n{done.stdout}")
    return done.stdout


def module(folder, **files):
    """The sources of a module of these files."""
    objects = " ".join(f"{name}.o" for name in files)
    (folder / "Kbuild").write_text(f"obj-m := planted.o\nplanted-y := {objects}\n")
    for name, text in files.items():
        (folder / f"{name}.c").write_text(text)


def warnings():
    """sparse and W=1: a pointer of user space followed, a constant unused"""
    with tempfile.TemporaryDirectory() as scratch:
        module(Path(scratch), user=SPARSE, unused=UNUSED, good=HEAD + LICENCE)
        said = refused([TREE / "tools/check.d/sparse", scratch], TREE,
                       "user.c:3:", "dereference of noderef expression",
                       "unused.c:2:", "-Wunused-const-variable")
        if "good.c:" in said:
            raise AssertionError(f"a file without a fault is named\n{said}")


def paths():
    """coccinelle: locks, sleeping and memory on paths through a function"""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "planted.c"
        source.write_text(PATHS)
        wanted = [f"{source}:{number}: {line.partition('// ')[2]}"
                  for number, line in enumerate(PATHS.splitlines(), 1) if "// " in line]
        said = refused([TREE / "tools/check.d/coccinelle", source], TREE, *wanted)
        if len(said.splitlines()) != len(wanted):
            raise AssertionError(f"more than {len(wanted)} faults are named\n{said}")


def objtool():
    """objtool: a function that leaves the stack changed"""
    with tempfile.TemporaryDirectory() as scratch:
        module(Path(scratch), stack=STACK)
        refused([TREE / "tools/build-module", KDIR, scratch], TREE, "objtool: planted_push",
                "a warning is an error")


def objcopy(source, target, *options):
    subprocess.run(["objcopy", *options, source, target], check=True)


def plant_in_linked(folder):
    """Copies of the linked module, with a fault of each kind."""
    nothing = folder / "nothing"
    nothing.write_bytes(bytes(8))
    objcopy(BUILT / "vapic.o", folder / "vapic.o", "--weaken-symbol=vapic_avic_vm_size",
            f"--add-section=.init_array={nothing}", "--add-symbol=_ZTV7planted=.text:0,global",
            "--redefine-sym=_printk=planted_outside")
    info = folder / "modinfo"
    objcopy(BUILT / "vapic.ko", "/dev/null", f"--dump-section=.modinfo={info}")
    info.write_bytes(info.read_bytes().replace(b"depends=\0", b"depends=kvm\0"))
    objcopy(BUILT / "vapic.ko", folder / "vapic.ko", f"--update-section=.modinfo={info}")

    # C++ that went without the kernel's flags.
    for name in ("kvm", "avic", "lapic", "vmx_apicv"):
        (folder / name).mkdir()
    shutil.copy(BUILT / "kvm/host.o", folder / "kvm")
    shutil.copy(TREE / "avic/vmcb.cpp", folder / "avic")
    subprocess.run(["g++", "-std=c++20", "-O2", "-ffreestanding", "-fno-exceptions", "-fno-rtti",
                    "-fcf-protection=none", f"-I{TREE}/include", f"-I{TREE}", "-c", "-o",
                    folder / "avic/vmcb.o", TREE / "avic/vmcb.cpp"], check=True)


def linked():
    """tools/linked: symbols, sections, dependencies and code that a module must not have"""
    with tempfile.TemporaryDirectory() as scratch:
        plant_in_linked(Path(scratch))
        refused([TREE / "tools/linked", "vapic.ko", "vapic.o"], scratch,
                "weak or unique symbol: ", "vapic_avic_vm_size",
                "section that the kernel does not run or read:  .init_array",
                "C++ run-time object: _ZTV7planted",
                "undefined symbol not in tools/linked.allow: planted_outside",
                "link-time dependency on modules: kvm",
                "avic/vmcb.o: __mcount_loc has 0 entries for 1 functions",
                "avic/vmcb.o: plain return in vapic_avic_vcpu_vmcb_words",
                "avic/vmcb.o: no ENDBR in vapic_avic_vcpu_vmcb_words")


cases.main(warnings, paths, objtool, linked)
