# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Kernels of testbed/kernels.own, built from Debian's source into the cache: a part that depends on
# the version of the source, the configuration and this file. kernel.sh, which includes this, uses
# it for their names.

# shellcheck source=testbed/lib/part.sh
. "$(dirname "${BASH_SOURCE[0]}")/part.sh"

OWN_KERNEL_LIST=$TESTBED_DIR/kernels.own
OWN_KERNEL_NAMES=$(sed '/^#/d; s/ .*//' "$OWN_KERNEL_LIST" | xargs)
OWN_KERNEL_PACKAGES=(make flex bison bc libc6-dev libelf-dev xz-utils zstd kmod cpio perl pahole)

# What takes most of the time to unpack: sources of drivers and architectures that no configuration
# of ours has. Their Kconfig files stay, since the others name them.
OWN_KERNEL_OMIT=('*/Documentation/*/*' '*/tools/perf/*' '*/tools/testing/selftests/*'
	'*/arch/[!x]*/*.[chS]' '*.dts' '*.dtsi' '*/sound/*.[ch]'
	'*/drivers/'{gpu,net,media,staging,scsi,infiniband}'/*.[ch]')

own_kernel_is()
{
	case " $OWN_KERNEL_NAMES " in *" $1 "*) return 0 ;; esac
	return 1
}

# own_kernel_columns NAME: as kernel_columns does.
own_kernel_columns()
{
	local configs
	read -r _ KERNEL_RELEASE OWN_KERNEL_SOURCE KERNEL_COMPILER configs < <(
		grep "^$1 " "$OWN_KERNEL_LIST")
	read -r -a OWN_KERNEL_CONFIGS <<<"$configs"
	OWN_KERNEL_CONFIGS=("${OWN_KERNEL_CONFIGS[@]/#/$TESTBED_DIR/config/}")
	KSERIES=${1%%-*}
}

own_kernel_unpack()
{
	local source
	source=$(dpkg-deb -f "$1" Package)
	mkdir "$2"
	dpkg-deb --fsys-tarfile "$1" |
		tar -xO "./usr/src/$source.tar.xz" |
		xz -dc -T 2 |
		tar -x -C "$2" --strip-components=1 "${OWN_KERNEL_OMIT[@]/#/--exclude=}"
}

own_kernel_make()
{
	make -s -C "$own_tree" LOCALVERSION="$own_suffix" "$@"
}

# The configuration must come out as the files have it, though Kconfig drops what depends on
# something that is off.
own_kernel_configure()
{
	local line
	cat "${OWN_KERNEL_CONFIGS[@]}" >"$own_tree/own.config"
	own_kernel_make KCONFIG_ALLCONFIG=own.config allnoconfig || return
	while read -r line; do
		grep -qxF "$line" "$own_tree/.config" || {
			echo "Kconfig drops $line"
			return 1
		}
	done < <(grep '^CONFIG_' "$own_tree/own.config")
}

# Modules are built with the same compiler.
own_kernel_name_compiler()
{
	sed -i "s/^\(CC[[:space:]]*=\) \$(CROSS_COMPILE)gcc\$/\1 $KERNEL_COMPILER/" "$own_tree/Makefile" &&
		grep -q "^CC[[:space:]]*= $KERNEL_COMPILER\$" "$own_tree/Makefile"
}

# own_kernel_install FOLDER: image and modules
own_kernel_install()
{
	local out=$1 release modules
	release=$(own_kernel_make kernelrelease) || return
	modules=$out/root/lib/modules/$release
	mkdir -p "$out/root/boot" "$out/kvm" &&
		cp "$own_tree/arch/x86/boot/bzImage" "$out/root/boot/vmlinuz-$release" &&
		own_kernel_make INSTALL_MOD_PATH="$out/root" INSTALL_MOD_STRIP=1 modules_install &&
		rm -f "$modules"/{build,source} &&
		cp "$modules/kernel/arch/x86/kvm"/kvm{,-amd,-intel}.ko "$out/kvm" &&
		strip --strip-debug "$own_tree/vmlinux" &&
		echo "$release" >"$out/release"
}

# Of the tree, leave what building modules takes, and kunit.py.
own_kernel_thin()
{
	(cd "$own_tree" && rm -rf arch/x86/boot/compressed block certs crypto drivers fs init \
		io_uring ipc kernel lib mm net rust samples security sound usr virt) &&
		find "$own_tree" -type f \( -name '*.[oas]' -o -name '*.ko' -o -name '.*.cmd' \
			-o -name '*.mod' -o -name '*.mod.c' -o -name '.*.o.d' -o -name 'vmlinux.*' \
			-o -name '.tmp_*' \) ! -name 'vmlinux.h' -delete
}

# After own_kernel_columns
own_kernel_build()
{
	local out=$1 own_tree=$1/src own_suffix=-${own_name#*-}-${own_id:0:8}
	need_packages "${OWN_KERNEL_PACKAGES[@]}"
	debian_update
	debian_download "$out/deb" "$OWN_KERNEL_SOURCE=$own_version"
	own_kernel_unpack "$out"/deb/*.deb "$own_tree"
	rm -r "$out/deb"
	{
		own_kernel_name_compiler && own_kernel_configure &&
			own_kernel_make -j"$(nproc)" bzImage modules &&
			own_kernel_install "$out" && own_kernel_thin
	} >"$out/log" 2>&1 || {
		tail -n 20 "$out/log" >&2
		die "kernel $own_name does not build (end of the log above)"
	}
	echo "$own_version" >"$out/version"
}

# own_kernel_ensure NAME: as kernel_ensure does.
own_kernel_ensure()
{
	local own_name=$1 own_version own_id
	own_kernel_columns "$1"
	debian_use "$KERNEL_RELEASE"
	need_packages "${KERNEL_BUILD_PACKAGES[@]}"
	compiler_ensure "$KERNEL_RELEASE" "$KERNEL_COMPILER"
	own_version=$(debian_field "$OWN_KERNEL_SOURCE" Version)
	if [ -z "$own_version" ]; then
		debian_update
		own_version=$(debian_field "$OWN_KERNEL_SOURCE" Version)
	fi
	own_id=$(part_hash "$own_version" "${OWN_KERNEL_CONFIGS[@]}" "$TESTBED_DIR/lib/own-kernel.sh")
	part_ensure OWN_KERNEL_PART "kernel-$1" own_kernel_build "$own_id"
	debian_use bookworm
	KVER=$(cat "$OWN_KERNEL_PART/release")
	KROOT=$OWN_KERNEL_PART/root
	KVERSION=$(cat "$OWN_KERNEL_PART/version")
	KDIR=$OWN_KERNEL_PART/src
	KMODDIR=$OWN_KERNEL_PART/kvm
	VMLINUX=$KDIR/vmlinux
}
