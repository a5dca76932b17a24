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
# which insmod must load them; of those that are not part of the kernel itself.
boot_module_files()
{
	local module
	for module in "$@"; do
		modprobe -d "$KROOT" -S "$KVER" --show-depends "$module" ||
			die "kernel $KVER has no module $module"
	done | sed -n "s|^insmod .*/lib/modules/$KVER/||; T; s/ *$//; p" | awk '!seen[$0]++'
}

# boot_modules FOLDER MODULE...: these in the folder, plain, and a file `order` that
# says in which order they are to be loaded.
boot_modules()
{
	local folder=$1 module
	shift
	mkdir -p "$folder"
	: >"$folder/order"
	for module in $(boot_module_files "$@"); do
		kernel_plain_module "$KROOT/lib/modules/$KVER/$module" "$folder"
		basename "$module" .xz >>"$folder/order"
	done
}
