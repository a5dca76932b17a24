# SPDX-License-Identifier: GPL-2.0-only
#
# What goes into the emulated host: the job (command, parameters, module) as a
# piece of its initramfs, and the directory of --dir as a squashfs file.

import os
import shlex
import shutil
import subprocess

import cpio
import status
from module import misfit

PAGE = 2 << 20


def job_archive(image, options):
    files = {
        "command": b"".join(os.fsencode(word) + b"\0" for word in options.command),
        "kvm": options.kvm.encode(),
        "vapic": options.vapic.encode(),
    }
    if options.stock:
        files["no-vapic"] = b""
    else:
        with open(options.module, "rb") as module:
            files["vapic.ko"] = module.read()
        with open(os.path.join(image, "kver"), encoding="ascii") as kver:
            wrong = misfit(options.module, files["vapic.ko"], kver.read().strip(), options.kernel)
        if wrong:
            raise status.Failure(status.NO_MODULE, wrong)
    if options.dir:
        files["dir"] = b""
    if options.out:
        files["want-out"] = b""
    return cpio.archive(["job"], {f"job/{name}": data for name, data in files.items()})


def write_initramfs(image, options, path):
    """The image's initramfs followed by the job: the kernel unpacks both."""
    with open(os.path.join(image, "initramfs"), "rb") as base, open(path, "wb") as out:
        out.write(cpio.pad(base.read()))
        out.write(job_archive(image, options))


def write_directory(folder, path):
    """FOLDER as an uncompressed squashfs in whole huge pages, as a memory
    device wants it."""
    tool = shutil.which("mksquashfs")
    if not tool:
        raise status.Failure(status.TESTBED, "--dir needs mksquashfs; install squashfs-tools")
    result = subprocess.run(
        [tool, folder, path, "-quiet", "-no-progress", "-noappend",
         "-noI", "-noD", "-noF", "-noX", "-processors", "2"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise status.Failure(status.TESTBED,
                             f"cannot pack {shlex.quote(folder)}: {result.stderr.strip()}")
    size = os.path.getsize(path)
    os.truncate(path, size + -size % PAGE)
