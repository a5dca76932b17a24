# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the recipes of both emulators have in common: the source package of Debian
# trixie, signatures checked, the files and patches of the recipe's folder, and the
# result in the cache, where a second call finds it without network.
#
# A recipe sets these, defines emulator_build FOLDER, and calls emulator_main:
#   EMULATOR           name of the source package
#   EMULATOR_TITLE     its name in messages
#   EMULATOR_SERIES    the upstream version that the patches are for, or the start of it
#   EMULATOR_KNOWN     versions with which they were tried
#   EMULATOR_FILES     files of the recipe's folder that go into the source
#   EMULATOR_PACKAGES  Debian packages that the build needs
# emulator_build has $work, a folder of its own for as long as the build takes, and is in it
# after emulator_fetch.

# shellcheck source=testbed/lib/part.sh
. "$(dirname "${BASH_SOURCE[0]}")/part.sh"
# shellcheck source=testbed/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

# The recipe's folder.
EMULATOR_DIR=$(cd "$(dirname "$0")" && pwd)

# Emulators come from trixie; tools that Debian 12 has too old come from its backports.
debian_sources()
{
	cat <<-EOF
	deb-src [signed-by=$DEBIAN_KEYRING] $DEBIAN_MIRROR trixie main
	deb [signed-by=$DEBIAN_KEYRING] $DEBIAN_MIRROR bookworm-backports main
	EOF
}

# logged WHAT COMMAND...: run COMMAND, whose output nobody wants to see unless it fails.
# WHAT says what is wrong then.
logged()
{
	local what=$1
	shift
	"$@" >>"$work/log" 2>&1 || {
		tail -n 25 "$work/log" >&2
		die "$what (log above)"
	}
}

# emulator_fetch [OPTION...]: put the source package, as apt-get source does it, into
# $work, and set EMULATOR_VERSION to Debian's version and EMULATOR_UPSTREAM to upstream's.
emulator_fetch()
{
	debian_update
	EMULATOR_VERSION=$(debian_apt apt-cache showsrc --only-source "$EMULATOR" 2>/dev/null |
		sed -n 's/^Version: //p' | sort -V | tail -n 1)
	[ -n "$EMULATOR_VERSION" ] ||
		die "no source of $EMULATOR_TITLE in Debian trixie; known to work: $EMULATOR_KNOWN"
	EMULATOR_UPSTREAM=${EMULATOR_VERSION#*:}
	EMULATOR_UPSTREAM=${EMULATOR_UPSTREAM%%[+-]*}
	case $EMULATOR_UPSTREAM in
	"$EMULATOR_SERIES" | "$EMULATOR_SERIES".*) ;;
	*) die "found $EMULATOR_TITLE $EMULATOR_UPSTREAM, need $EMULATOR_SERIES; known to work: $EMULATOR_KNOWN" ;;
	esac
	say "fetching the source of $EMULATOR_TITLE $EMULATOR_UPSTREAM (Debian trixie)"
	cd "$work"
	logged "cannot fetch $EMULATOR $EMULATOR_VERSION" \
		debian_apt apt-get -q source --download-only "$@" "$EMULATOR=$EMULATOR_VERSION"
}

# emulator_patch FOLDER: copy the recipe's files into FOLDER of the unpacked source, which
# is $work/src, and apply the recipe's patches.
emulator_patch()
{
	local folder=$1 name
	(cd "$EMULATOR_DIR" && cp "${EMULATOR_FILES[@]}" "$work/src/$folder/")
	while read -r name; do
		logged "found $EMULATOR_TITLE $EMULATOR_UPSTREAM, $name does not apply; known to work: $EMULATOR_KNOWN" \
			patch -d "$work/src" -p1 -s --no-backup-if-mismatch \
			-i "$EMULATOR_DIR/patches/$name"
	done < <(grep -v '^#' "$EMULATOR_DIR/patches/series")
}

emulator_build_in()
{
	need_packages debian-archive-keyring "${EMULATOR_PACKAGES[@]}"
	work=$(mktemp -d "$CACHE_DIR/build-$EMULATOR.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	DEBIAN_APT=$work/apt
	# A list that cannot be read is an error, not a reason to find no source in it.
	mkdir -p "$DEBIAN_APT/etc/apt.conf.d"
	echo 'APT::Update::Error-Mode "any";' >"$DEBIAN_APT/etc/apt.conf.d/update"
	emulator_build "$1"
	echo "$EMULATOR_VERSION" >"$1/version"
}

# Print the folder of the emulator, built if it is not there.
emulator_main()
{
	part_ensure EMULATOR_PART "$EMULATOR" emulator_build_in \
		"$TESTBED_DIR/lib/emulator.sh" "$EMULATOR_DIR/build" \
		"${EMULATOR_FILES[@]/#/$EMULATOR_DIR/}" "$EMULATOR_DIR/patches"
	echo "$EMULATOR_PART"
}
