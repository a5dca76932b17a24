# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the image that holds Linux's own KVM selftests, built statically
# from Debian's linux-source package of the series that is booted.

# shellcheck source=testbed/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/debian.sh"

SELFTEST_BUILD_PACKAGES=(gcc libc6-dev make xz-utils)

# All that `make headers` and selftests/kvm read of the kernel tree: a tenth of
# it, and much faster to unpack than the whole.
SELFTEST_SOURCES=(Makefile Kbuild Kconfig arch/x86 include scripts
	tools/arch/x86 tools/build tools/include tools/lib tools/scripts
	tools/testing/selftests/kvm tools/testing/selftests/rseq
	tools/testing/selftests/lib.mk tools/testing/selftests/kselftest.h
	tools/testing/selftests/kselftest_harness.h)

# What later series take besides: the VFIO library, and the headers of drivers that it
# includes.
SELFTEST_LATER_SOURCES=(drivers/dma/idxd drivers/dma/ioat drivers/net/ethernet/intel/igb
	tools/testing/selftests/cgroup tools/testing/selftests/clone3
	tools/testing/selftests/lib tools/testing/selftests/vfio)

# The source package of the very version booted when the archive still has it,
# else the newest of the series. After kernel_ensure.
selftests_source_package()
{
	local package=linux-source-$KSERIES
	if [ -n "$(debian_field "$package=$KVERSION" Version)" ]; then
		echo "$package=$KVERSION"
	else
		echo "$package"
	fi
}

# selftests_unpack PACKAGE-FILE FOLDER PATH...: these paths of the kernel tree in a linux-source
# package. It need not have all of them: who builds says what is missing.
selftests_unpack()
{
	local package=$1 folder=$2 source
	shift 2
	source=$(dpkg-deb -f "$package" Package)
	mkdir "$folder"
	dpkg-deb --fsys-tarfile "$package" |
		tar -xO "./usr/src/$source.tar.xz" |
		xz -dc -T 2 |
		{ tar -x -C "$folder" --strip-components=1 "${@/#/$source/}" 2>"$folder.missing" ||
			! grep -v 'Not found in archive$\|Exiting with failure status' \
				"$folder.missing" >&2; }
	rm "$folder.missing"
}

# Programs that do not compile, of which stable releases have some, hold up no others.
selftests_make()
{
	make -s -C "$1" -j 2 headers &&
		make -s -k -C "$1/tools/testing/selftests/kvm" -j 2 LDFLAGS='-static -s' \
			OUTPUT="$1/tools/testing/selftests/kvm"
}

selftests_build()
{
	local out=$1 tree=$1/tree program
	need_packages "${SELFTEST_BUILD_PACKAGES[@]}"
	debian_use "$KERNEL_RELEASE"
	debian_update
	debian_download "$out/deb" "$(selftests_source_package)"
	debian_use bookworm
	selftests_unpack "$out"/deb/*.deb "$tree" "${SELFTEST_SOURCES[@]}" \
		"${SELFTEST_LATER_SOURCES[@]}"
	selftests_make "$tree" >"$out/log" 2>&1 ||
		say "of Linux's KVM selftests do not build:" \
			"$(sed -n 's|^make.*\*\*\* \[.*/\([^/]*\)\] Error.*|\1|p' "$out/log" | sort -u | xargs)"
	# One flat folder, as `make install` would make it, of programs only.
	mkdir -p "$out/root/usr/lib/kselftests/kvm"
	find "$tree/tools/testing/selftests/kvm" -type f -perm -u+x ! -name '*.sh' \
		! -name '*.py' -exec cp -t "$out/root/usr/lib/kselftests/kvm" {} +
	for program in xapic_state_test xapic_ipi_test; do
		[ -x "$out/root/usr/lib/kselftests/kvm/$program" ] || {
			tail -n 20 "$out/log" >&2
			die "the selftests build left no $program (end of the log above)"
		}
	done
	rm -rf "$tree" "$out/deb"
}
