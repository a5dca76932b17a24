# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The bootable files of the emulated host: kernel, a small initramfs that finds
# the root, and the root itself, put together from the other parts.
#
# The root is an uncompressed squashfs that the emulator maps as memory: no disk
# I/O happens while the host runs, so timing does not depend on any.

# shellcheck source=testbed/lib/boot.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/boot.sh"

HOST_PACKAGES=(squashfs-tools binutils)
# The root is memory either way: a device of its own, or a piece of the RAM. What speaks
# virtio is a part of most kernels.
HOST_BOOT_MODULES=(virtio_pci virtio_console virtio_pmem nd_e820 nd_pmem squashfs overlay)
HOST_MODULES=(kvm_amd kvm_intel msr loop vfio_pci vfio_iommu_type1)

host_build()
{
	local out=$1 tree=$1/tree
	need_packages "${HOST_PACKAGES[@]}"
	mkdir "$tree"
	cp -al "$PACKAGES_PART/root/." "$tree"
	cp -al "$SELFTESTS_PART/root/." "$GUEST_PART/root/." "$tree"
	cp -a "$TESTBED_DIR/image/root/." "$tree"
	host_emustat "$tree/usr/bin/emustat"
	host_program "$tree/usr/lib/testbed/ports" "$TESTBED_DIR/image/host/ports.c"
	host_modules "$tree"
	mksquashfs "$tree" "$out/root.squashfs" -quiet -no-progress -noappend \
		-all-root -noI -noD -noF -noX >/dev/null
	# Memory devices come in whole huge pages.
	truncate -s %2M "$out/root.squashfs"
	rm -rf "$tree"
	cp "$KIMAGE" "$out/vmlinuz"
	host_flat_kernel "$GUEST_PART/root/usr/lib/vapic-guest/vmlinux" "$out"
	host_boot_rom "$TESTBED_DIR/image/host/boot-rom.S" "$out/boot-rom"
	host_initramfs "$out/initramfs" "$out/tree"
	echo "$KVER" >"$out/kver"
	cp "$PACKAGES_PART/versions" "$out/packages"
}

# The emulator's counters, seen from inside.
host_emustat()
{
	local source=$TESTBED_DIR/qemu/emustat.c
	[ -e "$source" ] || return 0
	host_program "$1" "$source"
}

# host_program FILE SOURCE
host_program()
{
	gcc -O2 -Wall -static -s -I"$TESTBED_DIR" -o "$1" "$2" || die "$(basename "$1") did not build"
}

# What the Intel machine has in its memory when it starts: the kernel as it lies
# there, and where to enter it, which ELF note 12h (PHYS32_ENTRY) says.
host_flat_kernel()
{
	local bytes
	objcopy -O binary "$1" "$2/kernel.bin"
	bytes=$(readelf -nW "$1" | sed -n 's/^ *Xen .*(0x00000012).*description data: //p')
	# shellcheck disable=SC2086
	set -- "$2" $bytes
	[ $# -ge 5 ] || die "the kernel has no 32-bit entry point"
	echo "$5$4$3$2" >"$1/kernel.entry"
}

# An expansion ROM is valid if its bytes sum up to 0.
host_boot_rom()
{
	local sum
	gcc -c -o "$2.o" "$1"
	objcopy -O binary -j .text "$2.o" "$2"
	sum=$(od -A n -v -t u1 "$2" | awk '{ for (i = 1; i <= NF; i++) sum += $i }
		END { printf "%o", (256 - sum % 256) % 256 }')
	# shellcheck disable=SC2059
	printf "\\$sum" | dd of="$2" bs=1 seek=511 conv=notrunc status=none
	rm "$2.o"
}

# Modules that the running host may load, not compressed but signed as shipped.
host_modules()
{
	local tree=$1/usr/lib/modules/$KVER file
	mkdir -p "$tree"
	cp "$KROOT/lib/modules/$KVER"/modules.{builtin,builtin.modinfo,order} "$tree"
	for file in $(boot_module_files "${HOST_MODULES[@]}"); do
		mkdir -p "$tree/$(dirname "$file")"
		kernel_plain_module "$KROOT/lib/modules/$KVER/$file" "$tree/$(dirname "$file")"
	done
	depmod -b "$1" "$KVER"
}

host_initramfs()
{
	local file=$1 tree=$2
	mkdir -p "$tree"/{bin,dev,proc,sys,run,lower,upper,new}
	cp "$PACKAGES_PART/root/bin/busybox" "$tree/bin"
	cp "$TESTBED_DIR/image/host/init" "$tree/init"
	boot_modules "$tree/modules" "${HOST_BOOT_MODULES[@]}"
	boot_cpio "$PACKAGES_PART/root/bin/busybox" "$tree" "$file"
	rm -r "$tree"
}
