# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A fresh Debian for the tests of the package, in a mount and a PID namespace of its own, on a
# tmpfs that ends with them: nothing of this machine is mounted into it but a folder of the cache
# with packages, and nothing has to be removed. /dev is made anew, too, before anything else is.
#
# Sourced after testbed/lib/common.sh. Sets root, the folder of that Debian.

mirror=${VAPIC_DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${VAPIC_DEBIAN_SECURITY:-http://deb.debian.org/debian-security}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# own_namespace PROGRAM [ARGUMENT...]: run it once more, in the namespaces; go on if this is there.
own_namespace()
{
	[ "${VAPIC_NAMESPACE-}" != mine ] || return 0
	[ "$(id -u)" = 0 ] || die "$1 wants to be root"
	need_packages mmdebstrap debian-archive-keyring
	exec env VAPIC_NAMESPACE=mine unshare --mount --pid --fork --kill-child \
		--propagation private -- "$@"
}

# make_dev FOLDER: a /dev of its own, whose nodes nobody else has
make_dev()
{
	local node
	mount -t tmpfs -o mode=755,size=4m dev "$1"
	for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
		# shellcheck disable=SC2086 # three words
		set -- "$1" $node
		mknod -m 666 "$1/$2" c "$3" "$4"
	done
	mkdir "$1/pts" "$1/shm"
	ln -s pts/ptmx "$1/ptmx"
	ln -s /proc/self/fd "$1/fd"
	ln -s /proc/self/fd/0 "$1/stdin"
	ln -s /proc/self/fd/1 "$1/stdout"
	ln -s /proc/self/fd/2 "$1/stderr"
}

# Debian as it is on the first day, in the cache for a week. $1: suite, $2: folder for the work
make_base()
{
	local base=$CACHE_DIR/chroot/$1/base.tar

	[ -z "$(find "$base" -mtime -7 2>/dev/null)" ] || return 0
	say "making a root of Debian $1"
	printf 'deb %s main\n' "$mirror $1" "$mirror $1-updates" "$mirror $1-backports" \
		"$security $1-security" |
		TMPDIR=$2 mmdebstrap --quiet --mode=root --variant=minbase --keyring="$keyring" \
			--include=ca-certificates "$1" "$2/base.tar" - >&2 ||
		die "mmdebstrap failed for $1"
	cp "$2/base.tar" "$base.new"
	mv "$base.new" "$base"
	rm "$2/base.tar"
}

# fresh_debian SUITE FOLDER: FOLDER, which may be there, is hidden below a tmpfs. One of each suite
# at a time: apt wants the folder of packages for itself.
fresh_debian()
{
	local suite=$1 work=$2 cache=$CACHE_DIR/chroot/$1

	mkdir -p "$work" "$cache/archives/partial" "$CACHE_DIR/lock"
	exec {debian_lock}>"$CACHE_DIR/lock/chroot-$suite"
	flock -n "$debian_lock" || {
		say "waiting for another process to finish with Debian $suite"
		flock "$debian_lock"
	}
	mount -t tmpfs -o mode=755,size=8g work "$work"
	mkdir "$work/dev" "$work/root" "$work/tmp"
	make_dev "$work/dev"
	mount --move "$work/dev" /dev
	mount -t proc proc /proc
	make_base "$suite" "$work/tmp"
	root=$work/root
	tar -C "$root" --exclude='./dev/*' -xf "$cache/base.tar"
	make_dev "$root/dev"
	mount -t proc proc "$root/proc"
	mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
	mkdir -p "$root/var/cache/apt/archives" "$root/from-host"
	mount --bind "$cache/archives" "$root/var/cache/apt/archives"
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
	# Less to fetch and to write
	echo 'Acquire::Languages "none";' >"$root/etc/apt/apt.conf.d/90test"
	printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/man/*' 'path-exclude=/usr/share/locale/*' \
		>"$root/etc/dpkg/dpkg.cfg.d/90test"
	# Nothing starts here, and no kernel boots from here.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	chroot "$root" dpkg-divert --quiet --local --rename --add /usr/sbin/update-initramfs
	ln -s /bin/true "$root/usr/sbin/update-initramfs"
}

inside()
{
	chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive "$@"
}

apt()
{
	inside apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--force-confold "$@"
}
