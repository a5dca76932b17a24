# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by tests that run inside the emulated host: results as TAP-like lines.

# verdict STATUS NAME
verdict()
{
	if [ "$1" = 0 ]; then
		echo "ok $suite: $2"
	else
		echo "not ok $suite: $2"
	fi
}

# attempt NAME COMMAND...: one test that is a command; shows what it printed if it fails.
attempt()
{
	local name=$1 output status

	shift
	output=$("$@" 2>&1)
	status=$?
	verdict $status "$name"
	[ $status = 0 ] || printf 'exited with %s\n%s\n' $status "$output" | sed 's/^/# /'
}
