# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Stock Debian kernels in the cache, by the names of testbed/kernels: image (kernel
# and modules) and the matching headers, unpacked side by side and usable from there
# without being installed. For the names of testbed/kernels.own, own-kernel.sh does the same.
#
# After kernel_ensure NAME these are set:
#   KVER       kernel release, as uname -r prints it inside
#   KDIR       folder for `make -C $KDIR M=...`
#   KMODDIR    folder with uncompressed kvm.ko, kvm-amd.ko and kvm-intel.ko
#   VMLINUX    file with the kernel's BTF
#   KPATH      folder that goes before PATH, for the kernel's own compiler; or empty
#   KROOT      the unpacked packages, lib/modules/$KVER among them
#   KIMAGE     the kernel as it is booted
#   KVERSION   version of the packages
#   KSERIES    such as 6.12

# shellcheck source=testbed/lib/compiler.sh
. "$(dirname "${BASH_SOURCE[0]}")/compiler.sh"
# shellcheck source=testbed/lib/own-kernel.sh
. "$(dirname "${BASH_SOURCE[0]}")/own-kernel.sh"

KERNEL_LIST=$TESTBED_DIR/kernels
KERNEL_NAMES=$(sed '/^#/d; s/ .*//' "$KERNEL_LIST" | xargs)
# shellcheck disable=SC2034 # for who sources this
KERNEL_DEFAULT=${VAPIC_KERNEL:-${KERNEL_NAMES%% *}}

# What builds against the headers need on this machine besides the compiler: the
# libraries of the kernel's own tools, and what reads its files.
KERNEL_BUILD_PACKAGES=(make libelf1 libssl3 xz-utils zstd kmod)

# kernel_columns NAME: sets what testbed/kernels says of it.
kernel_columns()
{
	local name release images compiler flavour
	while read -r name release images compiler _ flavour; do
		[ "$name" = "$1" ] || continue
		KERNEL_RELEASE=$release KERNEL_IMAGES=$images KERNEL_COMPILER=$compiler
		KERNEL_FLAVOUR=$flavour
		KSERIES=${name%%-*}
		return
	done <"$KERNEL_LIST"
	die "unknown kernel '$1' (known: $KERNEL_NAMES)"
}

# Packages that a package depends on, without versions, one a line.
kernel_depends()
{
	debian_field "$1" Depends | tr ',' '\n' | sed 's/^ *//; s/[ |].*//'
}

