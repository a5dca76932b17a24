#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tarball of the selftests: whole, static, and of use to somebody who has nothing but it. Wants
# them built in build/selftests. Speaks TAP.
#
# usage: selftests_test.sh
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 2
# Only what was built with it already is installed here.
ksrc=$(tools/lib/kselftest-headers "$(awk '!/^#/ { print $1; exit }' testbed/kernels)") || exit 2
number=0 failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
fresh=$work/fresh/vapic-selftests
mkdir "$work/fresh"
mkdir -m 777 "$work/user"

# check NAME COMMAND...: a test that is a command
check()
{
	local name=$1 output

	shift
	number=$((number + 1))
	if output=$("$@" 2>&1); then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		failures=$((failures + 1))
		tail -n 20 <<<"$output" | sed 's/^/# /'
	fi
}

# Somebody who has no rights, if that is possible: there are containers where /dev/null is root's.
nobody=()
if [ "$(id -u)" = 0 ]; then
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	if ! "${nobody[@]}" sh -c ': >/dev/null' 2>/dev/null; then
		echo '# as root, because others may not write to /dev/null here'
		nobody=()
	fi
fi

# With no more than the system's programs
as_user()
{
	(cd "$work/user" && "${nobody[@]}" env -i PATH=/usr/bin:/bin "$@")
}

made()
{
	make -s -C selftests gen_tar O="$PWD/build/selftests" KSRC="$ksrc" FORMAT= \
		INSTALL_PATH="$work/vapic-selftests" &&
		tar -C "$work/fresh" -xf "$work/vapic-selftests.tar"
}

# Programs are what is listed, and those that measure.
whole()
{
	local name

	while read -r name; do
		[ -x "$fresh/$name" ] && [ -e "selftests/$name.c" ] || { echo "$name"; return 1; }
	done <"$fresh/tests"
	for name in selftests/*.c; do
		[ -x "$fresh/$(basename "$name" .c)" ] || { echo "no $name"; return 1; }
	done
	(cd "$fresh" && ls run_tests report settings config README.md LICENSE)
}

static()
{
	local name status=0

	for name in "$fresh"/*; do
		if readelf -l "$name" 2>/dev/null | grep -e INTERP -e "$PWD"; then
			status=1
		fi
	done
	return $status
}

# Whatever this machine has: it passes, or skips with a reason.
runs()
{
	local said status

	said=$(as_user "$fresh/run_tests" vm_fails)
	status=$?
	echo "$said"
	grep -qx '1\.\.1' <<<"$said" && case $status in
	0) grep -qx 'ok 1 selftests: vapic: vm_fails' <<<"$said" ;;
	4) grep -qx 'ok 1 selftests: vapic: vm_fails # SKIP .*' <<<"$said" ;;
	*) return 1 ;;
	esac
}

# No AVIC and no APICv, or no /dev/kvm at all: a failure only if somebody expects them
says_what_is_missing()
{
	as_user "$fresh/run_tests" vm_fails | grep -e '# SKIP the processor has neither' \
		-e '# SKIP no /dev/kvm' -e '# SKIP no permission for /dev/kvm' &&
		[ "${PIPESTATUS[0]}" = 4 ]
}

# Or it would say that nothing is lost.
refuses_to_hunt_nothing()
{
	local option value

	for option in s n i t; do
		for value in abc '' -1 3x 99999999999999999999; do
			as_user "$fresh/hunt" "-$option" "$value"
			[ $? = 2 ] || { echo "-$option '$value'"; return 1; }
		done
	done
	for option in n i t; do
		as_user "$fresh/hunt" "-$option" 0
		[ $? = 2 ] || { echo "-$option 0"; return 1; }
	done
}

# On any machine that lacks anything: whoever expects acceleration has not got it.
fails_if_it_is_expected()
{
	as_user VAPIC_EXPECT=accelerated "$fresh/run_tests" vm_fails
	[ $? = 1 ]
}

reports()
{
	local report=$work/user/vapic-report.txt

	as_user "$fresh/report" -f && cat "$report" &&
		grep -q '^vendor_id: ' "$report" && grep -q '^== active' "$report"
}

check 'the tarball is made' made
check 'it has all programs' whole
check 'which are static' static
check 'they run, and pass or skip' runs
if grep -qw -e avic -e vid /proc/cpuinfo; then
	number=$((number + 1))
	echo "ok $number without hardware they skip, and say why # SKIP this machine has it"
else
	check 'without hardware they skip, and say why' says_what_is_missing
	check 'without hardware they fail if they are to have it' fails_if_it_is_expected
fi
check 'the hunter refuses what is no number, and to hunt nothing' refuses_to_hunt_nothing
check 'they report' reports
echo "1..$number"
[ $failures = 0 ]
