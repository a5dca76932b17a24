# SPDX-License-Identifier: GPL-2.0-only
#
# What the package runs on a host (tools/package): load, which loads vapic at boot, and kernel,
# which has it built. The commands that they call are stand-ins, which note what they are called
# with.

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from vapic.files import TOP

PROGRAMS = TOP / "tools/package"
RELEASE = "6.12.117+deb13-amd64"
BUILDING = f"vapic: building for kernel {RELEASE}\n"

# A kernel that knows vapic: its log, its modules, and what modprobe does with them.
COMMANDS = {
    "uname": f"echo {RELEASE}",
    "dmesg": 'cat "$VAPIC_ROOT/log"',
    "modinfo": """
        [ ! -e "$VAPIC_ROOT/no-module" ] || exit 1
        case "$*" in *parm*)
            echo 'avic:take AVIC over: from here (bool)'
            echo 'enable_apicv:APICv (bool)'
            echo 'fail_step:for tests (uint)'
        esac""",
    "modprobe": """
        [ ! -e "$VAPIC_ROOT/fails-$1" ] || { cat "$VAPIC_ROOT/fails-$1" >&2; exit 1; }
        [ "$1" = vapic ] || exit 0
        echo '[    9.1] vapic: loading out-of-tree module taints kernel.' >> "$VAPIC_ROOT/log"
        [ ! -e "$VAPIC_ROOT/refuses" ] || {
            sed 's/^/[    9.2] vapic: /' "$VAPIC_ROOT/refuses" >> "$VAPIC_ROOT/log"
            echo "modprobe: ERROR: could not insert 'vapic': Device or resource busy" >&2
            exit 1; }
        echo '[    9.3] vapic: 0.1.0 took over AVIC of kvm_amd' >> "$VAPIC_ROOT/log"
        mkdir "$VAPIC_ROOT/sys/module/vapic"
        """,
    "rmmod": """
        [ ! -e "$VAPIC_ROOT/in-use" ] || {
            echo 'rmmod: ERROR: Module vapic is in use' >&2; exit 1; }
        rmdir "$VAPIC_ROOT/sys/module/vapic"
        """,
    "dkms": """
        state=$VAPIC_ROOT/var/lib/dkms/vapic/0.1.0
        case $1 in
        remove) rm -r "$state/$7" ;;
        install)
            mkdir -p "$state/build"
            [ ! -e "$VAPIC_ROOT/does-not-build" ] || {
                cp "$VAPIC_ROOT/does-not-build" "$state/build/make.log"
                echo 'Bad return status for module build on kernel' >&2
                exit 10; }
            mkdir -p "$state/$7/x86_64/log" "$state/$7/x86_64/module"
            cp "$VAPIC_ROOT/make.log" "$state/$7/x86_64/log" 2>/dev/null
            touch "$state/$7/x86_64/module/vapic.ko.xz"
            rm -f "$VAPIC_ROOT/no-module"
        esac
        exit 0
        """,
    "depmod": "",
    "x86_64-linux-gnu-g++-14": "",
}


