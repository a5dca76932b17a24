# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the image that is plain Debian 12: packages with what they
# depend on, unpacked without running their scripts (nothing inside needs more
# than the few files made by hand at the end).

# shellcheck source=testbed/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/debian.sh"

IMAGE_PACKAGES=(base-files bash coreutils dash diffutils findutils gawk grep gzip
	hostname kmod
	mount procps python3-minimal qemu-system-x86 rt-tests sed tar
	trace-cmd util-linux busybox-static)

# What nobody inside reads.
IMAGE_DROP=(usr/share/doc usr/share/man usr/share/info usr/share/locale
	usr/share/iso-codes usr/share/xml usr/share/lintian usr/share/i18n
	usr/share/perl usr/lib/x86_64-linux-gnu/perl usr/share/icons)

packages_build()
{
	local root=$1/root folder
	debian_update
	# shellcheck disable=SC2153
	debian_install "$root" "${IMAGE_PACKAGES[@]}"
	mv "$root.list" "$1/versions"
	for folder in "${IMAGE_DROP[@]}"; do
		rm -rf "${root:?}/$folder"
	done
	packages_finish "$root"
}

# The little that package scripts would have done.
packages_finish()
{
	local root=$1
	[ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
	ln -sf gawk "$root/usr/bin/awk"
	mkdir -p "$root"/{proc,sys,dev,run,tmp,mnt,out,root,etc,var/tmp}
	cat >"$root/etc/passwd" <<-EOF
	root:x:0:0:root:/root:/bin/bash
	nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
	EOF
	cat >"$root/etc/group" <<-EOF
	root:x:0:
	tty:x:5:
	kvm:x:104:
	nogroup:x:65534:
	EOF
	echo 'root:*:1:0:99999:7:::' >"$root/etc/shadow"
	echo '127.0.0.1 localhost amd' >"$root/etc/hosts"
	if [ "$(id -u)" -eq 0 ]; then
		ldconfig -r "$root"
	else
		unshare -r ldconfig -r "$root"
	fi
}
