# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Compilers that the testbed's kernels were built with. That of the machine's own
# release of Debian is installed. One of a later release needs that release's C
# library, and so do the tools of its kernels' build system (objtool, modpost,
# fixdep): they are unpacked into the cache, and each program is told where its
# loader and libraries lie there. They then run as any other program does, without
# privileges, a chroot or a variable that their children would inherit.

# shellcheck source=testbed/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

# Beside the compiler in C and C++: what assembles, links, and makes BTF.
COMPILER_BESIDE=(binutils pahole)
COMPILER_DROP=(usr/share/doc usr/share/man usr/share/locale usr/share/lintian
	usr/lib/gcc/x86_64-linux-gnu/*/lib*san.* usr/lib/x86_64-linux-gnu/lib*san.*
	usr/libexec/gcc/x86_64-linux-gnu/*/lto1 usr/bin/x86_64-linux-gnu-lto-dump-*)

# compiler_ensure RELEASE COMPILER: make it available; sets COMPILER_ROOT, where it
# is unpacked, or nothing if it is installed.
compiler_ensure()
{
	local release=$1 compiler=$2 packages
	packages=("$compiler" "${compiler/gcc/g++}" "${COMPILER_BESIDE[@]}")
	COMPILER_ROOT=
	if [ "$release" = "$(compiler_host)" ]; then
		need_packages "${packages[@]}"
		return
	fi
	COMPILER_ROOT=$CACHE_DIR/compiler/$release-$compiler/root
	[ -d "$COMPILER_ROOT" ] ||
		with_lock "compiler-$release-$compiler" compiler_unpack "${packages[@]}"
}

# The release of Debian that this machine runs; of another distribution, none.
compiler_host()
{
	(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || true
}

compiler_unpack()
{
	local folder=${COMPILER_ROOT%/root} drop
	[ ! -d "$COMPILER_ROOT" ] || return 0
	need_packages patchelf binutils
	debian_update
	say "fetching ${1} of Debian $DEBIAN_RELEASE, with its libraries"
	rm -rf "$folder.new"
	mkdir -p "$folder.new"
	debian_install "$folder.new/root" "$@"
	for drop in "${COMPILER_DROP[@]}"; do
		# shellcheck disable=SC2086 # patterns
		(cd "$folder.new/root" && rm -rf $drop)
	done
	compiler_retarget "$folder.new/root"/usr/{bin,libexec}
	rm -rf "$folder"
	mv "$folder.new" "$folder"
}

# compiler_retarget FOLDER...: programs there are to use the libraries at
# COMPILER_ROOT, their loader first.
compiler_retarget()
{
	local libraries=$COMPILER_ROOT/usr/lib/x86_64-linux-gnu file
	while IFS= read -r -d '' file; do
		readelf -lW "$file" 2>/dev/null | grep -q 'interpreter: /lib64/ld-linux' || continue
		patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath \
			--set-rpath "$libraries" "$file"
	done < <(find "$@" -type f -perm -u+x -print0)
}
