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

# linux_program [newer/]PROGRAM[|OTHER]: where one of Linux's KVM selftests is, or of those of a newer
# Linux; OTHER is the name that it has in some kernels. False if it is not there.
# shellcheck disable=SC2154 # whoever runs Linux's tests sets here and log
linux_program()
{
	local program folder=/usr/lib/kselftests/kvm

	case $1 in
	newer/*) folder=$here ;;
	esac
	for program in ${1//|/ }; do
		[ ! -x "$folder/$program" ] || break
	done
	echo "$folder/$program"
	[ -x "$folder/$program" ]
}

# Seconds for one of Linux's tests, and how often it may need them all.  xen_shinfo_test takes five, and
# now and then hangs, on stock KVM as well: KVM drops the event of a timer that fires while the page of the
# shared info is away, which the test takes away all the time, and the guest may then be blocked in
# SCHEDOP_poll, where it waits for that event alone.
patience_with()
{
	case $1 in
	*xen_shinfo_test) echo 60 3 ;;
	*) echo 300 1 ;;
	esac
}

# linux_test [newer/]PROGRAM[|OTHER] [ARGUMENT...]: runs it. What it prints goes to a file in $log,
# too.
# shellcheck disable=SC2154 # as above
linux_test()
{
	local program name out status path seconds tries

	path=$(linux_program "$1")
	program=${path#/usr/lib/kselftests/kvm/}
	program=${program#"$here/"}
	name=$program${2:+ ${*:2}}
	out=$log/linux-$(tr ' /' '__' <<< "$name").log
	read -r seconds tries < <(patience_with "$program")
	for ((; tries > 0; tries--)); do
		timeout "$seconds" "$path" "${@:2}" > "$out" 2>&1
		status=$?
		[ $status = 124 ] || break
		echo "# $name hangs"
	done
	case $status in
	0) echo "ok $suite: linux: $name" ;;
	4) echo "ok $suite: linux: $name # SKIP $(tail -n 1 "$out")" ;;
	*)
		echo "not ok $suite: linux: $name (exit $status)"
		sed 's/^/# /' "$out"
		;;
	esac
}

# absent [newer/]PROGRAM[|OTHER] [ARGUMENT...]: a test that this Linux, of $series, is said not to
# have. If it has, it is run.
series=$(uname -r | cut -d. -f1,2)
absent()
{
	if linux_program "$1" > /dev/null; then
		linux_test "$@"
	else
		echo "ok $suite: linux: $* # SKIP Linux $series has no such test"
	fi
}

# Whether the emulator counts what code that bench's module knows costs. It must be one where
# time counts instructions.
costs()
{
	local results status

	# shellcheck disable=SC2154 # the folder of the test that sources this
	results=$(insmod "$here/pathbench.ko" && "$here/step_bench" known)
	status=$?
	[ -z "$results" ] || sed -E "s/^((not )?ok) [0-9]+ /\1 $suite: /" <<< "$results"
	rmmod pathbench
	verdict $status 'the emulator counts what known code costs'
}
