# SPDX-License-Identifier: GPL-2.0-only
#
# What goes into the emulated host: the job (command, parameters, module) as a
# piece of its initramfs, and the directory of --dir as a squashfs file.

import os
import shlex
import shutil
import subprocess

import status

PAGE = 2 << 20


def cpio_entry(inode, name, mode, data):
    """One member of an archive in the kernel's newc format."""
    encoded = name.encode() + b"\0"
    fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return pad(header + encoded) + pad(data)


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def cpio(folders, files):
    """An archive of folders, and of files with their content."""
    archive = b"".join(cpio_entry(inode, name, 0o040755, b"")
                       for inode, name in enumerate(folders, start=1))
    archive += b"".join(cpio_entry(inode, name, 0o100644, data)
                        for inode, (name, data) in enumerate(files.items(),
                                                             start=1 + len(folders)))
    return archive + cpio_entry(0, "TRAILER!!!", 0, b"")


def job_archive(options):
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
    if options.dir:
        files["dir"] = b""
    if options.out:
        files["want-out"] = b""
    return cpio(["job"], {f"job/{name}": data for name, data in files.items()})


def write_initramfs(image, options, path):
    """The image's initramfs followed by the job: the kernel unpacks both."""
    with open(os.path.join(image, "initramfs"), "rb") as base, open(path, "wb") as out:
        out.write(pad(base.read()))
        out.write(job_archive(options))


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