# Name of the image package that Debian ships today. ABI numbers come and go, so ask
# the packages that point at the current one; of several, one may be behind the other.
kernel_image_package()
{
	local name=$1 meta newest
	newest=$(
		for meta in ${KERNEL_IMAGES//,/ }; do
			kernel_depends "$meta" | grep "^linux-image-${KSERIES//./\\.}\\.[0-9]"
		done | grep -- "[0-9]-$KERNEL_FLAVOUR\$" | sort -V | tail -n 1
	) || true
	[ -n "$newest" ] ||
		die "kernel $name has left the archive: Debian $KERNEL_RELEASE offers no $KSERIES today"
	echo "$newest"
}

# What is fetched for an image: it may be in several packages; and the headers, with
# what they share with other flavours, and the programs of the build system.
kernel_packages()
{
	local headers=${1/image/headers}
	printf '%s\n' "$1" "$headers"
	kernel_depends "$1" | grep -E '^linux-(base|binary|modules)-[0-9]' || true
	kernel_depends "$headers" | grep -E '^linux-(headers|kbuild)-[0-9]'
}

# kernel_fetch NAME: find out which kernel that is, and have it: what the cache has under that name,
# or with VAPIC_NEWEST in the environment what the archive has today.
kernel_fetch()
{
	local name=$1 image release version target
	[ -n "${VAPIC_NEWEST:-}" ] || [ ! -e "$CACHE_DIR/kernel/$name/version" ] || return 0
	debian_use "$KERNEL_RELEASE"
	debian_update
	image=$(kernel_image_package "$name")
	version=$(debian_field "$image" Version)
	release=${image#linux-image-}
	target=$CACHE_DIR/kernel/$release
	[ "$(cat "$target/version" 2>/dev/null)" = "$version" ] ||
		kernel_unpack "$image" "$version" "$target"
	ln -sfn "$release" "$CACHE_DIR/kernel/$name"
}

# kernel_unpack IMAGE VERSION TARGET
kernel_unpack()
{
	local image=$1 version=$2 target=$3 work=$3.new release=${1#linux-image-} headers modules
	local packages file
	mapfile -t packages < <(kernel_packages "$image")
	say "fetching kernel $release ($version)"
	rm -rf "$work"
	debian_download "$work/deb" "${packages[@]/%/=$version}"
	find "$work/deb" -name '*.deb' | debian_unpack "$work/root"
	rm -r "$work/deb"
	headers=$work/root/usr/src/linux-headers-$release
	modules=$work/root/usr/lib/modules/$release
	# The absolute paths in the headers: where they lie.
	sed -i "s|/usr/src/|$target/root&|" "$headers/Makefile"
	ln -sfn "../../../src/linux-headers-$release" "$modules/build"
	ln -sfn "../../../src/$(basename "$(ls -d "$work"/root/usr/src/linux-headers-*common*)")" \
		"$modules/source"
	if [ -n "$COMPILER_ROOT" ]; then
		need_packages patchelf binutils
		compiler_retarget "$work"/root/usr/lib/linux-kbuild-*
	fi
	depmod -b "$work/root" "$release"
	mkdir "$work/kvm"
	for file in kvm kvm-amd kvm-intel; do
		kernel_plain_module "$modules/kernel/arch/x86/kvm/$file.ko" "$work/kvm"
	done
	[ -e "$headers/vmlinux" ] || kernel_vmlinux "$(kernel_image "$work/root" "$release")" \
		>"$work/vmlinux"
	echo "$version" >"$work/version"
	rm -rf "$target"
	mv "$work" "$target"
}

# kernel_plain_module FILE FOLDER: a module, which may be there as FILE.xz, not
# compressed.
kernel_plain_module()
{
	local file=${1%.xz}
	if [ -e "$file" ]; then
		cp "$file" "$2"
	else
		xz -dc "$file.xz" >"$2/$(basename "$file")"
	fi
}

# kernel_image ROOT RELEASE
kernel_image()
{
	local file
	for file in "$1/boot/vmlinuz-$2" "$1/lib/modules/$2/vmlinuz"; do
		[ ! -e "$file" ] || {
			echo "$file"
			return
		}
	done
	die "the packages of kernel $2 hold no vmlinuz"
}

# kernel_vmlinux VMLINUZ: the ELF file inside
kernel_vmlinux()
{
	"$TESTBED_DIR/../tools/boot-image" "$1" || die "cannot unpack $1"
}

# kernel_ensure NAME
kernel_ensure()
{
	if own_kernel_is "$1"; then
		own_kernel_ensure "$1"
	else
		kernel_ensure_stock "$1"
	fi
	KIMAGE=$(kernel_image "$KROOT" "$KVER")
	KPATH=${COMPILER_ROOT:+$COMPILER_ROOT/usr/bin}
	export KVER KROOT KDIR KMODDIR KIMAGE KVERSION KSERIES VMLINUX KPATH
}

kernel_ensure_stock()
{
	local name=$1
	kernel_columns "$name"
	debian_use "$KERNEL_RELEASE"
	need_packages "${KERNEL_BUILD_PACKAGES[@]}"
	compiler_ensure "$KERNEL_RELEASE" "$KERNEL_COMPILER"
	if [ ! -e "$CACHE_DIR/kernel/$name/version" ]; then
		mkdir -p "$CACHE_DIR/kernel"
		with_lock "kernel-$name" kernel_fetch "$name"
	fi
	debian_use bookworm
	KVER=$(readlink "$CACHE_DIR/kernel/$name")
	KROOT=$CACHE_DIR/kernel/$KVER/root
	KVERSION=$(cat "$CACHE_DIR/kernel/$KVER/version")
	KDIR=$KROOT/usr/src/linux-headers-$KVER
	KMODDIR=$CACHE_DIR/kernel/$KVER/kvm
	VMLINUX=$KDIR/vmlinux
	[ -e "$VMLINUX" ] || VMLINUX=$CACHE_DIR/kernel/$KVER/vmlinux
}
