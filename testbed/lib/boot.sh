# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the emulated host and the guest in it have in common: initramfs
# archives, kernel modules taken from the stock package, and the kernel as a
# plain ELF file.

# shellcheck source=testbed/lib/kernel.sh
. "$(dirname "${BASH_SOURCE[0]}")/kernel.sh"

# boot_cpio BUSYBOX FOLDER FILE: archive FOLDER's content, owned by root, not
# compressed: under emulation copying beats inflating.
boot_cpio()
{
	local busybox file
	busybox=$(readlink -f "$1")
	file=$(readlink -f "$(dirname "$3")")/$(basename "$3")
	(cd "$2" && find . -mindepth 1 | LC_ALL=C sort |
		"$busybox" cpio -o -H newc -R 0:0 >"$file" 2>/dev/null)
}

# boot_module_files MODULE...: paths below lib/modules/$KVER, in the order in
# which insmod must load them.
boot_module_files()
{
	local module
	for module in "$@"; do
		modprobe -d "$KROOT" -S "$KVER" --show-depends "$module" ||
			die "kernel $KVER has no module $module"
	done | sed "s|^insmod .*/lib/modules/$KVER/||; s/ *$//" | awk '!seen[$0]++'
}
