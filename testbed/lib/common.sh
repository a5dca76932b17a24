# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What every testbed script needs: one place for the cache, messages on
# stderr (stdout is for results), one-line errors, and one lock per piece of
# the cache so that parallel callers build it once.
#
# Source it first; it sets `-euo pipefail`.

set -euo pipefail

TESTBED_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/vapic
export TESTBED_DIR CACHE_DIR
# Called from a make, be no part of it: the kernel's selftests, for one, put what they
# build into / when they find themselves below another make.
unset MAKELEVEL MAKEFLAGS MFLAGS

say()
{
	printf 'testbed: %s\n' "$*" >&2
}

die()
{
	printf 'testbed: error: %s\n' "$*" >&2
	exit 1
}

# with_lock NAME COMMAND...: run COMMAND while holding the lock NAME. The lock
# is released however this shell ends.
with_lock()
{
	local name=$1 fd
	shift
	mkdir -p "$CACHE_DIR/lock"
	exec {fd}>"$CACHE_DIR/lock/$name"
	if ! flock -n "$fd"; then
		say "waiting for another process to finish with $name"
		flock "$fd"
	fi
	"$@"
	exec {fd}>&-
}

# need_packages PACKAGE...: make sure Debian packages are installed on this
# machine, installing what is missing when that is possible.
need_packages()
{
	local missing=() package
	for package in "$@"; do
		if ! dpkg-query -W -f '${db:Status-Status}\n' "$package" \
			2>/dev/null | grep -qx installed; then
			missing+=("$package")
		fi
	done
	[ ${#missing[@]} -eq 0 ] && return
	[ "$(id -u)" -eq 0 ] ||
		die "packages missing; run as root: apt-get install --no-install-recommends ${missing[*]}"
	say "installing ${missing[*]}"
	# Lists of packages may be old, or not there at all.
	if ! apt_install "${missing[@]}" 2>/dev/null; then
		apt-get update -qq >&2 || die "apt-get update failed"
		apt_install "${missing[@]}" ||
			die "apt-get could not install ${missing[*]}"
	fi
}

# Quiet unless it fails.
apt_install()
{
	local log
	log=$(DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
		--no-install-recommends "$@" 2>&1) || {
		printf '%s\n' "$log" | tail -n 5 >&2
		return 1
	}
}
