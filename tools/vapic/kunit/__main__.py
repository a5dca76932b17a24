# SPDX-License-Identifier: GPL-2.0-only
#
# Build vapic.ko with the suites of kunit/ for the kernel that testbed/config/kunit configures, load
# it on an emulated host of that kernel, and print a result for each case, as TAP has it. How many
# lines of the glue have run goes to LOGS/kunit-MACHINE.coverage, with what has not run.
#
# usage: kunit [amd|intel] [LOGS]     amd, build/kunit/logs

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from vapic.files import TOP, read, write
from vapic.kunit import coverage, results
from vapic.run.build import Headers

KERNEL = "6.12-kunit"
BUILD = TOP / "build/kunit"
# All that the module is made of, and what checks it while it is built.
SOURCES = ("Kbuild", "avic", "vmx_apicv", "lapic", "kvm", "include", "takeover", "kunit",
           "tools/audit", "tools/freestanding", "tools/vapic", "tools/build-module")


class Failed(Exception):
    """With one line that says why."""


@dataclass(frozen=True)
class Machine:
    # Of KVM, so that it leaves all to vapic.
    kvm: str
    cpus: int
    # Seconds
    timeout: int
    # Of the other vendor: the suite, and what begins the names of files.
    suite: str
    files: tuple[str, ...]


MACHINES = {
    "amd": Machine("avic=0", 2, 900, "vapic_vmx", ("vmx_apicv/", "takeover/vmx.c")),
    "intel": Machine("enable_apicv=0", 1, 2400, "vapic_avic", ("avic/", "takeover/svm.c")),
}


def said(words: list[str], log: Path) -> str:
    """What a command prints; it must succeed."""
    with open(log, "w", encoding="utf-8") as errors:
        ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=errors, text=True)
    if ended.returncode != 0:
        end = (ended.stdout + read(log)).splitlines()[-20:]
        raise Failed("\n".join([*end, f"{words[0]} failed"]))
    return ended.stdout


def build(headers: Headers, log: Path) -> None:
    """In a copy, which keeps its objects from one time to the next."""
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
                            "--", *SOURCES], check=True, capture_output=True, text=True).stdout
    for name in filter(os.path.exists, filter(None, names.split("\0"))):
        target = BUILD / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.stat().st_mtime != os.stat(name).st_mtime:
            shutil.copy2(name, target)
    said([*headers.compiling([str(BUILD / "tools/build-module"), headers.kdir, str(BUILD)]),
          f"VMLINUX={headers.vmlinux}", f"KMODDIR={headers.kmoddir}", "VAPIC_KUNIT=1"], log)


def stage(headers: Headers, mnt: Path) -> None:
    shutil.rmtree(mnt, ignore_errors=True)
    mnt.mkdir(parents=True)
    kunit = next(Path(headers.kmoddir).parent.glob("root/lib/modules/*/kernel/lib/kunit/kunit.ko"))
    shutil.copy(kunit, mnt)
    shutil.copy(BUILD / "kunit/in-host", mnt)
    subprocess.run(["strip", "--strip-debug", "-o", mnt / "vapic.ko", BUILD / "vapic.ko"],
                   check=True)


def boot(name: str, mnt: Path, out: Path, log: Path) -> int:
    machine = MACHINES[name]
    shutil.rmtree(out, ignore_errors=True)
    with open(log, "w", encoding="utf-8") as to:
        return subprocess.run(
            ["testbed/run", name, "--kernel", KERNEL, "--smp", str(machine.cpus), "--stock",
             "--kvm", machine.kvm, "--timeout", str(machine.timeout), "--dir", str(mnt),
             "--out", str(out), "--", "/mnt/in-host"], stdout=to, stderr=to).returncode


def parse(headers: Headers, out: Path, log: Path) -> str:
    """JSON of what the kernel printed. The status of kunit.py is that of the tests."""
    subprocess.run([sys.executable, "-B", f"{headers.kdir}/tools/testing/kunit/kunit.py", "parse",
                    f"--json={out}/results.json", f"{out}/dmesg"],
                   stdout=open(log, "w", encoding="utf-8"), stderr=subprocess.STDOUT)
    return read(out / "results.json")


def run(name: str, logs: Path) -> int:
    logs.mkdir(parents=True, exist_ok=True)
    headers = Headers.of(said(["testbed/kernel-headers", KERNEL],
                              logs / f"kunit-{name}-kernel.log"))
    build(headers, logs / f"kunit-{name}-build.log")
    mnt, out = BUILD / f"mnt-{name}", (logs / f"kunit-{name}").absolute()
    stage(headers, mnt)
    host = logs / f"kunit-{name}-host.log"
    status = boot(name, mnt, out, host)
    if not (out / "dmesg").exists():
        raise Failed("\n".join([*read(host).splitlines()[-30:], "the host left no log"]))
    found = results.lines(parse(headers, out, logs / f"kunit-{name}-parse.log"),
                          MACHINES[name].suite)
    print(*found, sep="\n")
    number = len(found) + 1
    print(f"{'not ok' if status else 'ok'} {number} - host ran to its end, kernel log clean")
    if status:
        print(*(f"# {line}" for line in read(host).splitlines()[-40:]), sep="\n")
    table = coverage.table(coverage.measure(BUILD, out / "gcov", "gcov-12"),
                           MACHINES[name].files)
    write(logs / f"kunit-{name}.coverage", "".join(f"{line}\n" for line in table))
    print(f"# coverage: {table[-1] if table else 'nothing was counted'}")
    print(f"1..{number}")
    return 1 if status or not found or any(line.startswith("not") for line in found) else 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/kunit", allow_abbrev=False)
    parser.add_argument("machine", nargs="?", default="amd", choices=MACHINES)
    parser.add_argument("logs", nargs="?", type=Path, default=BUILD / "logs")
    options = parser.parse_args()
    os.chdir(TOP)
    try:
        sys.exit(run(options.machine, options.logs))
    except Failed as failed:
        print(*(f"# {line}" for line in str(failed).splitlines()), sep="\n")
        print("not ok 1 - the suites are built and run\n1..1")
        sys.exit(1)


if __name__ == "__main__":
    main()
