# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the image that is the guest of the emulated host: the same stock
# kernel and an initramfs with busybox and hackbench, for guest-linux.
#
# The kernel is there twice: vmlinuz as Debian ships it, and vmlinux, what it
# unpacks itself to. A guest of an emulated host boots the latter sooner.

# shellcheck source=testbed/lib/boot.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/boot.sh"

GUEST_PACKAGES=(binutils zstd)
# What makes Linux use the interrupt controller of Hyper-V.
GUEST_MODULES=(hv_vmbus)

# guest_word FILE OFFSET BYTES: a little-endian number of the boot header.
guest_word()
{
	od -A n -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# guest_vmlinux VMLINUZ: the ELF file inside, found as the x86 boot protocol
# says: setup sectors at 1F1h, payload offset and length at 248h and 24Ch. The
# payload ends with four bytes that are not zstd's.
guest_vmlinux()
{
	local start length
	start=$((($(guest_word "$1" $((0x1f1)) 1) + 1) * 512 + $(guest_word "$1" $((0x248)) 4)))
	length=$(($(guest_word "$1" $((0x24c)) 4) - 4))
	dd if="$1" iflag=skip_bytes,count_bytes skip="$start" count="$length" \
		bs=1M status=none | zstd -dc ||
		die "cannot unpack $1: its payload is not what a Debian 6.12 kernel has"
}

guest_build()
{
	local out=$1/root/usr/lib/vapic-guest tree=$1/tree root=$PACKAGES_PART/root library module
	mkdir -p "$out" "$tree"/{bin,lib64,lib/modules,proc,sys,dev,tmp,run}
	cp "$KROOT/boot/vmlinuz-$KVER" "$out/vmlinuz"
	need_packages "${GUEST_PACKAGES[@]}"
	guest_vmlinux "$out/vmlinuz" >"$out/vmlinux"
	cp "$TESTBED_DIR/image/guest/init" "$tree/init"
	cp "$root/bin/busybox" "$root/usr/bin/hackbench" "$tree/bin"
	for library in $(LC_ALL=C objdump -p "$root/usr/bin/hackbench" |
		awk '$1 == "NEEDED" { print $2 }'); do
		cp -L "$root/lib/x86_64-linux-gnu/$library" "$tree/lib64"
	done
	cp -L "$root/lib64/ld-linux-x86-64.so.2" "$tree/lib64"
	for module in $(boot_module_files "${GUEST_MODULES[@]}"); do
		xz -dc "$KROOT/lib/modules/$KVER/$module" >"$tree/lib/modules/$(basename "$module" .xz)"
	done
	boot_cpio "$root/bin/busybox" "$tree" "$out/initramfs"
	rm -r "$tree"
}
