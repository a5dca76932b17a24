# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the image that is the guest of the emulated host: the same stock
# kernel and an initramfs with busybox, hackbench and cyclictest, for guest-linux.
#
# The kernel is there twice: vmlinuz as Debian ships it, and vmlinux, what it
# unpacks itself to. A guest of an emulated host boots the latter sooner.

# shellcheck source=testbed/lib/boot.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/boot.sh"

GUEST_PACKAGES=(binutils zstd)
# Of the image, besides busybox.
GUEST_PROGRAMS=(usr/bin/hackbench usr/bin/cyclictest)
# What the guest talks through, a part of most kernels.
GUEST_BOOT_MODULES=(virtio_pci virtio_console)
# What makes Linux use the interrupt controller of Hyper-V.
GUEST_MODULES=(hv_vmbus)

guest_build()
{
	local out=$1/root/usr/lib/vapic-guest tree=$1/tree root=$PACKAGES_PART/root library module
	mkdir -p "$out" "$tree"/{bin,lib64,lib/modules,proc,sys,dev,tmp,run}
	cp "$KIMAGE" "$out/vmlinuz"
	need_packages "${GUEST_PACKAGES[@]}"
	kernel_vmlinux "$out/vmlinuz" >"$out/vmlinux"
	cp "$TESTBED_DIR/image/guest/init" "$tree/init"
	cp "$root/bin/busybox" "${GUEST_PROGRAMS[@]/#/$root/}" "$tree/bin"
	for library in $(LC_ALL=C objdump -p "${GUEST_PROGRAMS[@]/#/$root/}" |
		awk '$1 == "NEEDED" { print $2 }' | sort -u); do
		cp -L "$root/lib/x86_64-linux-gnu/$library" "$tree/lib64"
	done
	cp -L "$root/lib64/ld-linux-x86-64.so.2" "$tree/lib64"
	for module in $(boot_module_files "${GUEST_MODULES[@]}"); do
		kernel_plain_module "$KROOT/lib/modules/$KVER/$module" "$tree/lib/modules"
	done
	boot_modules "$tree/modules" "${GUEST_BOOT_MODULES[@]}"
	boot_cpio "$root/bin/busybox" "$tree" "$out/initramfs"
	rm -r "$tree"
}
