# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Stock Debian kernels in the cache: the image package (kernel and modules)
# and the matching headers, unpacked side by side and usable from there
# without being installed.
#
# After kernel_ensure SERIES these are set:
#   KVER     kernel release, as uname -r prints it inside
#   KDIR     folder for `make -C $KDIR M=...`; holds vmlinux with BTF
#   KMODDIR  folder with uncompressed kvm.ko, kvm-amd.ko and kvm-intel.ko
#   KROOT    the unpacked packages: boot/vmlinuz-$KVER, lib/modules/$KVER

# shellcheck source=testbed/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

KERNEL_SERIES_KNOWN=$(sed '/^#/d' "$(dirname "${BASH_SOURCE[0]}")/../kernel-series" | xargs)
KERNEL_SERIES_DEFAULT=${KERNEL_SERIES_KNOWN%% *}

# Builds against the headers need these on the build machine: the kernel's own
# compiler, pahole for module BTF, and the libraries that kbuild tools use.
KERNEL_BUILD_PACKAGES=(gcc-12 g++-12 make libelf1 libssl3 pahole xz-utils kmod)

kernel_check_series()
{
	case " $KERNEL_SERIES_KNOWN " in
	*" $1 "*) ;;
	*) die "unknown kernel '$1' (known: $KERNEL_SERIES_KNOWN)" ;;
	esac
}

# Name of the image package of SERIES that Debian ships today. ABI numbers come
# and go, so ask the packages that point at the current one, in backports and in
# the security archive, and take the newest: either may be behind the other.
kernel_image_package()
{
	local series=$1 meta newest
	newest=$(
		for meta in linux-image-amd64/bookworm-backports "linux-image-$series-amd64"; do
			debian_apt apt-cache show --no-all-versions "$meta" 2>/dev/null |
				sed -n "s/^Depends: \\(linux-image-${series//./\\.}\\.[^ ,]*\\).*/\\1/p" |
				head -n 1
		done | sort -V | tail -n 1
	)
	[ -n "$newest" ] ||
		die "Debian 12 offers no kernel $series today (looked in backports and security)"
	echo "$newest"
}

kernel_unpack()
{
	local series=$1 image release version target work package
	debian_update
	image=$(kernel_image_package "$series")
	release=${image#linux-image-}
	version=$(debian_apt apt-cache show --no-all-versions "$image" |
		sed -n 's/^Version: //p' | head -n 1)
	target=$CACHE_DIR/kernel/$release
	work=$target.new
	say "fetching kernel $release ($version)"
	rm -rf "$work" "$target"
	debian_download "$work/deb" "$image=$version" \
		"linux-headers-$release=$version" \
		"linux-headers-${release%-amd64}-common=$version" \
		"linux-kbuild-${release%-amd64}=$version"
	for package in "$work"/deb/*.deb; do
		dpkg-deb -x "$package" "$work/root"
	done
	rm -r "$work/deb"
	# The one absolute path in the headers: where the shared half lies.
	echo "include $target/root/usr/src/linux-headers-${release%-amd64}-common/Makefile" \
		>"$work/root/usr/src/linux-headers-$release/Makefile"
	ln -sfn "../../../usr/src/linux-headers-$release" \
		"$work/root/lib/modules/$release/build"
	ln -sfn "../../../usr/src/linux-headers-${release%-amd64}-common" \
		"$work/root/lib/modules/$release/source"
	depmod -b "$work/root" "$release"
	mkdir "$work/kvm"
	for package in kvm kvm-amd kvm-intel; do
		xz -dc "$work/root/lib/modules/$release/kernel/arch/x86/kvm/$package.ko.xz" \
			>"$work/kvm/$package.ko"
	done
	echo "$version" >"$work/version"
	mv "$work" "$target"
	ln -sfn "$release" "$CACHE_DIR/kernel/$series"
}

kernel_unpack_once()
{
	[ -e "$CACHE_DIR/kernel/$1/version" ] || kernel_unpack "$1"
}

kernel_ensure()
{
	local series=$1
	kernel_check_series "$series"
	if [ ! -e "$CACHE_DIR/kernel/$series/version" ]; then
		need_packages "${KERNEL_BUILD_PACKAGES[@]}"
		mkdir -p "$CACHE_DIR/kernel"
		with_lock "kernel-$series" kernel_unpack_once "$series"
	fi
	KVER=$(readlink "$CACHE_DIR/kernel/$series")
	KROOT=$CACHE_DIR/kernel/$KVER/root
	KDIR=$KROOT/usr/src/linux-headers-$KVER
	KMODDIR=$CACHE_DIR/kernel/$KVER/kvm
	export KVER KROOT KDIR KMODDIR
}
