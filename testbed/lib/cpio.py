# SPDX-License-Identifier: GPL-2.0-only
#
# Archives in the kernel's newc format, of which an initramfs is made: as many as one likes,
# one behind the other.


def entry(inode, name, mode, data):
    """One member of an archive in the kernel's newc format."""
    encoded = name.encode() + b"\0"
    fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return pad(header + encoded) + pad(data)


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def archive(folders, files):
    """An archive of folders, and of files with their content."""
    members = b"".join(entry(inode, name, 0o040755, b"")
                       for inode, name in enumerate(folders, start=1))
    members += b"".join(entry(inode, name, 0o100644, data)
                        for inode, (name, data) in enumerate(files.items(),
                                                             start=1 + len(folders)))
    return members + entry(0, "TRAILER!!!", 0, b"")