class Machine(unittest.TestCase):
    """Files below a folder, and the stand-ins."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.bin = self.root / "bin"
        self.calls = self.root / "calls"
        for name, script in COMMANDS.items():
            self.put(f"bin/{name}",
                     f"#!/bin/sh\necho {name} \"$@\" >> \"$VAPIC_ROOT/calls\"\n{script}\n")
            (self.bin / name).chmod(0o755)
        self.put("log", "[    1.0] kvm_amd: nothing\n")
        self.put("proc/cpuinfo", "processor : 0\nflags : fpu svm avic\n\nflags : vmx\n")
        self.put("sys/kernel/vapic/audit", f"audited for {RELEASE}\n")
        (self.root / "sys/module").mkdir()
        # As they are installed
        for name in ("load", "kernel"):
            self.put(f"lib/{name}", (PROGRAMS / name).read_text())
            (self.root / "lib" / name).chmod(0o755)
        self.put("lib/version", "0.1.0\n")
        self.put("lib/series", "6.12\n6.18\n")

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run_program(self, *words: str) -> tuple[int, str]:
        """Its status and what it says."""
        self.calls.write_text("")
        environment = {**os.environ, "VAPIC_ROOT": str(self.root),
                       "PATH": f"{self.bin}:/usr/bin:/bin"}
        environment.pop("JOURNAL_STREAM", None)
        done = subprocess.run([self.root / "lib" / words[0], *words[1:]], env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def called(self, *names: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines()
                if line.split()[0] in names]


class Load(Machine):
    def configure(self, text: str) -> None:
        self.put("etc/vapic.conf", text)

    def check_refused(self, says: str) -> None:
        """One line, and vapic is not asked to load."""
        status, output = self.run_program("load", "start")
        self.assertEqual((status, output),
                         (1, f"vapic: not loaded: {says}; this host runs stock KVM\n"))
        self.assertFalse((self.root / "sys/module/vapic").exists())

    def test_it_loads_the_vendors_module_and_then_vapic_with_its_parameters(self) -> None:
        self.configure("# a comment\n\n LOAD=yes \navic=1\n\tenable_apicv=0")
        self.assertEqual(self.run_program("load", "wanted"), (0, ""))
        self.assertEqual(self.run_program("load", "start"),
                         (0, "vapic: loaded: 0.1.0 took over AVIC of kvm_amd\n"))
        self.assertEqual(self.called("modprobe"),
                         ["modprobe kvm_amd", "modprobe vapic avic=1 enable_apicv=0"])

    def test_the_processor_decides_whose_module(self) -> None:
        self.configure("LOAD=yes\n")
        self.put("proc/cpuinfo", "flags : fpu vmx\nvmx flags : svm\n")
        self.run_program("load", "start")
        self.assertEqual(self.called("modprobe"), ["modprobe kvm_intel", "modprobe vapic"])

    def test_a_processor_without_virtualization(self) -> None:
        self.put("proc/cpuinfo", "flags : fpu svmx\n")
        self.check_refused("this processor has neither SVM nor VMX, or the firmware hides it")
        self.assertEqual(self.called("modprobe"), [])

    def test_only_LOAD_yes_loads_it(self) -> None:
        said = "vapic: not loaded: /etc/vapic.conf does not say LOAD=yes; this host runs stock" \
               " KVM\n"
        self.assertEqual(self.run_program("load", "wanted"), (1, said))
        for text in ("", "LOAD=no\n", "#LOAD=yes\n", "avic=1\n", "LOAD=yes\nLOAD=no\n"):
            self.configure(text)
            self.assertEqual(self.run_program("load", "wanted"), (1, said), text)
        self.assertEqual(self.called("modprobe"), [])

    def test_the_file_as_it_comes_is_understood_and_does_not_load_it(self) -> None:
        self.configure((PROGRAMS / "vapic.conf").read_text())
        self.assertEqual(self.run_program("load", "wanted")[0], 1)
        self.configure((PROGRAMS / "vapic.conf").read_text().replace("LOAD=no", "LOAD=yes"))
        self.assertEqual(self.run_program("load", "wanted")[0], 0)
        self.assertEqual(self.run_program("load", "start")[0], 0)

    def test_a_mistake_in_the_file_is_named_with_its_line(self) -> None:
        for text, says in (
                ("LOAD=yes\nperhaps\n", "2: 'perhaps' is not NAME=VALUE"),
                ("LOAD=maybe", "1: LOAD=maybe is neither LOAD=yes nor LOAD=no"),
                ('LOAD="yes"\n', '1: LOAD="yes": a value has letters and digits only'),
                ("avic=1 enable_apicv=0\n",
                 "1: avic=1 enable_apicv=0: a value has letters and digits only"),
                ("avic =1\n", "1: 'avic ' is no name"),
                ("=1\n", "1: '' is no name"),
                ("$(reboot)=1\n", "1: '$(reboot)' is no name"),
                ("avic=*\n", "1: avic=*: a value has letters and digits only")):
            self.configure(text)
            # start says it, so that the unit fails.
            self.assertEqual(self.run_program("load", "wanted"), (0, ""), text)
            self.check_refused(f"/etc/vapic.conf:{says}")
            self.assertEqual(self.called("modprobe"), [])

    def test_a_parameter_that_vapic_does_not_have(self) -> None:
        for name in ("avix", "avi", "parm", "LOADS"):
            self.configure(f"LOAD=yes\navic=1\n{name}=1\n")
            self.check_refused(f"/etc/vapic.conf: unknown parameter {name}; vapic has avic"
                               " enable_apicv fail_step")
            self.assertEqual(self.called("modprobe"), [])

    def test_what_the_module_says_when_it_refuses_is_passed_on(self) -> None:
        self.put("refuses", "/dev/kvm is open: end that, then load again\n")
        self.check_refused("/dev/kvm is open: end that, then load again")

    def test_an_older_line_of_the_log_is_not_taken_for_an_answer(self) -> None:
        self.put("log", "[    1.0] vapic: an older word\n")
        self.put("fails-vapic", "modprobe: ERROR: could not insert 'vapic': Invalid argument\n")
        self.check_refused("modprobe: ERROR: could not insert 'vapic': Invalid argument")

    def test_a_kernel_that_wants_signatures(self) -> None:
        self.put("fails-vapic", "could not insert 'vapic': Key was rejected by service\n")
        self.check_refused("the kernel takes only modules that are signed with a key it knows"
                           " (secure boot)")

    def test_kvm_that_does_not_load(self) -> None:
        self.put("fails-kvm_amd", "modprobe: ERROR: could not insert 'kvm_amd': Not supported\n")
        self.check_refused("kvm_amd does not load: modprobe: ERROR: could not insert 'kvm_amd':"
                           " Not supported")

    def test_a_kernel_without_vapic(self) -> None:
        self.put("no-module", "")
        self.put("lib/series", "7.3\n")
        self.check_refused(f"there is no vapic for kernel {RELEASE}: vapic is only for Linux 7.3")
        # Installed without DKMS
        (self.root / "lib/kernel").unlink()
        self.check_refused(f"there is no vapic for kernel {RELEASE}: nobody has built it, or the"
                           " build failed")

    def test_functions_that_nobody_audited_are_said(self) -> None:
        self.put("sys/kernel/vapic/audit", "3 unaudited for 6.12\nunaudited kvm:a\n")
        status, output = self.run_program("load", "start")
        self.assertEqual(status, 0)
        self.assertRegex(output, "(?m)^vapic: WARNING: 3 unaudited for 6.12: ")

    def test_it_is_not_loaded_twice(self) -> None:
        self.run_program("load", "start")
        self.assertEqual(self.run_program("load", "start"), (0, "vapic: loaded already\n"))
        self.assertEqual(self.called("modprobe"), [])

    def test_it_unloads(self) -> None:
        self.assertEqual(self.run_program("load", "stop"), (0, ""))
        self.assertEqual(self.called("rmmod"), [])
        self.run_program("load", "start")
        self.assertEqual(self.run_program("load", "stop"),
                         (0, "vapic: unloaded; this host runs stock KVM\n"))

    def test_it_stays_while_a_guest_lives(self) -> None:
        self.run_program("load", "start")
        self.put("in-use", "")
        status, output = self.run_program("load", "stop")
        self.assertEqual((status, output.count("\n")), (1, 1))
        self.assertRegex(output, "stays loaded: Module vapic is in use; when no virtual machine")
        self.assertTrue((self.root / "sys/module/vapic").exists())

    def test_it_wants_one_of_its_words(self) -> None:
        usage = (2, "usage: load wanted|start|stop\n")
        self.assertEqual(self.run_program("load"), usage)
        self.assertEqual(self.run_program("load", "read_config"), usage)


class Kernel(Machine):
    STATE = "var/lib/dkms/vapic/0.1.0"

    def install(self, release: str) -> None:
        """Its headers, and its modules of KVM."""
        modules = f"lib/modules/{release}"
        self.put(f"{modules}/build/include/config/auto.conf",
                 "CONFIG_X=y\nCONFIG_CC_VERSION_TEXT=x86_64-linux-gnu-gcc-14 (Debian) 14.2\n")
        self.put(f"{modules}/kernel/arch/x86/kvm/kvm.ko.xz", "")

    def setUp(self) -> None:
        super().setUp()
        self.install(RELEASE)
        self.put("no-module", "")

    def check_skipped(self, says: str, release: str = RELEASE) -> None:
        self.assertEqual(self.run_program("kernel", "check", release), (1, f"{says}\n"))
        self.assertEqual(self.run_program("kernel", "build", release), (
            0, f"vapic: not built for kernel {release}, which will run stock KVM: {says}\n"))
        self.assertEqual(self.called("dkms"), [])

    def test_it_is_built(self) -> None:
        self.assertEqual(self.run_program("kernel", "check", RELEASE), (0, ""))
        self.assertEqual(self.run_program("kernel", "build", RELEASE),
                         (0, f"{BUILDING}vapic: built for kernel {RELEASE}\n"))
        self.assertEqual(self.called("dkms"), [f"dkms install -m vapic -v 0.1.0 -k {RELEASE}"])

    def test_it_is_not_built_twice(self) -> None:
        self.run_program("kernel", "build", RELEASE)
        self.assertEqual(self.run_program("kernel", "build", RELEASE), (0, ""))
        self.assertEqual(self.called("dkms"), [])

    def test_other_modules_of_kvm_under_the_same_name_are_built_for_anew(self) -> None:
        self.run_program("kernel", "build", RELEASE)
        built = self.root / self.STATE / RELEASE / "x86_64/module/vapic.ko.xz"
        os.utime(built, (1, 1))
        self.assertEqual(self.run_program("kernel", "build", RELEASE),
                         (0, f"{BUILDING}vapic: built for kernel {RELEASE}\n"))
        self.assertEqual([line.split()[1] for line in self.called("dkms")],
                         ["remove", "add", "install"])

    def test_a_kernel_that_vapic_is_not_for(self) -> None:
        for release in ("6.1.0-56-amd64", "6.120.1", "6x12.1", "16.12.1", "6.12"):
            self.check_skipped("vapic is only for Linux 6.12, 6.18", release)

    def test_headers_without_a_kernel_and_a_kernel_without_headers(self) -> None:
        modules = self.root / "lib/modules" / RELEASE
        (modules / "kernel/arch/x86/kvm/kvm.ko.xz").unlink()
        self.check_skipped(f"its modules of KVM are not installed (linux-image-{RELEASE})")
        (modules / "build/include/config/auto.conf").unlink()
        self.check_skipped(f"its headers are not installed (linux-headers-{RELEASE})")

    def test_the_compiler_must_be_the_kernels(self) -> None:
        (self.bin / "x86_64-linux-gnu-g++-14").unlink()
        self.check_skipped("the compiler that it was built with is missing:"
                           " x86_64-linux-gnu-g++-14")

    def test_a_build_that_fails_is_said_and_no_more(self) -> None:
        for log, says in (
                ("make: enter\nlayout-gen: error: field x is missing\nmake: *** Error 1\n",
                 "layout-gen: error: field x is missing"),
                ("a\nMakefile:50: *** no BTF of 6.12: vmlinux is missing.  Stop.\n",
                 "Makefile:50: *** no BTF of 6.12: vmlinux is missing.  Stop."),
                ("a\nx.c:1: fatal error: y.h: No such file\nmake: Error 2\n",
                 "x.c:1: fatal error: y.h: No such file"),
                ("a\n", "Bad return status for module build on kernel")):
            self.put("does-not-build", log)
            status, output = self.run_program("kernel", "build", RELEASE)
            self.assertEqual((status, output.splitlines()), (0, [
                BUILDING.strip(),
                f"vapic: the build for kernel {RELEASE} failed, which will run stock KVM: {says}",
                f"vapic: all that was said is in {self.root}/{self.STATE}/build/make.log"]))

    def test_functions_that_nobody_audited_are_said(self) -> None:
        self.put("make.log", "CC a\naudit: WARNING: nobody has audited x of kvm\n")
        self.assertIn("vapic: WARNING: nobody has audited x of kvm\n",
                      self.run_program("kernel", "build", RELEASE)[1])

    def test_all_kernels_with_headers(self) -> None:
        self.install("6.1.0-56-amd64")
        self.install("6.12.118+deb13-amd64")
        (self.root / "lib/modules/6.12.1").mkdir()
        status, output = self.run_program("kernel", "build-all")
        self.assertEqual((status, [line.partition(":")[2] for line in output.splitlines()]), (0, [
            " not built for kernel 6.1.0-56-amd64, which will run stock KVM: vapic is only for"
            " Linux 6.12, 6.18",
            f" building for kernel {RELEASE}", f" built for kernel {RELEASE}",
            " building for kernel 6.12.118+deb13-amd64", " built for kernel 6.12.118+deb13-amd64"]))

    def forget(self) -> list[str]:
        self.assertEqual(self.run_program("kernel", "forget", RELEASE), (0, ""))
        return self.called("depmod")

    def test_a_kernel_that_is_removed_is_looked_at_once_more_if_its_modules_stay(self) -> None:
        modules = f"lib/modules/{RELEASE}"
        self.assertEqual(self.forget(), [])
        self.put(f"{modules}/modules.dep", "kernel/a.ko: kernel/vapic.ko.d/b.ko\n")
        self.assertEqual(self.forget(), [])
        self.put(f"{modules}/modules.dep", "kernel/a.ko:\nupdates/dkms/vapic.ko.xz: kernel/a.ko\n")
        self.assertEqual(self.forget(), [f"depmod {RELEASE}"])
        self.put(f"{modules}/updates/dkms/vapic.ko.xz", "")
        self.assertEqual(self.forget(), [])
        (self.root / modules / "updates/dkms/vapic.ko.xz").unlink()
        (self.root / modules / "kernel/arch/x86/kvm/kvm.ko.xz").unlink()
        self.assertEqual(self.forget(), [])

    def test_no_kernel_has_headers(self) -> None:
        (self.root / "lib/modules").rename(self.root / "lib/other")
        self.assertEqual(self.run_program("kernel", "build-all"), (
            0, "vapic: built for no kernel: the headers of none are installed\n"))

    def test_the_hook_never_fails(self) -> None:
        hook = (PROGRAMS / "kernel-hook").read_text()
        for there in ("/nowhere", f"{self.bin}/false"):
            done = subprocess.run(["sh", "-c", hook.replace("/usr/lib/vapic/kernel", there),
                                   "hook", RELEASE])
            self.assertEqual(done.returncode, 0)
        self.put("bin/false", "#!/bin/sh\nexit 9\n")
        (self.bin / "false").chmod(0o755)
        self.assertEqual(subprocess.run(
            ["sh", "-c", hook.replace("/usr/lib/vapic/kernel", f"{self.bin}/false"), "hook",
             RELEASE]).returncode, 0)

    def test_the_hook_for_a_kernel_that_goes_builds_nothing(self) -> None:
        hook = (PROGRAMS / "kernel-hook").read_text()
        self.put("bin/said", '#!/bin/sh\necho "$*" >&2\n')
        (self.bin / "said").chmod(0o755)
        for folder, word in (("postinst.d", "build"), ("header_postinst.d", "build"),
                             ("postrm.d", "forget")):
            self.put(f"{folder}/vapic", hook.replace("/usr/lib/vapic/kernel", f"{self.bin}/said"))
            done = subprocess.run(["sh", self.root / folder / "vapic", RELEASE],
                                  stderr=subprocess.PIPE, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, f"{word} {RELEASE}\n"))


if __name__ == "__main__":
    unittest.main()
