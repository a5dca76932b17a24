# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Emulators and parts of the image, each built once and kept in the cache under a name that
# holds the hash of what it is made from. Editing one script then rebuilds the
# parts that use it and no others.

# shellcheck source=testbed/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# part_hash TEXT-OR-PATH...: hash over arguments; an absolute path stands for
# the content of that file or folder, or for nothing if there is none.
part_hash()
{
	local item
	for item in "$@"; do
		if [ "${item#/}" = "$item" ]; then
			echo "$item"
		elif [ -d "$item" ]; then
			(cd "$item" && find . -type f -printf '%p %m\0' | sort -z |
				while IFS= read -r -d '' file; do
					echo "$file"
					cat "${file% *}"
				done)
		elif [ -f "$item" ]; then
			cat "$item"
		fi
	done | sha256sum | cut -c1-16
}

# part_ensure VARIABLE NAME BUILDER INPUT...: set VARIABLE to the folder of part
# NAME, made by `BUILDER FOLDER` unless the cache has it for these inputs.
part_ensure()
{
	local variable=$1 name=$2 builder=$3 hash
	shift 3
	hash=$(part_hash "$name" "$@")
	printf -v "$variable" '%s' "$CACHE_DIR/part/$name-$hash"
	[ -d "${!variable}" ] ||
		with_lock "part-$name" part_build "${!variable}" "$name" "$builder"
	touch "${!variable}"
}

part_build()
{
	local folder=$1 name=$2 builder=$3 started=$SECONDS
	[ ! -d "$folder" ] || return 0
	say "building '$name'"
	# What nothing has used for two days was made from scripts since edited.
	find "$CACHE_DIR/part" -mindepth 1 -maxdepth 1 -name "$name-*" -mtime +1 \
		-exec rm -rf {} + 2>/dev/null || true
	rm -rf "$folder.new"
	mkdir -p "$folder.new"
	"$builder" "$folder.new"
	mv "$folder.new" "$folder"
	say "'$name' took $((SECONDS - started)) s"
}
