# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian packages from a private apt configuration: signatures are verified
# against Debian's archive keyring, and the machine's own apt sources, package
# lists and installed packages stay untouched.

# shellcheck source=testbed/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

DEBIAN_MIRROR=${VAPIC_DEBIAN_MIRROR:-http://deb.debian.org/debian}
DEBIAN_SECURITY=${VAPIC_DEBIAN_SECURITY:-http://deb.debian.org/debian-security}
DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
DEBIAN_APT=$CACHE_DIR/apt

debian_sources()
{
	local suite
	for suite in bookworm bookworm-updates bookworm-backports; do
		echo "deb [signed-by=$DEBIAN_KEYRING] $DEBIAN_MIRROR $suite main"
	done
	echo "deb [signed-by=$DEBIAN_KEYRING] $DEBIAN_SECURITY bookworm-security main"
}

# Bring the private package lists up to date, once per process.
debian_update()
{
	[ -z "${debian_updated:-}" ] || return 0
	need_packages debian-archive-keyring ca-certificates
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
	say "reading Debian's package lists"
	debian_apt apt-get update -qq >&2 ||
		die "cannot reach $DEBIAN_MIRROR (or its signature is not Debian's)"
	debian_updated=yes
}

# debian_apt COMMAND...: any apt tool under the private configuration.
debian_apt()
{
	APT_CONFIG=$DEBIAN_APT/conf "$@"
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
