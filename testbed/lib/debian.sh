# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian packages from a private apt configuration: signatures are verified
# against Debian's archive keyring, and the machine's own apt sources, package
# lists and installed packages stay untouched. Each release of Debian has a
# configuration of its own, so that packages of the same name do not mix.

# shellcheck source=testbed/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

DEBIAN_MIRROR=${VAPIC_DEBIAN_MIRROR:-http://deb.debian.org/debian}
DEBIAN_SECURITY=${VAPIC_DEBIAN_SECURITY:-http://deb.debian.org/debian-security}
DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# Releases whose lists this process has brought up to date.
debian_updated=

# debian_use RELEASE: what follows asks the archives of that one.
debian_use()
{
	DEBIAN_RELEASE=$1
	DEBIAN_APT=$CACHE_DIR/apt
	[ "$1" = bookworm ] || DEBIAN_APT+=-$1
}
debian_use bookworm

debian_sources()
{
	local suite
	for suite in '' -updates -backports; do
		echo "deb [signed-by=$DEBIAN_KEYRING] $DEBIAN_MIRROR $DEBIAN_RELEASE$suite main"
	done
	echo "deb [signed-by=$DEBIAN_KEYRING] $DEBIAN_SECURITY $DEBIAN_RELEASE-security main"
}

# Bring the private package lists up to date, once per process.
debian_update()
{
	case " $debian_updated " in *" $DEBIAN_RELEASE "*) return ;; esac
	need_packages debian-archive-keyring ca-certificates
	case $DEBIAN_APT in
	"$CACHE_DIR"/apt*) with_lock "$(basename "$DEBIAN_APT")" debian_read_lists ;;
	*) debian_read_lists ;; # the caller's own
	esac
	debian_updated+=" $DEBIAN_RELEASE"
}

debian_read_lists()
{
	mkdir -p "$DEBIAN_APT"/{etc/sources.list.d,etc/apt.conf.d,etc/preferences.d} \
		"$DEBIAN_APT"/{lists/partial,cache/archives/partial}
	debian_sources >"$DEBIAN_APT/etc/sources.list"
	# The status file is empty so that answers do not depend on what this
	# machine happens to have installed.
	: >"$DEBIAN_APT/status"
	cat >"$DEBIAN_APT/conf" <<-EOF
	Dir::Etc "$DEBIAN_APT/etc";
	Dir::State::lists "$DEBIAN_APT/lists";
	Dir::State::status "$DEBIAN_APT/status";
	Dir::Cache "$DEBIAN_APT/cache";
	Dir::Cache::srcpkgcache "";
	Acquire::Languages "none";
	Acquire::Retries "5";
	APT::Sandbox::User "root";
	EOF
	say "reading the package lists of Debian $DEBIAN_RELEASE"
	debian_apt apt-get update -qq >&2 ||
		die "cannot reach $DEBIAN_MIRROR (or its signature is not Debian's)"
}

# debian_apt COMMAND...: any apt tool under the private configuration.
debian_apt()
{
	APT_CONFIG=$DEBIAN_APT/conf "$@"
}

# debian_field PACKAGE[=VERSION|/SUITE] FIELD: a field of the package, nothing
# if there is no such package.
debian_field()
{
	debian_apt apt-cache show --no-all-versions "$1" 2>/dev/null |
		sed -n "s/^$2: //p" | head -n 1
}

# debian_download FOLDER PACKAGE[=VERSION|/SUITE]...: put the .deb files there.
debian_download()
{
	local folder=$1
	shift
	mkdir -p "$folder"
	(cd "$folder" && debian_apt apt-get download -qq "$@" >&2) ||
		die "could not download $*"
}

# debian_install FOLDER PACKAGE...: the packages and all that they depend on,
# unpacked there without running their scripts; FOLDER.list names the files.
debian_install()
{
	local root=$1
	shift
	mkdir -p "$DEBIAN_APT/cache/archives/partial"
	debian_apt apt-get install -qq -y --download-only --no-install-recommends \
		-o Debug::NoLocking=1 "$@" >/dev/null ||
		die "could not download $*"
	debian_apt apt-get install -qq -y --print-uris --no-install-recommends \
		-o Debug::NoLocking=1 -o Dir::Cache::archives="$root/none" "$@" |
		cut -d ' ' -f 2 | sort >"$root.list"
	sed "s|^|$DEBIAN_APT/cache/archives/|" "$root.list" | debian_unpack "$root"
}

# debian_unpack FOLDER: unpack there the .deb files that standard input names.
# Directories of a merged /usr come first, so that packages which still ship
# /bin or /lib unpack through the links.
debian_unpack()
{
	local folder
	for folder in bin sbin lib lib64; do
		mkdir -p "$1/usr/$folder"
		[ -e "$1/$folder" ] || ln -s "usr/$folder" "$1/$folder"
	done
	# shellcheck disable=SC2016
	xargs -P 2 -I '{}' bash -c 'set -o pipefail; dpkg-deb --fsys-tarfile "$1" |
		tar -x --keep-directory-symlink --no-same-owner -C "$2"' - '{}' "$1"
}
